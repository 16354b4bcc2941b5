"""The versions that SAMPLER_REQUIRED_PYTHONS names are among the interpreters that the tests run on."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


class RequiredInterpreters(unittest.TestCase):
    def test_each_required_version_was_found(self):
        self.assertEqual(harness.missing_versions(harness.interpreters()), [], "required versions that are missing")

    def test_there_is_one_at_all(self):
        self.assertTrue(harness.interpreters())


if __name__ == "__main__":
    unittest.main(verbosity=2)
