"""What idles is not touched, and the modes keep the threads that they say."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


@harness.on_every_interpreter
class Idle:
    def start(self, *threads):
        return harness.idle_target(self, self.interpreter, *threads)

    def test_an_idle_target_is_never_woken(self):
        target = self.start("sleep", "sleep")
        asleep = lambda: all(status["State"][0] == "S" for status in harness.tasks(target.pid).values())  # noqa: E731
        harness.wait_until(asleep, 5, "every thread of the target sleeps")

        def switches():
            return {tid: (status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"])
                    for tid, status in harness.tasks(target.pid).items()}
        before = switches()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "1000")
        self.assertEqual(switches(), before)
        self.assertGreaterEqual(run.summary.taken, 800, str(run))  # the others are late, with the machine busy
        self.assertEqual(run.total, 3 * run.summary.taken, "every thread at every tick")
        self.assertEqual(target.ask("anyone"), "here")

    def counts(self, target, *options):
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "200", "--threads", *options)
        harness.assert_accounts(self, run)
        by_tid = {tid: sum(stack.count for stack in stacks)
                  for tid, stacks in harness.stacks_by_thread(run).items()}
        names = {tid: name for name, tid in target.facts["tids"].items()}
        return run, {names.get(tid, "main"): count for tid, count in by_tid.items()}

    def test_wall_keeps_every_thread(self):
        target = self.start("spin", "sleep")
        run, counts = self.counts(target, "--mode", "wall")
        self.assertEqual(counts, dict.fromkeys(("main", "spin1", "sleep2"), run.summary.taken))

    def test_active_keeps_what_runs_and_what_waits_for_the_gil(self):
        target = self.start("spin", "spin", "sleep")
        for options in (("--mode", "active"), ("-x",)):
            with self.subTest(options=options):
                run, counts = self.counts(target, *options)
                self.assertEqual(sorted(counts), ["spin1", "spin2"], str(run))
                # With musl nothing tells that a thread waits for the GIL: its futex is not in the GIL's lock.
                least = 0.9 if not self.interpreter.musl else 0.3
                for name in ("spin1", "spin2"):
                    self.assertGreaterEqual(counts[name], least * run.summary.taken, str(counts))

    def test_cpu_keeps_what_runs(self):
        target = self.start("spin", "sleep")
        run, counts = self.counts(target, "--mode", "cpu")
        self.assertEqual(list(counts), ["spin1"], str(run))
        self.assertGreaterEqual(counts["spin1"], 0.9 * run.summary.taken)

    def test_gil_keeps_the_holder(self):
        target = self.start("spin", "spin", "sleep")
        for options in (("--mode", "gil"), ("-g",), ("-g", "-x")):
            with self.subTest(options=options):
                run, counts = self.counts(target, *options)
                self.assertLessEqual(set(counts), {"spin1", "spin2"}, str(run))
                # Free-threaded, both run at once: that is what stands for holding the GIL.
                most = 2 if self.interpreter.free_threaded else 1
                self.assertLessEqual(run.total, most * (run.summary.asked - run.summary.late), "holders a tick")
                # 2.7 lets go of its GIL every 100 instructions, and it stays free until the next one wakes up.
                least = 0.9 if self.interpreter.version > (3, 0) else 0.4
                self.assertGreaterEqual(run.total, least * run.summary.taken, str(counts))
                # Both get the GIL: no thread is missing because it is the other's holder.
                self.assertGreaterEqual(min(counts.get("spin1", 0), counts.get("spin2", 0)), 0.1 * run.total,
                                        str(counts))

    def test_gil_keeps_the_holder_that_is_not_held_still(self):
        target = self.start("spin", "sleep")
        run, counts = self.counts(target, "-g", "--hold", "none")
        self.assertEqual(list(counts), ["spin1"], str(run))
        self.assertGreaterEqual(counts["spin1"], 0.9 * run.summary.taken, str(run))

    def test_idle_time_is_told_where_nobody_is_held_still(self):
        for threads, least, most in ((("sleep",), 0.9, 1), (("spin", "sleep"), 0, 0.1)):
            with self.subTest(threads=threads):
                run = harness.run_sampler(self, "-p", self.start(*threads).pid, "-s", "0.5", "--hz", "200",
                                          "--hold", "none", "--style", "pyflame", "-g")
                idle = sum(stack.count for stack in run.folded if stack.frames == (b"(idle)",))
                self.assertGreaterEqual(idle, least * run.summary.taken, str(run))
                self.assertLessEqual(idle, most * run.summary.taken, str(run))

    def test_nobody_holds_the_gil_of_an_idle_target(self):
        target = self.start("sleep")
        for options in (("-g",), ("-x",), ("--mode", "cpu")):
            with self.subTest(options=options):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "0.3", *options, expect=None)
                self.assertEqual(run.total, 0, str(run))
                self.assertIn(run.status, (harness.OK, harness.NO_STACK), str(run))

    def test_a_process_that_never_made_a_thread_has_a_holder(self):
        target = harness.Target(self, self.interpreter, "single.py", "spin")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hz", "200", "-g")
        self.assertEqual({stack.names for stack in run.folded}, {("<module>", "spin")})
        self.assertGreaterEqual(run.total, 0.9 * run.summary.taken, str(run))

    def test_a_process_that_never_made_a_thread_and_sleeps(self):
        target = harness.Target(self, self.interpreter, "single.py", "sleep")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.2")
        self.assertEqual({stack.names for stack in run.folded}, {("<module>", "sleep")})
        self.assertEqual(run.total, run.summary.taken)
        asleep = harness.run_sampler(self, "-p", target.pid, "-s", "0.2", "-x", expect=None)
        self.assertEqual(asleep.total, 0, str(asleep))


if __name__ == "__main__":
    harness.main()
