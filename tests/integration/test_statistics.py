"""Shares of samples are the shares of time that the target measured itself, within 5 sigma."""
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

FUNCTIONS = ("heavy", "medium", "light")


@harness.on_every_interpreter
class Statistics:
    def assert_shares(self, target, *options):
        target.ask("reset")
        run = harness.run_sampler(self, "-p", target.pid, *options)
        spent = target.ask("tell")
        harness.assert_accounts(self, run)
        self.assertLessEqual(run.summary.failed, 0.01 * run.summary.asked, str(run))

        total = sum(spent.values())
        counts = dict.fromkeys(spent, 0)
        for stack in run.folded:
            for name in stack.names:
                if name in counts:
                    counts[name] += stack.count
        # What falls between two functions is in neither account.
        samples = sum(counts.values())
        self.assertGreaterEqual(samples, 0.9 * run.total, "samples within the measured functions")
        for name, seconds in spent.items():
            share = seconds / total
            sigma = math.sqrt(share * (1 - share) / samples)
            print("%s: %s measured %.2f %%, sampled %.2f %% (%+.1f sigma of %d)" % (
                self.id(), name, 100 * share, 100 * counts[name] / samples,
                (counts[name] / samples - share) / sigma, samples), file=sys.stderr)
            self.assertLessEqual(abs(counts[name] / samples - share), 5 * sigma, name)

    def test_shares_of_a_mixed_workload(self):
        self.assert_shares(harness.Target(self, self.interpreter, "shares.py", "mix"), "-s", "4", "--hz", "1000",
                           *harness.UNLIMITED)

    def test_shares_of_a_mixed_workload_with_an_interval_that_was_widened(self):
        self.assert_shares(harness.Target(self, self.interpreter, "shares.py", "mix"), "-s", "3", "--hz", "10000",
                           "--max-overhead", "1")

    def test_shares_of_a_workload_whose_period_is_the_interval(self):
        self.assert_shares(harness.Target(self, self.interpreter, "shares.py", "periodic", 10),
                           "-s", "5", "-r", "0.01")


if __name__ == "__main__":
    harness.main()
