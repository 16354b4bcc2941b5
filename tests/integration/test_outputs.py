"""What goes wrong with the output, or ends the run early, costs no data: it is written in the end, and told."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402


@harness.on_newest
class Outputs:
    def setUp(self):
        self.directory = harness.scratch(self)
        self.below = os.path.join(self.directory, "d")
        os.mkdir(self.below)
        self.path = os.path.join(self.below, "out.samp")

    def total(self, path):
        with open(path, "rb") as file:
            return sum(stack.count for stack in harness.parse_folded(file.read()))

    def said(self, sampler):
        return os.pread(sampler.errors.fileno(), 1 << 16, 0).decode()

    def test_a_directory_that_is_away_at_a_checkpoint_costs_nothing(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "inf", "-o", self.path)
        sampler.wait_samples()
        away = os.path.join(self.directory, "away")
        os.rename(self.below, away)
        harness.wait_until(lambda: "sampling goes on" in self.said(sampler) or not sampler.running(), 20,
                           "a checkpoint fails and is told")
        self.assertTrue(sampler.running(), self.said(sampler))
        os.rename(away, self.below)
        sampler.signal(signal.SIGINT)
        run = sampler.wait(30)
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertEqual(self.total(self.path), run.summary.samples)
        self.assertEqual(os.listdir(self.below), ["out.samp"])
        self.assertEqual(run.errors.count("warning"), 1, str(run))

    def test_only_the_last_write_fails_the_run_and_what_is_kept_is_told(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        read_end, write_end = os.pipe()  # which no limit on the size of files is for
        said = os.fdopen(read_end)
        self.addCleanup(said.close)
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "inf", "-o", self.path, stderr=write_end)
        os.close(write_end)
        harness.wait_until(lambda: os.path.exists(self.path), 20, "a checkpoint is written")
        kept = self.total(self.path)
        # As a disk that is full.
        subprocess.run(["prlimit", "--pid", str(sampler.pid), "--fsize=1"], check=True, timeout=10)
        sampler.signal(signal.SIGINT)
        run = sampler.wait(30)
        self.assertEqual(run.status, harness.OUTPUT, str(run))
        self.assertRegex(said.read(), r"\Asampler: cannot write '[^']+': File too large; make room, or choose another -o; "
                                      r"the file holds the first [0-9.]+ s of [0-9.]+ s\n\Z")
        self.assertEqual(self.total(self.path), kept)

    def test_a_file_that_is_a_mount_point_is_written_in_place(self):
        not_run.need_namespaces(self)
        target = harness.idle_target(self, self.interpreter, "spin")
        behind = os.path.join(self.directory, "behind")
        for path in (behind, self.path):
            with open(path, "w") as file:
                file.write("old " * 10000)
        inode = os.stat(behind).st_ino
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "inf", "-o", self.path,
                                  program=["unshare", "-m", "sh", "-c", script, behind, self.path,
                                           harness.sampler_binary()])
        harness.wait_until(lambda: os.path.getsize(behind) < 40000, 20, "a checkpoint is written")
        sampler.signal(signal.SIGINT)
        run = sampler.wait(30)
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertEqual(self.total(behind), run.summary.samples)
        self.assertEqual(os.stat(behind).st_ino, inode)
        self.assertEqual(os.listdir(self.below), ["out.samp"])
        self.assertNotIn("warning", run.errors)


@harness.on_newest
class EarlyEnds:
    def setUp(self):
        self.path = os.path.join(harness.scratch(self), "out.samp")

    def end(self, how, *options, duration="60"):
        """Samples a target that ends so before the time is up."""
        target = harness.Target(self, self.interpreter, "ends.py")
        sampler = harness.Sampler(self, "-p", target.pid, "-s", duration, "-o", self.path, *options)
        sampler.wait_samples()
        if isinstance(how, str):
            target.send(how)
        else:
            os.kill(target.pid, how)
        run = sampler.wait(30)  # a zombie by now: we wait for the target only after this
        self.assertEqual(run.status, harness.OK, str(run))
        return target, run

    def test_the_time_and_the_way_of_the_end_are_told(self):
        for how, way in (("exit", "with status 0"), ("crash", r"killed by signal 11 \(SIGSEGV\)"),
                         (signal.SIGKILL, r"killed by signal 9 \(SIGKILL\)")):
            with self.subTest(how=how):
                target, run = self.end(how)
                self.assertRegex(run.errors, r"(?m)\Asampler: process %d ended after \d+\.\d of 60 s, %s$\nticks "
                                 % (target.pid, way))
                target.close()

    def test_a_run_without_a_time_tells_the_end_too(self):
        target, run = self.end(signal.SIGTERM, duration="inf")
        self.assertRegex(run.errors, r"\Asampler: process %d ended after \d+\.\d s, killed by signal 15 \(SIGTERM\)\n"
                         % target.pid)

    def test_quiet_does_not_tell(self):
        self.assertEqual(self.end("exit", "-q")[1].errors, "")

    def run_command(self, *arguments, options=()):
        command = [self.interpreter.executable, os.path.join(harness.TARGETS, "command.py"), *map(str, arguments)]
        return harness.run_sampler(self, *options, "-o", self.path, "--", *command, expect=None)

    def test_a_command_that_ends_before_its_time_is_told(self):
        run = self.run_command("busy", 0.3, 7, options=("-s", "60"))
        self.assertEqual(run.status, 7)
        self.assertRegex(run.errors, r"\Asampler: process \d+ ended after \d\.\d of 60 s, with status 7\n")

    def test_the_end_of_a_command_without_a_time_and_of_a_run_that_was_stopped_is_none_to_tell(self):
        self.assertNotIn("ended after", self.run_command("busy", 0.3, 7).errors)
        target = harness.idle_target(self, self.interpreter, "spin")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.2", "-o", self.path)
        self.assertNotIn("ended after", run.errors)


if __name__ == "__main__":
    harness.main()
