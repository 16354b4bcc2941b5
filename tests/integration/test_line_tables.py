"""The line decoders agree with every CPython at hand about every instruction of much of its standard library.

Environment, besides that of support/pythons.py: SAMPLER_LINE_TABLE_PROBE, the comparing program.
"""
import os
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import pythons  # noqa: E402

DUMPER = os.path.join(pythons.ROOT, "tests", "targets", "dump_line_tables.py")
LEAST_OFFSETS = 100000
# Pythons without a layout file publish their offsets themselves; their line tables have not changed since PEP 657.
NEWEST_CODING = "pep657"


def coding_of(version):
    """The coding that the program will use for this version."""
    try:
        with open(pythons.layout_file(version)) as file:
            return re.search(r"^trait\.line_table\s+(\S+)$", file.read(), re.MULTILINE).group(1)
    except FileNotFoundError:
        return NEWEST_CODING


def compare(python):
    """Runs the dumper into the probe: (both exit statuses, what the probe printed)."""
    probe = [os.environ["SAMPLER_LINE_TABLE_PROBE"], coding_of(python.version)]
    with subprocess.Popen([python.executable, DUMPER], stdout=subprocess.PIPE) as dumper:
        answer = subprocess.run(probe, stdin=dumper.stdout, stdout=subprocess.PIPE, universal_newlines=True)
        dumper.stdout.close()
        return (dumper.wait(), answer.returncode), answer.stdout


def setUpModule():
    if "SAMPLER_LINE_TABLE_PROBE" not in os.environ:
        raise RuntimeError("SAMPLER_LINE_TABLE_PROBE must name the line_table_probe program")


class LineTables(unittest.TestCase):
    def test_every_instruction_has_the_line_that_cpython_gives_it(self):
        compared = set()
        for python in pythons.found_pythons():
            with self.subTest(python=python.executable):
                start = time.monotonic()
                statuses, text = compare(python)
                print("CPython %s: %s in %.1f s" % (python.version, text.strip(), time.monotonic() - start))
                self.assertEqual((0, 0), statuses, text)
                self.assertGreater(int(re.search(r"(\d+) offsets", text).group(1)), LEAST_OFFSETS)
            compared.update(python.names)
        self.assertTrue(compared, "nothing was compared: no Python was found")
        self.assertEqual([], pythons.missing_versions(compared), "required versions that were not compared")

    def test_a_wrong_line_is_reported(self):
        probe = [os.environ["SAMPLER_LINE_TABLE_PROBE"], "lnotab_signed"]
        run = subprocess.run(probe, input="code 1 0001 f\nlines 2 3\n", stdout=subprocess.PIPE,
                             universal_newlines=True)
        self.assertEqual(1, run.returncode)
        self.assertIn("f (line 1) at 1: CPython says 3, the decoder 2", run.stdout)


if __name__ == "__main__":
    unittest.main()
