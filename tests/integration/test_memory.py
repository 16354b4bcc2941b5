"""How much memory the sampler takes, whatever the target does."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MOST_FRAMES = 1000000
DEPTH = 19000
THREADS = MOST_FRAMES // DEPTH + 8


@harness.on_newest
class Memory:
    def test_no_more_than_a_million_frames_are_copied_at_once(self):
        target = harness.Target(self, self.interpreter, "deep_threads.py", THREADS, DEPTH)
        for hold in ("ptrace", "none"):
            with self.subTest(hold=hold):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--hold", hold)
                harness.assert_accounts(self, run)
                self.assertEqual(run.total, THREADS + 1, "every thread is a sample")
                marked = sum(stack.count for stack in run.folded if harness.is_marked(stack))
                whole = sum(stack.count for stack in run.folded if len(stack.frames) > DEPTH)
                self.assertEqual(marked + whole, THREADS + 1, "a stack is whole or marked")
                self.assertLessEqual(abs(whole - MOST_FRAMES // DEPTH), 1)


if __name__ == "__main__":
    harness.main()
