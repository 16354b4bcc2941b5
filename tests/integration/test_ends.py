"""However the target or the sampler ends: the other is not harmed and the file is whole.

SAMPLER_LONG=1 ends each 200 times instead of 50; SAMPLER_SEED repeats the moments of a run that failed.
"""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

TIMES = harness.effort(50, 200)
LONGEST = 0.15  # seconds until the end comes
HANG = 20  # seconds; the runs would take 60


@harness.on_old_and_new
class Ends:
    def setUp(self):
        seed = int(os.environ.get("SAMPLER_SEED", random.SystemRandom().randrange(1 << 30)))
        print("%s: SAMPLER_SEED=%d" % (self.id(), seed), file=sys.stderr)
        self.random = random.Random(seed)
        self.directory = harness.scratch(self)
        self.serial = 0

    def output(self):
        self.serial += 1
        return os.path.join(self.directory, "%d.folded" % self.serial)

    def pause(self):
        """A random moment: what is tested is that it does not matter which."""
        time.sleep(self.random.uniform(0, LONGEST))

    def take(self, path):
        """Reads the file strictly and removes it; nothing may lie beside it. No file is no samples."""
        if os.listdir(self.directory) == []:
            return 0
        self.assertEqual(os.listdir(self.directory), [os.path.basename(path)])
        with open(path, "rb") as file:
            stacks = harness.parse_folded(file.read())
        os.unlink(path)
        return sum(stack.count for stack in stacks)

    def assert_whole(self, run, path, too_early=(harness.NO_PROCESS,)):
        """All that was sampled is in the file. Only an end that came before the first stack may leave none."""
        total = self.take(path)
        if run.status in too_early:
            self.assertEqual(total, 0, str(run))
            return 0
        if run.status == harness.NO_STACK:  # at most marks for what could not be read
            self.assertEqual(total, run.summary.samples, str(run))
            return 0
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertEqual(total, run.summary.samples, str(run))
        self.assertGreater(total, 0, str(run))
        return total

    def end_target(self, how):
        target = harness.Target(self, self.interpreter, "ends.py")
        path = self.output()
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60", "--hz", "1000", "-o", path)
        self.pause()
        if how == "SIGKILL":
            target.kill()
        else:
            target.send(how)
        if how != "exec":
            target.wait()
        run = sampler.wait(HANG)
        if how == "exec":
            harness.assert_not_held(self, target.pid)
        sampler.close()
        target.close()
        too_early = (harness.NO_PROCESS, harness.NOT_PYTHON) if how == "exec" else (harness.NO_PROCESS,)
        return self.assert_whole(run, path, too_early)

    def end_targets(self, hows):
        sampled = 0
        for _ in range(TIMES // len(hows) + 1):
            for how in hows:
                sampled += self.end_target(how) > 0
        self.assertGreater(sampled, 0, "some runs sampled something")

    def test_the_target_is_killed(self):
        self.end_targets(["SIGKILL", "kill"])

    def test_the_target_exits(self):
        self.end_targets(["exit", "raise"])

    def test_the_target_crashes_or_becomes_another_program(self):
        self.end_targets(["crash", "exec"])

    def test_the_target_forks(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        path = self.output()
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60", "--hz", "1000", "-o", path)
        for _ in range(TIMES):
            child = target.ask("fork")
            try:
                self.assertEqual(harness.tasks(child)[child]["TracerPid"], "0")
            finally:
                os.kill(child, signal.SIGKILL)
        self.assertTrue(sampler.running())
        sampler.signal(signal.SIGTERM)
        run = sampler.wait(HANG)
        self.assert_whole(run, path)
        harness.assert_not_held(self, target.pid)

    def end_sampler(self, target, number):
        path = self.output()
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60", "--hz", "1000", "-o", path)
        self.pause()
        sampler.signal(number)
        run = sampler.wait(HANG)
        sampler.close()
        harness.assert_not_held(self, target.pid)
        if run.status == -number:  # killed, or told before it could listen: as if it had not been started
            for name in os.listdir(self.directory):
                os.unlink(os.path.join(self.directory, name))
            return 0
        self.assertNotEqual(number, signal.SIGKILL)
        return self.assert_whole(run, path)

    def test_the_sampler_is_told_to_end(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        sampled = 0
        for _ in range(TIMES // 4 + 1):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                sampled += self.end_sampler(target, number) > 0
        self.assertGreater(sampled, TIMES // 2, "most runs sampled something")

    def test_the_sampler_is_killed(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        for _ in range(TIMES):
            self.end_sampler(target, signal.SIGKILL)
        target.ask("fork")  # it runs on

    def test_a_killed_sampler_leaves_the_file_as_last_written(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        path = self.output()
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60", "--hz", "1000", "-o", path)

        def written():
            return os.path.exists(path) and os.path.getsize(path) > 0
        harness.wait_until(written, 15, "the file is written while the run goes on")
        sampler.signal(signal.SIGKILL)
        sampler.wait(HANG)
        with open(path, "rb") as file:
            self.assertGreater(sum(stack.count for stack in harness.parse_folded(file.read())), 0)
        harness.assert_not_held(self, target.pid)

    def test_the_reader_of_stdout_goes_away(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        for _ in range(TIMES):
            read_end, write_end = os.pipe()
            sampler = harness.Sampler(self, "-p", target.pid, "-s", "0.1", "--hz", "1000", stdout=write_end)
            os.close(write_end)
            self.pause()
            os.close(read_end)
            run = sampler.wait(HANG)
            self.assertIn(run.status, (harness.OK, harness.OUTPUT), str(run))
            self.assertNotIn("terminate", run.errors)
            sampler.close()
            harness.assert_not_held(self, target.pid)


if __name__ == "__main__":
    harness.main()
