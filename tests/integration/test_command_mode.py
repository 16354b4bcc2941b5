"""`sampler -- CMD` and `sampler -t CMD`: the command is run, sampled and never harmed; its exit status is ours."""
import json
import os
import pty
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402


@harness.on_old_and_new
class CommandMode:
    def command(self, *arguments):
        return [self.interpreter.executable, os.path.join(harness.TARGETS, "command.py")] + [str(a) for a in arguments]

    def run_command(self, *arguments, options=(), marker="--", expect=0):
        return harness.run_sampler(self, *options, marker, *self.command(*arguments), expect=expect)

    def output(self):
        return os.path.join(harness.scratch(self), "out.samp")

    def test_the_exit_status_is_the_commands(self):
        self.run_command("exit", 7, options=("-o", self.output()), expect=7)
        self.run_command("exit", 0, options=("-o", self.output()), marker="-t", expect=0)

    def test_a_signal_that_ended_it_is_128_and_its_number(self):
        self.run_command("signal", int(signal.SIGTERM), options=("-o", self.output()), expect=128 + signal.SIGTERM)
        self.run_command("signal", int(signal.SIGKILL), options=("-o", self.output()), expect=128 + signal.SIGKILL)

    def test_what_follows_is_the_commands_own(self):
        for marker in ("-t", "--"):
            with self.subTest(marker=marker):
                run = self.run_command("arguments", "-p", "1", "--", "-s", "-t", "x",
                                       options=("-o", self.output()), marker=marker)
                self.assertEqual(json.loads(run.output), ["-p", "1", "--", "-s", "-t", "x"])

    def test_it_is_sampled_until_it_ends(self):
        path = self.output()
        run = self.run_command("busy", 1, 3, options=("-o", path), expect=3)
        with open(path, "rb") as file:
            stacks = harness.parse_folded(file.read())
        total = sum(stack.count for stack in stacks)
        self.assertEqual(total, run.summary.samples)
        busy = sum(stack.count for stack in stacks if "spin_until" in stack.names)
        self.assertGreaterEqual(busy, 90 - run.summary.late, "1 s at 100 Hz")
        self.assertLessEqual(busy, run.summary.taken, "at most one in each tick")

    def test_it_is_seen_from_its_start(self):
        path = self.output()
        self.run_command("busy", 0.2, 0, options=("-o", path, "--hz", "1000"))
        with open(path, "rb") as file:
            stacks = harness.parse_folded(file.read())
        # Importing modules comes before the first line of the program.
        self.assertTrue(any("spin_until" not in stack.names for stack in stacks), "the imports are seen")

    def test_programs_that_cannot_be_run(self):
        directory = harness.scratch(self)
        plain = os.path.join(directory, "plain")
        with open(plain, "w") as file:
            file.write("no program\n")
        for program, status in (("/no/such/program", 127), ("no-such-program-anywhere", 127), (plain, 126),
                                (directory, 126)):
            with self.subTest(program=program):
                run = harness.run_sampler(self, "--", program, expect=status)
                self.assertIn(program, run.errors)
                self.assertEqual(len(run.errors.splitlines()), 1, run.errors)

    def test_our_own_failure_is_125_and_the_command_is_not_started(self):
        started = os.path.join(harness.scratch(self), "started")
        harness.run_sampler(self, "-o", "/no/such/directory/out", "--", "touch", started, expect=125)
        self.assertFalse(os.path.exists(started))

    def start_command(self, *arguments, options=()):
        """A sampler in a session of its own, its command ready. Both are gone when the test ends."""
        sampler = harness.Sampler(self, *options, "--", *self.command(*arguments), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, start_new_session=True)
        reader = harness.LineReader(sampler.process.stdout.fileno(), "the command")
        pid = json.loads(reader.line())["pid"]
        self.addCleanup(harness.end_stranger, pid)
        return sampler, reader, pid

    def test_signals_are_handed_on(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                path = self.output()
                sampler, reader, _ = self.start_command("handle", int(number), options=("-o", path, "--hz", "1000"))
                sampler.signal(number)
                self.assertEqual(json.loads(reader.line(5)), {"handled": number})
                run = sampler.wait(5)
                self.assertEqual(run.status, number, str(run))
                with open(path, "rb") as file:
                    self.assertEqual(sum(stack.count for stack in harness.parse_folded(file.read())),
                                     run.summary.samples)

    def test_a_terminal_that_goes_away_is_told_by_a_sampler_that_leads_its_session(self):
        not_run.need_terminals(self)
        path = self.output()
        command = "import os, signal, time; signal.signal(signal.SIGHUP, lambda *_: os._exit(42)); " \
                  "os.write(1, b'READY'); time.sleep(60); os._exit(1)"
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(harness.sampler_binary(), ["sampler", "-o", path, "--", self.interpreter.executable, "-c", command])
        running = [pid]
        self.addCleanup(lambda: [harness.end_stranger(each) for each in running])
        said = b""
        while b"READY" not in said:
            said += os.read(terminal, 4096)
        os.close(terminal)
        ended = harness.wait_until(lambda: [status for found, status in [os.waitpid(pid, os.WNOHANG)] if found], 20, "it ends")
        running.clear()
        self.assertEqual(os.waitstatus_to_exitcode(ended[0]), 42)
        with open(path, "rb") as file:
            harness.parse_folded(file.read())

    def test_a_time_limit_writes_lets_go_and_waits(self):
        path = self.output()
        sampler, _, pid = self.start_command("wait", options=("-o", path, "-s", "0.3"))
        harness.wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 5, "the file is written")
        harness.assert_not_held(self, pid)
        self.assertTrue(sampler.running(), "it waits for its command")
        sampler.process.stdin.write(b'"go"\n')
        sampler.process.stdin.flush()
        self.assertEqual(sampler.wait(5).status, 9)

    def test_the_command_outlives_a_killed_sampler(self):
        sampler, _, pid = self.start_command("wait", options=("-o", self.output()))
        sampler.signal(signal.SIGKILL)
        sampler.wait(5)
        harness.assert_not_held(self, pid)
        self.assertNotEqual(harness.state(pid), "")


if __name__ == "__main__":
    harness.main()
