"""A terminal that closes, a standard error that cannot be written: the data is written and the exit status is right."""
import os
import pty
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402


def dead_pipe():
    """The writing end of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


def full_pipe(test):
    """The writing end of a pipe whose reader takes nothing, and which holds all that it can."""
    read_end, write_end = os.pipe()
    test.addCleanup(os.close, read_end)
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    return write_end


@harness.on_newest
class BrokenStreams:
    def setUp(self):
        self.directory = harness.scratch(self)

    def open(self, what):
        """A broken standard error by its name; None is a closed one."""
        if what == "closed":
            return None
        fd = {"full": lambda: os.open("/dev/full", os.O_WRONLY), "dead": dead_pipe,
              "stuck": lambda: full_pipe(self)}[what]()
        self.addCleanup(os.close, fd)
        return fd

    def run_broken(self, stream, what, *arguments):
        """The sampler with one standard stream that is broken from its start."""
        fd = self.open(what)
        if fd is None:
            redirected = {1: '"$0" "$@" >&-', 2: '"$0" "$@" 2>&-'}[stream]
            return harness.run_sampler(self, *arguments, expect=None,
                                       program=["sh", "-c", redirected, harness.sampler_binary()])
        return harness.run_sampler(self, *arguments, expect=None, **{"stdout" if stream == 1 else "stderr": fd})

    def output(self, what):
        return os.path.join(self.directory, what + ".samp")

    def assert_whole(self, path):
        """The file is whole, and holds stacks and nothing else."""
        with open(path, "rb") as file:
            stacks = harness.parse_folded(file.read())
        self.assertGreater(sum(stack.count for stack in stacks), 0)

    def command(self, *arguments):
        return [self.interpreter.executable, os.path.join(harness.TARGETS, "command.py")] + [str(a) for a in arguments]

    def test_a_process_is_sampled_without_a_standard_error(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        for what in ("closed", "full", "dead", "stuck"):
            with self.subTest(stderr=what):
                path = self.output(what)
                run = self.run_broken(2, what, "-p", target.pid, "-s", "0.2", "-o", path, "--log", "debug")
                self.assertEqual(run.status, harness.OK, str(run))
                self.assert_whole(path)

    def test_a_command_keeps_its_exit_status_without_a_standard_error(self):
        for what in ("closed", "full", "dead", "stuck"):
            with self.subTest(stderr=what):
                path = self.output(what)
                run = self.run_broken(2, what, "-o", path, "--", *self.command("busy", 0.2, 9))
                self.assertEqual(run.status, 9, str(run))
                self.assert_whole(path)

    def test_an_error_keeps_its_status_without_a_standard_error(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        for what in ("closed", "full", "dead"):
            with self.subTest(stderr=what):
                self.assertEqual(self.run_broken(2, what, "-p", gone.pid).status, harness.NO_PROCESS)
                self.assertEqual(self.run_broken(2, what, "--unknown").status, harness.USAGE)
                self.assertEqual(self.run_broken(2, what, "--", "/no/such/program").status, 127)

    def test_a_command_finds_its_closed_streams_closed(self):
        told = os.path.join(self.directory, "told")
        script = 'test -e /proc/self/fd/2 && echo open > "$0" || echo closed > "$0"'
        self.run_broken(2, "closed", "-o", self.output("x"), "--", "sh", "-c", script, told)
        with open(told) as file:
            self.assertEqual(file.read(), "closed\n")

    def test_help_that_cannot_be_written_is_an_error_of_one_line(self):
        for what in ("closed", "full"):
            for option in ("--help", "--version"):
                with self.subTest(stdout=what, option=option):
                    run = self.run_broken(1, what, option)
                    self.assertEqual(run.status, harness.OUTPUT, str(run))
                    self.assertRegex(run.errors, r"\Asampler: cannot write to standard output: [^\n]+; [^\n]+\n\Z")

    def test_help_whose_reader_goes_away_is_no_error(self):
        run = self.run_broken(1, "dead", "--help")
        self.assertEqual((run.status, run.errors), (harness.OK, ""))

    def test_a_profile_for_a_closed_standard_output_is_refused_at_once(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        for arguments in ((), ("-o", "-")):
            run = self.run_broken(1, "closed", "-p", target.pid, *arguments)
            self.assertEqual(run.status, harness.OUTPUT, str(run))
            self.assertIn("cannot write standard output: Bad file descriptor", run.errors)

    def start_on_terminal(self, controlling, on_hangup, *arguments):
        """A sampler whose streams are a terminal; and the terminal's other end."""
        not_run.need_terminals(self)
        primary, terminal = pty.openpty()
        other_end = os.fdopen(primary, "r+b", buffering=0)
        self.addCleanup(other_end.close)

        def become():
            os.setsid()
            if controlling:
                import fcntl
                import termios
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, on_hangup)
        sampler = harness.Sampler(self, *arguments, stdin=terminal, stdout=terminal, stderr=terminal,
                                  preexec_fn=become)
        os.close(terminal)
        return sampler, other_end

    def test_the_terminal_closes_during_a_run(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        for name, controlling, on_hangup, seconds in (
                ("ours", True, signal.SIG_DFL, "60"), ("ours, with HUP ignored", True, signal.SIG_IGN, "1.5"),
                ("another's", False, signal.SIG_DFL, "1.5")):
            with self.subTest(terminal=name):
                path = self.output(name)
                sampler, primary = self.start_on_terminal(controlling, on_hangup, "-p", target.pid, "-s", seconds,
                                                          "-o", path)
                progress = primary.read(100)  # the run goes on, and its progress is shown
                self.assertIn(b"sampling", progress)
                primary.close()
                run = sampler.wait(30)
                self.assertEqual(run.status, harness.OK, str(run))
                self.assert_whole(path)
                harness.assert_not_held(self, target.pid)

    def test_the_terminal_of_a_command_closes_during_a_run(self):
        path = self.output("command")
        sampler, primary = self.start_on_terminal(False, signal.SIG_DFL, "-o", path, "--",
                                                  *self.command("busy", 1.5, 9))
        self.assertIn(b"sampling", primary.read(100))
        primary.close()
        self.assertEqual(sampler.wait(30).status, 9)
        self.assert_whole(path)

    def test_a_terminal_that_is_stopped_does_not_stop_the_sampler(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        path = self.output("stopped")
        sampler, primary = self.start_on_terminal(True, signal.SIG_DFL, "-p", target.pid, "-s", "1.5", "-o", path)
        self.assertIn(b"sampling", primary.read(100))
        primary.write(b"\x13")  # Ctrl-S
        run = sampler.wait(30)
        self.assertEqual(run.status, harness.OK, str(run))
        self.assert_whole(path)


if __name__ == "__main__":
    harness.main()
