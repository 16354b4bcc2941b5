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
                self.assertEqual(run.summary.asked, ticks, str(run))
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

    def test_the_same_target_gives_the_same_bytes(self):
        target = self.start("sleep", "sleep")
        runs = [harness.run_sampler(self, "-p", target.pid, "-s", "0.2", "--hz", "50") for _ in range(2)]
        self.assertEqual(runs[0].output, runs[1].output)


if __name__ == "__main__":
    harness.main()
