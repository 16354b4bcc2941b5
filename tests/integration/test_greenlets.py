"""Greenlets, and so gevent: a switch takes another data stack under the thread. Debian's Python has the module."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

PYTHON = "/usr/bin/python3"
CHAIN = re.compile(r"([ab])(\d+)")


def fault_of(stack):
    """Why this stack cannot have been, or None."""
    names = [harness.split_frame(frame)[0] for frame in stack.frames]
    chain = [CHAIN.fullmatch(name).groups() for name in names if CHAIN.fullmatch(name)]
    if harness.is_marked(stack) or not chain:
        return None
    letter = chain[0][0]
    if chain != [(letter, str(depth)) for depth in range(1, len(chain) + 1)]:
        return "not a chain"
    return None if names[names.index(letter + "1") - 1] == "run_" + letter else "of another greenlet"


class Greenlets(unittest.TestCase):
    def shares(self, hold):
        """Of the samples: how many cannot have been, how many are marked."""
        target = harness.Target(self, harness.Interpreter(harness.pythons.ask(PYTHON)), "greenlets.py")
        run = harness.run_sampler(self, "-p", target.pid, *harness.AT_FULL_SPEED, "-s", "2", "--hold", hold)
        harness.assert_accounts(self, run)
        faults = [(fault_of(stack), stack) for stack in run.folded]
        untrue = sum(stack.count for fault, stack in faults if fault)
        marked = sum(stack.count for stack in run.folded if harness.is_marked(stack))
        letters = {name[0] for stack in run.folded for name in stack.names if CHAIN.fullmatch(name)}
        print("%s: %d impossible of %d samples, %d marked %s" % (
            hold, untrue, run.total, marked, [pair for pair in faults if pair[0]][:2]), file=sys.stderr)
        self.assertGreater(run.total, 1000)
        self.assertEqual(letters, {"a", "b"})
        harness.assert_not_held(self, target.pid)
        return untrue / run.total, marked / run.total

    def test_held_threads_are_exact(self):
        for hold in ("ptrace", "preempt"):
            with self.subTest(hold=hold):
                untrue, marked = self.shares(hold)
                self.assertEqual(untrue, 0)
                # In the midst of a switch, which takes a good part of these chains' time, a thread has no one stack.
                self.assertLessEqual(marked, 0.05)

    def test_threads_that_are_not_held_are_mostly_true(self):
        untrue, marked = self.shares("none")
        self.assertLessEqual(untrue, 0.05)
        self.assertLessEqual(marked, 0.15)


if __name__ == "__main__":
    harness.main()
