"""What the sampler takes of memory and of files, whatever the target does."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MOST_FRAMES = 1000000
DEPTH = 19000
THREADS = MOST_FRAMES // DEPTH + 8


MOST_GROWTH = 2048  # KiB


def peak(pid):
    """The most memory that a process has had so far, in KiB."""
    return int(harness.status(pid)["VmHWM"].split()[0])


@harness.on_old_and_new
class Memory:
    def test_memory_stays_flat_where_threads_come_and_go(self):
        target = harness.Target(self, self.interpreter, "churn.py", "python")
        before = target.ask("count")
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "30", "--hz", "1000", *harness.UNLIMITED)
        made = lambda: target.ask("count") - before  # noqa: E731
        harness.wait_until(lambda: made() > 1000, 20, "the first thousand threads")
        early = peak(sampler.pid)
        harness.wait_until(lambda: made() > 5000, 20, "the next four thousand")
        late = peak(sampler.pid)
        sampler.signal(signal.SIGINT)
        run = sampler.wait()
        print("%s: %d KiB, later %d" % (self.id(), early, late), file=sys.stderr)
        self.assertGreater(run.total, 1000, str(run))
        self.assertLess(late - early, MOST_GROWTH)

    def test_few_files_are_enough_for_all_threads(self):
        target = harness.idle_target(self, self.interpreter, *["sleep"] * 30)
        program = ["prlimit", "--nofile=60:60", harness.sampler_binary()]
        output = os.path.join(harness.scratch(self), "out.folded")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "-o", output, program=program, expect=None)
        self.assertNotIn("too few files", run.errors)
        self.assertEqual(run.summary.samples, 31 * (run.summary.asked - run.summary.late), str(run))
        self.assertTrue(os.path.getsize(output))

    def test_no_more_than_a_million_frames_are_copied_at_once(self):
        if self.interpreter.version < (3, 11):
            self.skipTest("so many frames are half a gigabyte of the target's memory, and of C stack")
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
