"""After a fork that CPython or glibc was not told of, the threads that exist are sampled, and no others."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

# Since then a thread state has the thread's number itself.
FIRST_NUMBERED = (3, 11)
# The functions of the target that a thread may be in.
OWN = ("child", "listen", "spin", "wait_old", "wait_new", "spin_new")


@harness.on_every_interpreter
class UntoldFork:
    def fork(self, how, threads):
        target = harness.Target(self, self.interpreter, "untold_fork.py", how, threads)
        self.addCleanup(harness.end_stranger, target.facts["pid"])
        return target, target.facts["pid"]

    def sample(self, pid, *options):
        run = harness.run_sampler(self, "-p", pid, "-s", "0.4", "--threads", *options)
        harness.assert_accounts(self, run)
        leaves, marked = {}, 0
        for tid, stacks in harness.stacks_by_thread(run).items():
            for stack in stacks:
                own = [name for name in stack.names if name in OWN or name in harness.MARKS]
                leaves.setdefault(tid, set()).add(own[-1])
                marked += harness.is_marked(stack) and stack.count
        self.assertLessEqual(marked, 0.1 * run.total, str(run))  # a stop that a busy machine has no CPU for
        return run, {tid: names - set(harness.MARKS) for tid, names in leaves.items()}

    def assert_left_out(self, run, count):
        if count:
            self.assertIn("left out: %d thread state" % count, run.errors)
        else:
            self.assertNotIn("left out: ", run.errors)

    def one_thread(self, how, threads):
        target, pid = self.fork(how, threads)
        harness.wait_reading(pid, 0)
        run, leaves = self.sample(pid)
        self.assertEqual(leaves, {pid: {"listen"}}, str(run))
        self.assertEqual(run.total, run.summary.taken, str(run))
        target.send("spin")
        harness.wait_busy(pid)
        for hold in ["ptrace", "none"] + ["preempt"] * (not self.interpreter.free_threaded):
            with self.subTest(hold=hold):
                run, leaves = self.sample(pid, "--hold", hold)
                self.assertEqual(leaves, {pid: {"spin"}}, str(run))
                self.assertEqual(run.total, run.summary.taken + run.summary.failed, str(run))
                self.assert_left_out(run, threads)
        harness.assert_not_held(self, pid)

    def make_threads(self, target):
        tids = target.ask("threads")
        for tid in (target.facts["pid"], tids["wait_new"]):
            harness.wait_reading(tid, target.facts["pipe"])
        return tids

    def test_one_that_neither_was_told_of(self):
        self.one_thread("syscall", 1)

    def test_one_that_cpython_was_not_told_of(self):
        self.one_thread("libc", 1)

    def test_one_of_a_single_thread(self):
        self.one_thread("syscall", 0)

    def test_one_that_both_were_told_of(self):
        self.one_thread("told", 0)

    def test_threads_that_were_made_since(self):
        target, pid = self.fork("syscall", 2)
        tids = self.make_threads(target)
        wanted = {pid: {"child"}, tids["wait_new"]: {"wait_new"}, tids["spin_new"]: {"spin_new"}}
        if self.interpreter.musl:
            del wanted[pid]  # musl does not tell where the stacks are: while it waits, which state is its is not known
        run, leaves = self.sample(pid)
        self.assertEqual(leaves, wanted, str(run))
        self.assert_left_out(run, 2 + self.interpreter.musl)

    def test_threads_that_were_made_since_on_stacks_of_those_that_are_gone(self):
        target, pid = self.fork("libc", 2)
        tids = self.make_threads(target)
        wanted = {pid: {"child"}, tids["wait_new"]: {"wait_new"}, tids["spin_new"]: {"spin_new"}}
        if self.interpreter.musl:
            del wanted[pid]
        run, leaves = self.sample(pid)
        if self.interpreter.version < FIRST_NUMBERED:
            # Nothing tells a state left over from the one of the thread that has its struct pthread now.
            leaves = {tid: names - {"wait_old"} for tid, names in leaves.items()}
        else:
            self.assert_left_out(run, 2 + self.interpreter.musl)
        self.assertEqual(leaves, wanted, str(run))

    def test_the_dump_says_what_it_leaves_out(self):
        target, pid = self.fork("libc", 1)
        run = harness.run_sampler(self, "dump", "-p", pid)
        text = run.output.decode()
        self.assertEqual(text.count("\nthread "), 1, text)
        self.assertIn("\nleft out: 1 thread state that names no thread of the process (", text)


if __name__ == "__main__":
    harness.main()
