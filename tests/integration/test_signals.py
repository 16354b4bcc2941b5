"""Signals reach a target that is being sampled, as many as were sent."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

COUNT = 100
KINDS = [signal.SIGUSR1, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM, signal.SIGRTMIN + 3]


@harness.on_every_interpreter
class Signals:
    def sampled(self, target, *options):
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "inf", *(options or ("--hz", "1000")))
        sampler.wait_samples()
        return sampler

    def finish(self, sampler, target):
        self.assertTrue(sampler.running(), "the sampler ended before the test did")
        sampler.signal(signal.SIGINT)
        run = sampler.wait(5)
        self.assertEqual(run.status, harness.OK, str(run))
        harness.assert_accounts(self, run)
        harness.assert_not_held(self, target.pid)
        return run

    def hand_over(self, target, kinds):
        """Sends each signal once it has seen the one before handled."""
        for kind in kinds:
            for _ in range(COUNT):
                os.kill(target.pid, kind)
                self.assertEqual(target.answer(10), kind)

    def test_each_signal_is_handled_at_one_kilohertz(self):
        target = harness.Target(self, self.interpreter, "signals.py", *[int(kind) for kind in KINDS])
        sampler = self.sampled(target)
        self.hand_over(target, KINDS)
        self.finish(sampler, target)

    def test_each_signal_is_handled_at_full_speed(self):
        target = harness.Target(self, self.interpreter, "signals.py", *[int(kind) for kind in KINDS])
        sampler = self.sampled(target, *harness.AT_FULL_SPEED)
        self.hand_over(target, KINDS)
        self.finish(sampler, target)

    def test_the_signal_that_glibc_keeps_for_itself_reaches_every_thread(self):
        target = harness.Target(self, self.interpreter, "identities.py")
        sampler = self.sampled(target, "--hz", "1000")
        for _ in range(COUNT):
            self.assertEqual(target.ask("change"), "changed")
        self.finish(sampler, target)

    def test_terminate_ends_a_target_without_a_handler(self):
        target = harness.Target(self, self.interpreter, "signals.py")
        sampler = self.sampled(target)
        os.kill(target.pid, signal.SIGTERM)
        self.assertEqual(target.wait(2), -signal.SIGTERM)
        run = sampler.wait(1)
        self.assertEqual(run.status, harness.OK, str(run))
        harness.assert_accounts(self, run)

    def test_a_stopped_target_stays_stopped_and_goes_on_when_told(self):
        target = harness.Target(self, self.interpreter, "signals.py", int(signal.SIGUSR1))
        sampler = self.sampled(target)
        for _ in range(10):
            os.kill(target.pid, signal.SIGSTOP)
            harness.wait_until(lambda: harness.state(target.pid) in "Tt", 5, "the target is stopped")
            used = harness.cpu_seconds(target.pid)
            spent = harness.cpu_seconds(sampler.pid)
            harness.wait_until(lambda: harness.cpu_seconds(sampler.pid) > spent + 0.002, 5, "the sampler goes on")
            # Between two samples it is in T; in the middle of one it may be in t.
            harness.wait_until(lambda: harness.state(target.pid) == "T", 1, "the target is stopped still")
            self.assertLess(harness.cpu_seconds(target.pid) - used, 0.01, "a stopped target runs")
            os.kill(target.pid, signal.SIGCONT)
            os.kill(target.pid, signal.SIGUSR1)
            self.assertEqual(target.answer(5), signal.SIGUSR1)
        self.finish(sampler, target)

    def test_a_target_that_is_stopped_already_can_be_sampled(self):
        target = harness.Target(self, self.interpreter, "signals.py", int(signal.SIGUSR1))
        os.kill(target.pid, signal.SIGSTOP)
        harness.wait_until(lambda: harness.state(target.pid) == "T", 5, "the target is stopped")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", timeout=5)
        self.assertGreater(run.total, 0)
        self.assertEqual(harness.state(target.pid), "T")
        harness.assert_not_held(self, target.pid)
        os.kill(target.pid, signal.SIGCONT)
        os.kill(target.pid, signal.SIGUSR1)
        self.assertEqual(target.answer(5), signal.SIGUSR1)


if __name__ == "__main__":
    harness.main()
