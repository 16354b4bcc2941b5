"""Every tick is accounted for, at any rate."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


@harness.on_old_and_new
class Accounting:
    def start(self, *threads):
        return harness.idle_target(self, self.interpreter, *threads)

    def test_the_number_of_ticks_is_exact(self):
        target = self.start("spin")
        for options, ticks in ((("-s", "2", "-r", "0.01"), 200), (("-s", "0.5", "-r", "0.001"), 500),
                               (("-s", "1", "--hz", "3"), 3), (("-s", "0.25", "--hz", "5000"), 1250),
                               (("-s", "0"), 1), ((), 100)):
            with self.subTest(options=options):
                run = harness.run_sampler(self, "-p", target.pid, *options)
                self.assertEqual(run.summary.asked + run.summary.left_out, ticks, str(run))
                harness.assert_accounts(self, run)

    def test_every_tick_gives_a_sample_of_every_thread(self):
        target = self.start("sleep", "sleep", "sleep")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "500")
        self.assertEqual(run.total, 4 * run.summary.taken, str(run))
        self.assertEqual(run.summary.threads, 4)
        self.assertEqual(run.summary.failed, 0)

    def test_more_than_can_be_done(self):
        target = self.start("spin", "spin", "sleep")
        harness.Hogs(self)
        for options in (("--hz", "max"), ("--hz", "100000"), ("--hz", "5000")):
            with self.subTest(options=options):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "1", *options)
                harness.assert_accounts(self, run)
                self.assertLess(run.elapsed, 1.6)

    def test_a_limit_on_the_overhead_leaves_out_ticks_and_says_so(self):
        target = self.start("spin", "spin")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "10000", "--max-overhead", "0.1")
        harness.assert_accounts(self, run)
        self.assertGreater(run.summary.left_out, 0, str(run))
        self.assertEqual(run.summary.asked + run.summary.left_out, 10000, str(run))
        self.assertIn("over 0.1 % of the time (--max-overhead 0: no limit)", run.errors)
        self.assertLess(run.elapsed, 1.6)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hz", "max", "--max-overhead", "0.1")
        harness.assert_accounts(self, run)
        self.assertIn("not as fast as it goes, the interval up to", run.errors)

    def test_without_a_limit_no_tick_is_left_out(self):
        run = harness.run_sampler(self, "-p", self.start("spin").pid, "-s", "1", "--hz", "10000", *harness.UNLIMITED)
        harness.assert_accounts(self, run)
        self.assertEqual(run.summary.asked, 10000, str(run))

    def test_an_idle_target_needs_no_limit(self):
        run = harness.run_sampler(self, "-p", self.start("sleep").pid, "-s", "1", "--hz", "1000", "--max-overhead", "0.01")
        self.assertEqual(run.summary.asked, 1000, str(run))

    def test_the_same_target_gives_the_same_bytes(self):
        target = self.start("sleep", "sleep")
        runs = [harness.run_sampler(self, "-p", target.pid, "-s", "0.2", "--hz", "50") for _ in range(2)]
        self.assertEqual(runs[0].output, runs[1].output)


if __name__ == "__main__":
    harness.main()
