"""The ways of holding a thread still: what each does to the target, by the sampler's own system calls, and how true it
is of threads that run."""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from test_chains import impossible  # noqa: E402

CHAIN_SAMPLES = {"preempt": harness.effort(15000, 50000), "none": harness.effort(10000, 20000)}  # of each of two numbers of threads
MOST_RUNS = 50
MOST_BYTES = 8 * 12 * 1024  # a tick of 8 threads of some 5 frames


class Case:
    def results(self, name, *arguments):
        """What the sampler's calls of a system call return in a run, and the run."""
        log = os.path.join(harness.scratch(self), "strace")
        run = harness.run_sampler(self, *arguments, program=["strace", "-f", "-o", log, "-e", "trace=" + name,
                                                             harness.sampler_binary()])
        with open(log) as lines:
            return [int(result) for result in re.findall(r"\b%s\(.* = (-?\d+)" % name, lines.read())], run

    def shares(self, threads, hold):
        """Samples of alternating call chains, and how many of them never were or are marked."""
        target = harness.Target(self, self.interpreter, "chains.py", threads)
        total = untrue = marked = 0
        for _ in range(MOST_RUNS):
            if total >= CHAIN_SAMPLES[hold]:
                break
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", *harness.AT_FULL_SPEED, "-s", "1",
                                      "--hold", hold)
            harness.assert_accounts(self, run)
            for stack in run.folded:
                total += stack.count
                marked += stack.count if harness.is_marked(stack) else 0
                untrue += stack.count if impossible(stack) else 0
        print("%s: %d impossible of %d samples, %d marked" % (self.id(), untrue, total, marked), file=sys.stderr)
        self.assertGreaterEqual(total, CHAIN_SAMPLES[hold])
        harness.assert_not_held(self, target.pid)
        return untrue / total, marked / total


@harness.on_every_interpreter
class Hold(Case):
    def test_preempted_threads_are_exact(self):
        if self.interpreter.free_threaded:
            target = harness.idle_target(self, self.interpreter, "spin")
            run = harness.run_sampler(self, "-p", target.pid, "--hold", "preempt", expect=harness.USAGE)
            self.assertIn("without a GIL", run.errors)
            return
        for threads in (0, 4):
            with self.subTest(threads=threads):
                untrue, marked = self.shares(threads, "preempt")
                self.assertEqual(untrue, 0)
                self.assertLessEqual(marked, 0.01)

    def test_threads_that_are_not_held_are_mostly_true(self):
        for threads in (0, 4):
            with self.subTest(threads=threads):
                untrue, marked = self.shares(threads, "none")
                self.assertLessEqual(untrue, 0.03)
                self.assertLessEqual(marked, 0.05)

    def test_nothing_but_ptrace_traces(self):
        target = harness.idle_target(self, self.interpreter, "spin", "sleep")
        holds = ["--hold=none", "--nonblocking", "--no-stop"] + ["--hold=preempt"] * (not self.interpreter.free_threaded)
        for hold in holds:
            with self.subTest(hold=hold):
                calls, run = self.results("ptrace", "-p", target.pid, "-s", "0.5", "--hz", "200", hold)
                self.assertEqual(calls, [])
                self.assertGreater(run.summary.samples, 0, str(run))
        calls, run = self.results("ptrace", "-p", target.pid, "-s", "0.5", "--hz", "200", "--hold=ptrace")
        self.assertGreater(len(calls), 0, str(run))

    def test_steady_stacks_take_two_reads_and_few_bytes_a_tick(self):
        target = harness.idle_target(self, self.interpreter, *["sleep"] * 7)
        few, short = self.results("process_vm_readv", "-p", target.pid, "-s", "0.5", "--hz", "100")
        many, long = self.results("process_vm_readv", "-p", target.pid, "-s", harness.effort("2", "4"), "--hz", "100")
        ticks = long.summary.taken - short.summary.taken
        reads = (len(many) - len(few)) / ticks
        size = (sum(many) - sum(few)) / ticks
        print("%s: %.3f reads, %.0f bytes a tick" % (self.id(), reads, size), file=sys.stderr)
        self.assertLessEqual(round(reads, 2), 2.0)
        self.assertLessEqual(size, MOST_BYTES)

    def test_threads_that_stand_are_in_every_tick(self):
        """Also where the GIL's words alone tell that they stand: between two looks at everyone, ten milliseconds apart."""
        sleepers = 7
        target = harness.idle_target(self, self.interpreter, "spin", *["sleep"] * sleepers)
        names = ["sleep%d" % number for number in range(2, 2 + sleepers)]
        for hold in ("ptrace", "none"):
            with self.subTest(hold=hold):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "5000", "--hold", hold,
                                          *harness.UNLIMITED)
                harness.assert_accounts(self, run)
                seen = collections.Counter()
                for stack in run.folded:
                    for name in names:
                        seen[name] += stack.count if name in stack.names else 0
                for name in names:
                    self.assertGreaterEqual(seen[name], run.summary.taken, str(run))
                    self.assertLessEqual(seen[name], run.summary.taken + run.summary.failed, str(run))

    def test_threads_that_stand_are_not_read_again(self):
        if self.interpreter.free_threaded or self.interpreter.version == (2, 7):
            return  # nothing counts who has run
        sizes = []
        few, many = 1, 15
        for sleepers in (few, many):
            target = harness.idle_target(self, self.interpreter, "spin", *["sleep"] * sleepers)
            results, run = self.results("process_vm_readv", "-p", target.pid, "-s", "1", "--hold", "none",
                                        *harness.AT_FULL_SPEED)
            sizes.append(sum(results) / run.summary.taken)
        print("%s: %.0f and %.0f bytes a tick" % (self.id(), *sizes), file=sys.stderr)
        # Reading all of a thread takes four blocks of 512 bytes and more, most of them for each tick.
        self.assertLess(sizes[1] - sizes[0], (many - few) * 1536)


if __name__ == "__main__":
    harness.main()
