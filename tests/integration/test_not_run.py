"""What a machine cannot run is told with its cure, and fails where all is required; what can be made is made."""
import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import programs  # noqa: E402

WHAT, CURE = "there is no such thing here", "make one"


def outcome_of(test, body, **environment):
    """(reasons of its skip, its failures, the report's lines) of a test with this body."""
    class Case(unittest.TestCase):
        def runTest(self):
            body(self)

    report = os.path.join(harness.scratch(test), "report")
    open(report, "w").close()
    asked = {"SAMPLER_REQUIRE_ALL": "", "SAMPLER_REQUIRED_PYTHONS": "", "SAMPLER_NOT_RUN": report, **environment}
    with mock.patch.dict(os.environ, asked), open(report) as file:
        result = unittest.TestResult()
        Case().run(result)
        return [reason for _, reason in result.skipped], [text for _, text in result.failures], file.readlines()


class Telling(unittest.TestCase):
    def test_what_cannot_be_run_is_skipped_and_told(self):
        skipped, failed, lines = outcome_of(self, lambda test: not_run.not_run(test, WHAT, CURE))
        self.assertEqual((len(skipped), failed), (1, []))
        self.assertIn(CURE, skipped[0])
        self.assertEqual([line.split("\t")[:2] for line in lines], [[WHAT, CURE]])

    def test_where_all_is_required_it_fails_by_name(self):
        skipped, failed, lines = outcome_of(self, lambda test: not_run.not_run(test, WHAT, CURE), SAMPLER_REQUIRE_ALL="1")
        self.assertEqual((skipped, len(failed), lines), ([], 1, []))
        self.assertIn("%s; %s" % (WHAT, CURE), failed[0])

    def test_a_python_that_is_missing_fails_where_it_is_required_and_no_other(self):
        for required, fails in (("2.7 3.10", True), ("3.10.13", True), ("3.10t", False), ("3.1 3.11", False), ("", False)):
            with self.subTest(required=required):
                skipped, failed, _ = outcome_of(self, lambda test: not_run.no_python(test, ["3.9", "3.10"], WHAT, CURE),
                                                SAMPLER_REQUIRED_PYTHONS=required, SAMPLER_REQUIRE_ALL="1")
                self.assertEqual((len(skipped), len(failed)), (0, 1) if fails else (1, 0))

    def test_the_report_names_each_test_once_below_its_reason(self):
        lines = ["b\tcure\ttwo\n", "a\tcure\tone\n", "b\tcure\tthree\n", "b\tcure\ttwo\n"]
        self.assertEqual(not_run.text_of(not_run.grouped(lines)),
                         "a; to have it run: cure\n    one\nb; to have it run: cure\n    two\n    three\n")

    def test_what_a_command_says_is_the_reason(self):
        skipped, _, _ = outcome_of(self, lambda test: not_run.need(test, "a thing", "sh", "-c", "echo no >&2; exit 1"))
        self.assertIn("a thing cannot be made here (no)", skipped[0])
        self.assertEqual(outcome_of(self, lambda test: not_run.need(test, "a thing", "true")), ([], [], []))


class Made(unittest.TestCase):
    """With Debian's Python alone."""

    def setUp(self):
        debian = [interpreter for interpreter in harness.interpreters() if interpreter.executable == programs.SYSTEM_PYTHON]
        if not debian:
            self.skipTest("the tests run on chosen Pythons, and Debian's is not among them")
        patch = mock.patch.object(harness, "interpreters", lambda: debian)
        patch.start()
        self.addCleanup(patch.stop)
        programs.shared_pythons.cache_clear()
        self.addCleanup(programs.shared_pythons.cache_clear)
        self.debian, = debian

    def test_a_python_with_a_shared_library(self):
        made = programs.shared_python(self)
        self.assertEqual(made.version, self.debian.version)
        self.assertIn("libpython", harness.python_library(made))

    def test_a_file_of_a_python_of_another_version(self):
        path = programs.file_of_another_version(self, self.debian.version)
        names = programs.run_tool("nm", "-D", path)
        for name in ("PyCode_Type", "_PyRuntime", "Py_Version"):
            self.assertIn(name, names)


if __name__ == "__main__":
    unittest.main(verbosity=2)
