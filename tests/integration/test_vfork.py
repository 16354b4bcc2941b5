"""A thread that sits in vfork cannot be stopped; sampling the rest goes on meanwhile."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


@harness.on_every_interpreter
class Vfork:
    def test_a_thread_in_vfork_does_not_delay_the_others(self):
        target = harness.Target(self, self.interpreter, "vfork.py", harness.build_library(self, "slow_vfork.c"))
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "2", "--hz", "100", "--threads")
        sampler.wait_samples()
        self.assertEqual(target.ask("vfork"), "back")
        self.assertTrue(sampler.running(), "the whole of the vfork is within the run")
        run = sampler.wait(10)
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertLess(run.elapsed, 2.3)
        harness.assert_accounts(self, run)
        harness.assert_not_held(self, target.pid)

        summary = run.summary
        self.assertEqual(summary.asked, 200)
        # 50 ticks fall into the 500 ms; the holder's stop is given up for each of them after 100 ms, or answers when it
        # comes. A sampler that waited for it would miss most of the 50; other load makes a few late.
        self.assertLessEqual(summary.failed, 50, str(run))
        self.assertLessEqual(summary.late, 10, str(run))
        threads = {tid: sum(stack.count for stack in stacks)
                   for tid, stacks in harness.stacks_by_thread(run).items()}
        self.assertGreaterEqual(threads[target.facts["parked"]], 0.99 * (summary.asked - summary.late), str(run))
        self.assertGreaterEqual(threads[target.pid], 0.99 * (summary.asked - summary.failed - summary.late), str(run))


if __name__ == "__main__":
    harness.main()
