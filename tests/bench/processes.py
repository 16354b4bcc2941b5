"""Programs that the benchmark starts: each is ended by its own pid, whatever happens."""
import collections
import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time

from bench import harness


class Failed(Exception):
    """A program did not do what was measured; the text is for the report."""


class Cleanup(contextlib.ExitStack):
    """What the tests' harness wants of a test: a place for what has to be undone."""

    def addCleanup(self, function, *arguments):  # noqa: N802, the name is unittest's
        self.callback(function, *arguments)


Ended = collections.namedtuple("Ended", "status output errors cpu_seconds peak_kib elapsed")


class Program:
    """A running program, its output in files: it never waits for us.

    With a `launcher` (measured.c) it is that one's child, and what it took is without what we have in memory.
    """

    def __init__(self, cleanup, command, launcher=None, **popen):
        self.usage_path = "%s.%d" % (launcher, time.monotonic_ns()) if launcher else None
        self.command = ([launcher, self.usage_path] if launcher else []) + [str(word) for word in command]
        self.output, self.errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        cleanup.callback(self._close_files)
        self.started, self.ended = time.monotonic(), None
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output,
                                            stderr=self.errors, **popen)
        except OSError as error:
            raise Failed("%s: %s" % (self.command[0], error)) from None
        self.pid = self.process.pid
        try:
            self.watch = os.pidfd_open(self.pid)
        except OSError as error:
            harness.end(self.process)
            raise Failed("cannot watch %s: %s" % (self.command[0], error)) from None
        cleanup.callback(self._end)

    def wait_for(self, text, timeout=10.0):
        """The moment at which it has written this text; it is looked at each millisecond."""
        deadline = time.monotonic() + timeout
        while text not in self.said():
            if self.wait(0.001):
                raise Failed(self.complaint())
            if time.monotonic() > deadline:
                raise Failed("said nothing of %r within %g s" % (text, timeout))
        return time.monotonic()

    def interrupt(self):
        """Ctrl-C, which is how a recording without an end is told to write its file."""
        if self.ended is None:
            self.process.send_signal(signal.SIGINT)

    def wait(self, timeout):
        """What it left behind, or None where it still runs after so many seconds."""
        if self.ended is None and select.select([self.watch], [], [], max(0, timeout))[0]:
            _, status, usage = os.wait4(self.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            took = self._usage() or (usage.ru_utime + usage.ru_stime, usage.ru_maxrss, time.monotonic() - self.started)
            self.ended = Ended(self.process.returncode, _content(self.output), _content(self.errors), *took)
        return self.ended

    def finish(self, timeout):
        """What it left behind; one that does not end in time is killed, and that is a failure."""
        if self.wait(timeout) is None:
            self.kill()
            raise Failed("did not end within %g s" % timeout)
        return self.ended

    def _usage(self):
        if not self.usage_path or not os.path.exists(self.usage_path):
            return None
        with open(self.usage_path) as file:
            cpu_seconds, peak_kib, elapsed = file.read().split()
        os.unlink(self.usage_path)
        return float(cpu_seconds), int(peak_kib), float(elapsed)

    def said(self):
        """What it has written so far, on stdout and stderr."""
        return _content(self.output) + _content(self.errors)

    def complaint(self):
        """One line for the report: how it ended and what it said of it."""
        status = self.ended.status if self.ended else None
        return ("exit status %s: %s" % (status, telling_line(self.said())))[:300]

    def kill(self):
        """Ends it at once."""
        if self.ended is None and self.wait(0) is None:
            self.process.kill()
            self.wait(10)

    def _end(self):
        try:
            self.kill()
        finally:
            os.close(self.watch)

    def _close_files(self):
        for file in (self.output, self.errors):
            file.close()


_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_TELLING = re.compile(r"error|cannot|can't|unable|unsupported|not supported|denied|fail", re.IGNORECASE)


def telling_line(text):
    """The first line that sounds like a reason, else the last one."""
    lines = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
    return next(filter(_TELLING.search, lines), lines[-1] if lines else "(it said nothing)")


def _content(file):
    # pread: the file's position is the program's too.
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode("utf-8", "replace")


def children(pid):
    """The processes that a process's first thread has started."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(child) for child in file.read().split()]
    return []


def run(command, timeout=60.0, **popen):
    """Runs a program to its end; one that fails is a failure."""
    with Cleanup() as cleanup:
        program = Program(cleanup, command, **popen)
        ended = program.finish(timeout)
        if ended.status != 0:
            raise Failed(program.complaint())
        return ended


def end_on_signals():
    """Makes TERM and HUP end us as Ctrl-C does, so that what was started is ended too.

    A shell's background job begins with Ctrl-C ignored, and what it starts would inherit that; py-spy is ended by it.
    """
    def stop(number, _):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)


wait_until = harness.wait_until
