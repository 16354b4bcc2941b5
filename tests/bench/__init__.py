"""The benchmark behind tools/bench: what our sampler and its peers reach, and what they cost their target."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import harness  # noqa: E402,F401  how the tests find interpreters and start targets
import pythons  # noqa: E402,F401
