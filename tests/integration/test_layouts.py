"""The committed layouts are exactly what the generator makes of the headers of every Python at hand."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import pythons  # noqa: E402

GENERATOR = os.path.join(pythons.ROOT, "tools", "gen_layout.py")


def left_out(python):
    """Why this Python cannot be compared; None if it can."""
    if not os.path.exists(pythons.layout_file(python.version)):
        return "no layout file for CPython %s" % python.version
    if not os.path.exists(os.path.join(python.include, "patchlevel.h")):
        return "no headers in %s" % python.include
    return None


def generate(python):
    """The layout file's text, made anew."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "made.layout")
        subprocess.run([sys.executable, GENERATOR, "--include", python.include, "--output", output], check=True)
        with open(output) as file:
            return file.read()


def committed(version):
    with open(pythons.layout_file(version)) as file:
        return file.read()


class Layouts(unittest.TestCase):
    maxDiff = None

    def test_every_layout_equals_what_the_headers_give(self):
        compared = []
        for python in pythons.found_pythons():
            reason = left_out(python)
            if reason:
                print("left out: %s: %s" % (python.executable, reason))
                continue
            with self.subTest(python=python.executable):
                self.assertEqual(committed(python.version), generate(python))
                print("compared: CPython %s with the headers in %s" % (python.version, python.include))
            compared.append(python.version)
        self.assertTrue(compared, "nothing was compared: no Python with headers was found")
        self.assertEqual([], pythons.missing_versions(compared), "required versions that were not compared")

    def test_check_mode_refuses_a_layout_that_differs(self):
        usable = [python for python in pythons.found_pythons() if not left_out(python)]
        self.assertTrue(usable, "no Python with headers was found")
        with tempfile.NamedTemporaryFile("w", suffix=".layout") as changed:
            changed.write(committed(usable[0].version).replace("frame.size", "frame.length"))
            changed.flush()
            run = subprocess.run([sys.executable, GENERATOR, "--include", usable[0].include, "--check", "--output",
                                  changed.name], stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(1, run.returncode)
        self.assertIn("-frame.length", run.stdout)


if __name__ == "__main__":
    unittest.main()
