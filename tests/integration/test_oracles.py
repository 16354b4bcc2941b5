"""The checks of the other tests can fail: wrong output is refused."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]
import harness  # noqa: E402
import test_chains  # noqa: E402


def chain(*names, root=("<module> (/x/chains.py:60)", "main (/x/chains.py:56)", "spin (/x/chains.py:32)")):
    frames = list(root)
    for name in names:
        frames.append("%s (%s.py:%d)" % (name, name[0], 3 * int(name[1:])))
    return harness.Stack(tuple(frame.encode() for frame in frames), 1)


class Chains(unittest.TestCase):
    def test_what_can_be_is_possible(self):
        for stack in (chain(), chain("a1"), chain("b1", "b2"), chain(*("a%d" % level for level in range(1, 21)))):
            self.assertIsNone(test_chains.impossible(stack))

    def test_mixed_chains_are_impossible(self):
        for stack in (chain("a1", "b2"), chain("a1", "a2", "a4"), chain("a2"), chain("b1", "b1"),
                      chain("a1", "a2", "b3"), chain("a1", root=("<module> (/x/chains.py:60)",)),
                      chain(root=("main (/x/chains.py:56)", "spin (/x/chains.py:32)"))):
            self.assertIsNotNone(test_chains.impossible(stack), repr(stack))

    def test_a_caller_on_a_line_that_does_not_call_is_impossible(self):
        frames = list(chain("a1", "a2").frames)
        frames[-2] = b"a1 (a.py:2)"
        self.assertIsNotNone(test_chains.impossible(harness.Stack(tuple(frames), 1)))

    def test_a_line_of_another_function_is_impossible(self):
        frames = list(chain("a1", "a2").frames)
        frames[-1] = b"a2 (a.py:9)"
        self.assertIsNotNone(test_chains.impossible(harness.Stack(tuple(frames), 1)))


class Folded(unittest.TestCase):
    def test_lines_are_read(self):
        stacks = harness.parse_folded(b"a\\x3bb (x.py:1);c\\\\n\\n (y:2) 3\nd (z) 4\n")
        self.assertEqual([(stack.frames, stack.count) for stack in stacks],
                         [((b"a;b (x.py:1)", b"c\\n\n (y:2)"), 3), ((b"d (z)",), 4)])

    def test_damaged_files_are_refused(self):
        for output in (b"a (x:1) 3", b"a (x:1)\n", b"a (x:1) 0\n", b"\n", b"a 12 3\n", b"a\tb 1\n", b"a 1\na 2\n",
                       b"a\\q 1\n", b"a (x:1) -1\n", b" 1\n"):
            with self.assertRaises(AssertionError, msg=repr(output)):
                harness.parse_folded(output)
        with self.assertRaises(UnicodeDecodeError):
            harness.parse_folded(b"\xed\xa0\x80 1\n")

    def test_a_summary_that_is_not_there_is_refused(self):
        with self.assertRaises(AssertionError):
            harness.parse_summary("ticks    3 asked\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
