"""A Python newer than the program is supported by files alone: the walk-through of docs/adding-a-python.md.

SAMPLER_BINARY is a program built without the files of 3.15.
"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import pythons  # noqa: E402

GENERATOR = os.path.join(pythons.ROOT, "tools", "gen_layout.py")
UNKNOWN = "3.15"


def find_unknown():
    """A Python of the version that the program does not know; None where this machine has none."""
    return next((python for python in pythons.found_pythons() if python.version == UNKNOWN), None)


class LayoutDirectory(unittest.TestCase):
    def setUp(self):
        self.python = find_unknown()
        if self.python is None:
            not_run.no_python(self, [UNKNOWN], "no Python %s was found" % UNKNOWN, "tools/pythons fetch " + UNKNOWN)
        self.folder = harness.scratch(self)
        self.target = harness.Target(self, self.python, "single.py", "sleep")

    def generate(self, name, *options):
        subprocess.run([sys.executable, GENERATOR, "--include", self.python.include, *options, "--output",
                        os.path.join(self.folder, name)], check=True)

    def sample(self, expect, *options):
        return harness.run_sampler(self, "-p", self.target.pid, "-s", "0", *options, expect=expect)

    def test_a_new_python_is_added_without_a_build(self):
        refused = self.sample(harness.UNSUPPORTED)
        self.assertIn("CPython 3.15 is not supported", refused.errors)
        self.assertIn("--layout-dir", refused.errors)

        self.generate("3.15.layout")
        without_schema = self.sample(harness.USAGE, "--layout-dir", self.folder)
        self.assertIn("its schema is missing: debug_offsets-3.15.schema", without_schema.errors)

        self.generate("debug_offsets-3.15.schema", "--schema")
        run = self.sample(harness.OK, "--layout-dir", self.folder)
        self.assertEqual({stack.names for stack in run.folded}, {("<module>", "sleep")})

        os.remove(os.path.join(self.folder, "debug_offsets-3.15.schema"))
        self.sample(harness.USAGE, "--layout-dir", self.folder)

    def test_a_table_of_another_shape_is_refused(self):
        self.generate("3.15.layout")
        self.generate("debug_offsets-3.15.schema", "--schema")
        path = os.path.join(self.folder, "debug_offsets-3.15.schema")
        with open(path) as file:
            lines = file.read().splitlines(True)
        # A word that 3.15 does not have: all behind it are read from the wrong places.
        lines.insert(lines.index("free_threaded\n") + 1, "runtime_state.invented\n")
        with open(path, "w") as file:
            file.writelines(lines)
        run = self.sample(harness.UNSUPPORTED, "--layout-dir", self.folder)
        self.assertRegex(run.errors, "the table of offsets of Python 3.15 in .* is damaged: ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
