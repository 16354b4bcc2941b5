"""Pythons in unusual places: embedded, copied, deleted, replaced, exec'ed; and what is no CPython to sample."""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import programs  # noqa: E402
import standing  # noqa: E402


def elf_type(path):
    """e_type: 2 is a program that is not position independent, 3 is one that is, or a library."""
    with open(path, "rb") as file:
        return int.from_bytes(file.read(18)[16:18], "little")


def section_names(path):
    return programs.run_tool("readelf", "-SW", path)


class Embedded(unittest.TestCase):
    def test_a_static_python_that_is_stripped_and_not_position_independent(self):
        path = os.path.realpath(programs.SYSTEM_PYTHON)
        self.assertEqual(elf_type(path), 2)
        self.assertNotIn(".symtab", section_names(path))
        standing.start(self, path).assert_seen()

    def test_one_in_a_program_that_exports_nothing(self):
        server = programs.embedder(self, "server", "-no-pie", *programs.static_library())
        self.assertNotIn("PyCode_Type", programs.run_tool("nm", "-D", server))
        standing.start(self, server).assert_seen()

    def test_one_in_a_program_without_any_library(self):
        server = programs.embedder(self, "server", "-static", *programs.static_library())
        target = standing.start(self, server)
        with open("/proc/%d/maps" % target.pid) as maps:
            self.assertNotIn(".so", maps.read())
        target.assert_seen()

    def test_an_older_one_in_a_program_without_any_library(self):
        # Only glibc knows the numbers of its threads, and there is no libc.so.
        older = programs.python_without_thread_numbers(self)
        home = os.path.dirname(os.path.dirname(older.executable))
        target = standing.start(self, programs.static_embedder(self, older, "server"), env={"PYTHONHOME": home})
        self.assertEqual(tuple(target.facts["version"]), older.version)
        target.assert_seen()

    def test_a_forked_child_of_a_program_without_any_library(self):
        server = programs.embedder(self, "server", "-static", *programs.static_library())
        standing.start(self, server, "2", "spin", "fork", generation=1).assert_seen()

    def test_one_in_a_shared_library_of_a_program_of_another_name(self):
        server = programs.embedder(self, "server", *programs.shared_library())
        standing.start(self, server).assert_seen()


class Elsewhere(unittest.TestCase):
    def tree(self, interpreter, name="tree", program=None):
        return programs.Tree(interpreter, os.path.join(harness.scratch(self), name), program)

    def start(self, tree, *arguments):
        target = standing.start(self, tree.executable, *arguments, env=tree.environment)
        self.assertEqual(tuple(target.facts["version"]), tree.version)
        with open("/proc/%d/maps" % target.pid) as maps:
            self.assertIn(tree.library, maps.read())
        return target

    def test_a_prefix_of_another_name_and_a_program_of_another_name(self):
        interpreter = programs.shared_python(self)
        self.start(self.tree(interpreter, "my app (v2)", "server")).assert_seen()

    def test_files_that_were_deleted(self):
        not_run.need_mapped_files(self)
        interpreter = programs.shared_python(self)
        tree = self.tree(interpreter)
        target = self.start(tree)
        os.unlink(tree.executable)
        os.unlink(tree.library)
        target.assert_seen()
        shutil.rmtree(tree.prefix)
        target.assert_seen()

    def test_files_that_an_upgrade_replaced_by_another_version(self):
        not_run.need_mapped_files(self)
        interpreter = programs.shared_python(self)
        other = programs.file_of_another_version(self, interpreter.version)
        tree = self.tree(interpreter)
        target = self.start(tree)
        for path in (tree.executable, tree.library):
            shutil.copy(other, path + ".new")
            os.rename(path + ".new", path)
        target.assert_seen()

    def test_a_static_python_that_was_replaced_by_another_program(self):
        path = os.path.join(harness.scratch(self), "python3.9")
        shutil.copy(os.path.realpath(programs.SYSTEM_PYTHON), path)
        target = standing.start(self, path)
        os.unlink(path)
        shutil.copy("/bin/true", path)
        target.assert_seen()

    def test_a_launcher_names_the_python_that_it_has_started(self):
        script = os.path.join(harness.scratch(self), "launch")
        with open(script, "w") as file:
            file.write('#!/bin/sh\n"%s" "%s" 2 spin\ntrue\n' % (programs.SYSTEM_PYTHON, standing.SCRIPT))
        os.chmod(script, 0o755)
        target = standing.Standing(self, [script], generation=1)
        run = harness.run_sampler(self, "-p", target.process.pid, "-s", "0", expect=harness.NOT_PYTHON)
        self.assertEqual(re.search(r"try: sampler -p (\d+)", run.errors).group(1), str(target.pid), str(run))
        target.assert_seen()

    def test_another_python_that_the_process_becomes_is_sampled_on(self):
        first, second = programs.two_pythons(self)
        target = standing.start(self, first.executable, "2")
        before = target.facts
        output = os.path.join(harness.scratch(self), "out.samp")
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "2", "-o", output, "--full-paths")
        sampler.wait_samples()
        words = [second.executable, standing.SCRIPT, "3"]
        target.process.stdin.write(json.dumps(words).encode())
        target.facts = target.hear()
        target.wait_to_stand()
        run = sampler.wait()
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertEqual((tuple(before["version"]), tuple(target.facts["version"])), (first.version, second.version))
        with open(output, "rb") as file:
            stacks = {stack.frames: stack.count for stack in harness.parse_folded(file.read())}
        for facts in (before, target.facts):
            for frames in facts["standing"].values():
                self.assertIn(standing.frame_texts(frames), stacks, str(run))
        last = standing.frame_texts(target.facts["standing"][str(target.pid)])
        self.assertGreater(stacks[last], 20, "it goes on: %s" % run)
        target.assert_seen()


class Refused(unittest.TestCase):
    """What cannot be sampled is told in one line with its cure, and in time."""

    def assert_refused(self, pid, status, *words):
        run = harness.run_sampler(self, "-p", pid, "-s", "0", expect=status, timeout=10)
        self.assertEqual(run.output, b"")
        self.assertRegex(run.errors, r"\Asampler: process %d [^\n]+; [^\n]+\n\Z" % pid, "one line of what; the cure")
        self.assertLess(run.elapsed, 3)
        for word in words:
            self.assertIn(word, run.errors)
        harness.assert_not_held(self, pid)

    def test_pypy(self):
        pypy = programs.start_ready(self, "pypy3", "-c", "import os; os.write(1, b'READY\\n'), os.read(0, 1)")
        self.assert_refused(pypy.pid, harness.NOT_PYTHON, "PyPy", "CPython")

    def test_graalpy(self):
        for library, source in (("libpythonvm.so", "long part;"),
                                ("libpython-native.so", "long part; long PyCode_Type[8];")):
            with self.subTest(library=library):
                graal = programs.start_with_library(self, "graalpy", library, source)
                self.assert_refused(graal.pid, harness.NOT_PYTHON, "GraalPy", "CPython")

    def test_a_python_of_32_bits(self):
        self.assert_refused(programs.start_32_bit(self, "python3.11").pid, harness.NOT_PYTHON, "32-bit")

    def test_another_program_of_32_bits(self):
        self.assert_refused(programs.start_32_bit(self, "server").pid, harness.NOT_PYTHON, "32-bit")

    def test_one_that_was_stripped_of_all_names(self):
        server = programs.embedder(self, "server", "-no-pie", "-s", *programs.static_library())
        self.assertNotIn("PyCode_Type", programs.run_tool("nm", "-D", server))
        target = standing.start(self, server, "1")
        self.assert_refused(target.pid, harness.UNSUPPORTED, "stripped")

    def test_an_older_one_whose_threads_nobody_can_number(self):
        """As with musl, which publishes nothing."""
        older = programs.python_without_thread_numbers(self)
        server = programs.static_embedder(self, older, "server")
        programs.run_tool("strip", "--strip-symbol=_thread_db_pthread_tid", server)
        home = os.path.dirname(os.path.dirname(older.executable))
        target = standing.start(self, server, env={"PYTHONHOME": home})
        self.assert_refused(target.pid, harness.UNSUPPORTED, "Python 3.", "numbers of its threads", "glibc")

    def test_a_program_that_has_not_initialised_python_yet(self):
        server = programs.embedder(self, "server", "-no-pie", *programs.static_library())
        target = programs.start_ready(self, server, "--before")
        self.assert_refused(target.pid, harness.NOT_PYTHON, "Python 3.11", "not been initialised")

    def test_a_program_that_has_finalised_python(self):
        server = programs.embedder(self, "server", "-no-pie", *programs.static_library())
        target = programs.start_ready(self, server, "--after")
        self.assert_refused(target.pid, harness.NOT_PYTHON, "Python 3.11", "ending")


class Moved(unittest.TestCase):
    """A thread state that runs on another thread than it names, as an embedder may do (PyEval_RestoreThread)."""

    def test_no_untrue_stack_is_shown(self):
        server = programs.embedder(self, "server", "-no-pie", *programs.static_library())
        target = programs.start_ready(self, server, "--moved", os.path.join(harness.TARGETS, "moved.py"))
        run = harness.run_sampler(self, "-p", target.pid, *harness.AT_FULL_SPEED, "-s", "3", expect=None)
        self.assertIn(run.status, (harness.OK, harness.NO_STACK), str(run))
        self.assertGreater(run.total, 1000, str(run))
        chains = ["<module>"], *(["<module>"] + ["%s%d" % (letter, level) for level in range(1, 21)] for letter in "ab")
        for stack in run.folded:
            names = list(stack.names)
            if not harness.is_marked(stack):
                self.assertTrue(any(names == chain[:len(names)] for chain in chains), repr(stack))


class Starting(unittest.TestCase):
    def test_a_python_that_has_just_been_executed_is_sampled(self):
        """Its library is not mapped yet."""
        for interpreter in filter(harness.python_library, harness.interpreters()):
            for _ in range(5):
                with self.subTest(interpreter=interpreter):
                    target = subprocess.Popen([interpreter.executable, "-c", "import time; time.sleep(100)"])
                    self.addCleanup(harness.end, target)
                    run = harness.run_sampler(self, "-p", target.pid, "-s", "0.3")
                    self.assertGreater(run.total, 0, str(run))

    def test_a_program_that_becomes_a_python_is_sampled(self):
        words = ["sh", "-c", "read line; exec python3 -c 'import time; time.sleep(100)'"]
        target = subprocess.Popen(words, stdin=subprocess.PIPE)
        self.addCleanup(harness.end, target)
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "0.3")
        target.stdin.write(b"\n")
        target.stdin.close()
        self.assertEqual(sampler.wait().status, harness.OK)


class Ending(unittest.TestCase):
    def test_code_that_runs_while_the_interpreter_ends_is_seen(self):
        path = os.path.join(harness.TARGETS, "ending.py")
        for interpreter in harness.interpreters():
            with self.subTest(interpreter=interpreter):
                target = programs.start_ready(self, interpreter.executable, path)
                run = harness.run_sampler(self, "-p", target.pid, "-s", "0")
                self.assertEqual([stack.names[-1].split(".")[-1] for stack in run.folded], ["__del__"], str(run))


if __name__ == "__main__":
    unittest.main(verbosity=2)
