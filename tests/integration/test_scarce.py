"""Where there is little: one CPU for the sampler and its target, few files for many threads."""
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from test_chains import impossible  # noqa: E402

THREADS = 4000
FILES = 1024  # what most machines let a program open unless it asks for more


@harness.on_old_and_new
class Scarce:
    def test_a_thread_that_waits_for_our_cpu_is_read_without_a_stop(self):
        cpu = min(os.sched_getaffinity(0))
        target = harness.Target(self, self.interpreter, "chains.py", 0)
        os.sched_setaffinity(target.pid, {cpu})
        run = harness.run_sampler(self, "-p", target.pid, "--full-paths", "-s", "2", "--hz", "200", "--max-overhead", "0",
                                  preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
        harness.assert_accounts(self, run)
        self.assertEqual([stack for stack in run.folded if impossible(stack)], [])
        # The first of all is stopped, as is one that another program makes us wait for.
        self.assertLess(run.summary.late_stops, 0.5 * run.summary.taken, str(run))

    def test_many_threads_are_sampled_whole_with_few_files(self):
        target = harness.Target(self, self.interpreter, "many_sleepers.py", THREADS)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", timeout=60, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (FILES, FILES)))
        harness.assert_accounts(self, run)
        self.assertEqual(run.summary.failures, {})
        self.assertEqual([stack for stack in run.folded if harness.is_marked(stack)], [])
        self.assertEqual(run.total, THREADS + 1, str(run))


if __name__ == "__main__":
    harness.main()
