"""A file of the target on a filesystem that does not answer: a signal ends the sampler all the same."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
from hung_files import HungFiles  # noqa: E402

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def is_of_python(path):
    return "python" in os.path.basename(path)


@harness.on_newest
class HungFilesOfTheTarget:
    def setUp(self):
        self.path = os.path.join(harness.scratch(self), "out.samp")

    def test_a_signal_ends_a_sampler_that_has_sampled_nothing_yet(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        for arguments in (("-p", target.pid, "-o", self.path), ("dump", "-p", target.pid)):
            for number in ENDING:
                with self.subTest(arguments=arguments, signal=number):
                    files = HungFiles(self, is_of_python, *arguments, at_once=True)
                    files.wait_hung()
                    files.sampler.signal(number)
                    self.assertEqual(files.sampler.wait(30).status, -number)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    def test_after_an_exec_a_signal_ends_the_run_and_what_was_sampled_is_written(self):
        target = harness.Target(self, self.interpreter, "ends.py")
        files = HungFiles(self, lambda path: not path.startswith("/proc/"), "-p", target.pid, "-s", "inf", "-o", self.path)
        harness.wait_until(lambda: os.path.exists(self.path), 20, "a checkpoint is written: it samples")
        files.hang()
        target.send("exec")
        files.wait_hung()
        files.sampler.signal(signal.SIGINT)
        run = files.sampler.wait(30)
        self.assertEqual(run.status, harness.OK, str(run))
        with open(self.path, "rb") as file:
            self.assertEqual(sum(stack.count for stack in harness.parse_folded(file.read())), run.summary.samples)

    def test_a_command_gets_its_signals_and_its_status_is_ours(self):
        command = [self.interpreter.executable, os.path.join(harness.TARGETS, "command.py"), "handle", "15"]
        files = HungFiles(self, is_of_python, "-o", self.path, "--", *command, at_once=True, stdout=subprocess.PIPE)
        pid = json.loads(harness.LineReader(files.sampler.process.stdout.fileno(), "the command").line())["pid"]
        self.addCleanup(harness.end_stranger, pid)
        files.wait_hung()
        files.sampler.signal(signal.SIGTERM)
        run = files.sampler.wait(30)
        self.assertEqual(run.status, 15, str(run))
        self.assertIn("was not over", run.errors)


if __name__ == "__main__":
    harness.main()
