"""What every integration test needs: interpreters, targets, runs of the sampler and readers of what it prints.

Environment: SAMPLER_BINARY (the program), SAMPLER_PYTHONS (colon separated executables; unset: those found),
SAMPLER_REQUIRED_PYTHONS (space separated versions that must be among them), SAMPLER_CACHE (see pythons.py).
"""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pythons  # noqa: E402

ROOT = pythons.ROOT
TARGETS = os.path.join(ROOT, "tests", "targets")
SUPPORTED = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t",
             "3.15", "3.15t")
MARKS = ("<too deep>", "<unreadable>", "<torn>")

OK, USAGE, NO_PROCESS, PERMISSION, NOT_PYTHON, UNSUPPORTED, TRACED, OUTPUT, NO_STACK = 0, 2, 3, 4, 5, 6, 7, 8, 9


# --- interpreters ------------------------------------------------------------------------------------------------

class Interpreter:
    """A Python that targets run on."""

    def __init__(self, python):
        self.executable = python.executable
        self.name = python.name  # 3.12, 3.14t, 3.13-musl
        self.names = python.names
        self.version = tuple(int(part) for part in python.version.rstrip("t").split("."))  # (3, 12)
        self.free_threaded = python.free_threaded
        self.musl = python.musl

    def __repr__(self):
        return self.executable


def _probe(executable):
    try:
        python = pythons.ask(executable)
    except (OSError, subprocess.SubprocessError):
        return None
    return Interpreter(python) if python.version in SUPPORTED else None


def python_library(interpreter):
    """The libpython that an interpreter runs with; None where it is all in its executable."""
    code = "print([l.split()[-1] for l in open('/proc/self/maps') if 'libpython' in l][:1])"
    answer = subprocess.run([interpreter.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                            timeout=30, check=True).stdout.decode()
    return answer.strip("[]'\n") or None


def find_interpreters():
    """The interpreters to test, oldest first."""
    found = [interpreter for interpreter in map(_probe, pythons.candidates()) if interpreter]
    return sorted(found, key=lambda interpreter: (interpreter.version, interpreter.name))


def missing_versions(interpreters):
    """What SAMPLER_REQUIRED_PYTHONS names and nobody is."""
    return pythons.missing_versions({name for interpreter in interpreters for name in interpreter.names})


_interpreters = None


def interpreters():
    global _interpreters
    if _interpreters is None:
        _interpreters = find_interpreters()
    return _interpreters


def newest():
    """The newest with a GIL, where there is one."""
    return ([interpreter for interpreter in interpreters() if not interpreter.free_threaded] or interpreters())[-1]


def old_and_new():
    """The oldest, the newest and the newest free-threaded one."""
    free_threaded = [interpreter for interpreter in interpreters() if interpreter.free_threaded]
    chosen = {interpreters()[0], newest(), *free_threaded[-1:]}
    return [interpreter for interpreter in interpreters() if interpreter in chosen]


def _class_per_interpreter(cls, chosen):
    module = sys.modules[cls.__module__]
    for interpreter in chosen:
        name = "%s_%s" % (cls.__name__, re.sub(r"\W", "_", interpreter.name))
        made = type(name, (cls, unittest.TestCase), {"interpreter": interpreter, "__module__": cls.__module__})
        setattr(module, name, made)
    return cls


def on_every_interpreter(cls):
    """Makes one test case of the class for each interpreter found."""
    return _class_per_interpreter(cls, interpreters())


def on_old_and_new(cls):
    """Makes one test case of the class for each of old_and_new()."""
    return _class_per_interpreter(cls, old_and_new() if interpreters() else [])


def on_newest(cls):
    return _class_per_interpreter(cls, [newest()] if interpreters() else [])


def main():
    """Runs the calling module's tests; a required interpreter that is missing fails by name."""
    missing = missing_versions(interpreters()) if "SAMPLER_PYTHONS" not in os.environ else []
    if missing:
        sys.exit("required Python versions that were not found: " + ", ".join(missing))
    if not interpreters():
        sys.exit("no supported Python was found")
    unittest.main(module="__main__", verbosity=2)


# --- waiting -----------------------------------------------------------------------------------------------------

def wait_until(condition, timeout, what):
    """Polls what no pipe can tell (the kernel's state of a process); fails when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s" % (timeout, what))
        select.select([], [], [], 0.002)


# --- processes ---------------------------------------------------------------------------------------------------

def _status(path):
    try:
        with open(path) as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except (OSError, ValueError):
        return None


def tasks(pid):
    """/proc/PID/task/*/status of all tasks, as dictionaries by tid."""
    try:
        tids = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return {}
    found = ((int(tid), _status("/proc/%d/task/%s/status" % (pid, tid))) for tid in tids)
    return {tid: status for tid, status in found if status}


def status(pid):
    """The status of a process, as a dictionary; empty when it is gone."""
    return _status("/proc/%d/status" % pid) or {}


def state(pid):
    """The kernel's letter for the process (R, S, D, T, t, Z), or '' when it is gone."""
    status = _status("/proc/%d/status" % pid)
    return status["State"][0] if status else ""


def cpu_seconds(pid):
    """CPU time of the process's main thread."""
    try:
        with open("/proc/%d/schedstat" % pid) as file:
            return int(file.read().split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


def wait_busy(pid):
    """Until the process has computed for a while: it is past whatever came before."""
    used = lambda: sum(map(cpu_seconds, tasks(pid)))  # noqa: E731
    before = used()
    wait_until(lambda: used() > before + 0.03, 20, "process %d computes" % pid)


def wait_reading(tid, file):
    """Until the thread sits in a read of that file."""
    wait_until(lambda: system_call(tid)[:2] == ["0", hex(file)], 20, "thread %d reads" % tid)


def system_call(tid):
    """The call that a thread sits in, in the kernel's words (number, arguments, ...); ['running'] where it is in none."""
    try:
        with open("/proc/%d/syscall" % tid) as file:
            return file.read().split()
    except OSError:
        return []


def assert_not_held(test, pid):
    """No task of the process is in a tracing stop or has a tracer."""
    for tid, status in tasks(pid).items():
        test.assertNotEqual(status["State"][0], "t", "task %d of %d is left in a tracing stop" % (tid, pid))
        test.assertEqual(status["TracerPid"], "0", "task %d of %d is left traced" % (tid, pid))


class LineReader:
    """Lines of a pipe, each waited for with a limit."""

    def __init__(self, fd, what):
        self.fd, self.what, self.buffer = fd, what, b""

    def line(self, timeout=30.0):
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError("%s said nothing for %g s" % (self.what, timeout))
            data = os.read(self.fd, 1 << 16)
            if not data:
                raise EOFError("%s closed its pipe" % self.what)
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode("ascii")


class Target:
    """A Python program from tests/targets that says READY over a pipe and takes commands on its stdin.

    Killed and reaped by its own pid when the test ends, whatever happened.
    """

    def __init__(self, test, interpreter, script, *arguments, wait=True, **popen):
        path = script if os.path.isabs(script) else os.path.join(TARGETS, script)
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONIOENCODING="utf-8")
        environment.update(popen.pop("env", {}))
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [interpreter.executable, path] + [str(argument) for argument in arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0, env=environment, **popen)
        test.addCleanup(self.close)
        self.pid = self.process.pid
        self.reader = LineReader(self.process.stdout.fileno(), "target %s" % script)
        self.facts = self.answer() if wait else None

    def answer(self, timeout=60.0):
        """The next line the target says, decoded."""
        try:
            return json.loads(self.reader.line(timeout))
        except EOFError as error:
            raise AssertionError("%s; its stderr: %s" % (error, self.stderr())) from None

    def send(self, command):
        self.process.stdin.write(json.dumps(command).encode("ascii") + b"\n")

    def ask(self, command, timeout=60.0):
        self.send(command)
        return self.answer(timeout)

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")

    def wait(self, timeout=10.0):
        """Its exit status; fails when it does not end."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("the target did not end within %g s (state %s)" % (timeout, state(self.pid))) from None

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()

    def close(self):
        try:
            self.kill()
            self.wait()
        finally:
            for pipe in (self.process.stdin, self.process.stdout):
                try:
                    pipe.close()
                except OSError:
                    pass
            self.errors.close()


def idle_target(test, interpreter, *threads):
    """The target idle.py, its main thread back in its read: it may have to wait for the GIL after it is ready."""
    target = Target(test, interpreter, "idle.py", *threads)
    wait_until(lambda: system_call(target.pid)[:2] == ["0", "0x0"], 10, "the main thread reads")
    return target


class Hogs:
    """One busy process per CPU that has nothing to do with the target."""

    def __init__(self, test):
        self.processes = []
        for _ in range(os.cpu_count()):
            hog = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], stdin=subprocess.DEVNULL)
            self.processes.append(hog)
            test.addCleanup(end, hog)


def end(process, timeout=10.0):
    """Kills and reaps a Popen by its own pid."""
    if process.poll() is None:
        process.kill()
    process.wait(timeout)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def end_stranger(pid):
    """Kills a process that a child of ours started and whose pid it told."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


# --- the sampler -------------------------------------------------------------------------------------------------

def sampler_binary():
    return os.environ.get("SAMPLER_BINARY", os.path.join(ROOT, "build", "release", "sampler"))


# As many ticks as there can be, however much they slow the target down.
UNLIMITED = ("--max-overhead", "0")
AT_FULL_SPEED = ("--hz", "max") + UNLIMITED


class Run:
    """What a finished sampler left behind."""

    def __init__(self, command, status, output, errors, elapsed):
        self.command, self.status, self.output, self.elapsed = command, status, output, elapsed
        self.errors = errors.decode("utf-8", "replace")
        self._folded = self._summary = None

    @property
    def folded(self):
        if self._folded is None:
            self._folded = parse_folded(self.output)
        return self._folded

    @property
    def summary(self):
        if self._summary is None:
            self._summary = parse_summary(self.errors)
        return self._summary

    @property
    def total(self):
        return sum(stack.count for stack in self.folded)

    def __str__(self):
        return "%s\nexit status %s after %.2f s\n%s" % (" ".join(self.command), self.status, self.elapsed, self.errors)


class Sampler:
    """A running sampler; killed and reaped when the test ends. Its stdout goes to a file, so it never blocks."""

    def __init__(self, test, *arguments, program=None, **popen):
        self.command = (program or [sampler_binary()]) + [str(argument) for argument in arguments]
        self.output, self.errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", self.output)
        popen.setdefault("stderr", self.errors)
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, **popen)
        test.addCleanup(self.close)
        self.pid = self.process.pid

    def wait(self, timeout=30.0):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            end(self.process)
            raise AssertionError("the sampler did not end within %g s: %s\n%s" % (
                timeout, " ".join(self.command), _content(self.errors).decode("utf-8", "replace"))) from None
        elapsed = time.monotonic() - self.started
        return Run(self.command, status, _content(self.output), _content(self.errors), elapsed)

    def signal(self, number):
        self.process.send_signal(number)

    def running(self):
        return self.process.poll() is None

    def wait_samples(self, timeout=10.0):
        """Until the kernel's counts say that it is past its setup and in its loop."""
        def ticking():
            if not self.running():
                raise AssertionError("the sampler ended early: %s" % self.wait())
            status = _status("/proc/%d/status" % self.pid)
            return (status and int(status["voluntary_ctxt_switches"]) > 20) or cpu_seconds(self.pid) > 0.1
        wait_until(ticking, timeout, "the sampler takes samples")

    def close(self):
        end(self.process)
        self.output.close()
        self.errors.close()


def _content(file):
    file.seek(0)
    return file.read()


def run_sampler(test, *arguments, timeout=30.0, expect=OK, **popen):
    """Runs the sampler to its end. `expect` is the exit status that must come out, None for any."""
    run = Sampler(test, *arguments, **popen).wait(timeout)
    if expect is not None:
        test.assertEqual(run.status, expect, str(run))
    return run


def scratch(test):
    """A directory of the test's own, removed at its end."""
    path = tempfile.mkdtemp(prefix="sampler-test-")
    test.addCleanup(shutil.rmtree, path, True)
    return path


def build_library(test, source):
    """Compiles C source from tests/targets into a shared library for the test's interpreter and returns its path."""
    compiler = "musl-gcc" if test.interpreter.musl else os.environ.get("CC", "cc")
    path = os.path.join(scratch(test), os.path.splitext(source)[0] + ".so")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-pthread", "-o", path,
                    os.path.join(TARGETS, source)], check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


# --- what the sampler prints -------------------------------------------------------------------------------------

class Stack:
    """One line of folded output: unescaped frame texts (bytes), root first, and their count."""

    __slots__ = ("frames", "count")

    def __init__(self, frames, count):
        self.frames, self.count = frames, count

    def __repr__(self):
        return "%s %d" % (";".join(text(frame) for frame in self.frames), self.count)

    @property
    def names(self):
        return tuple(name_of(frame) for frame in self.frames)


def is_marked(stack):
    """Whether the sampler says itself that this stack is damaged or cut."""
    return any(text(frame) in MARKS for frame in stack.frames)


_ESCAPE = re.compile(rb"\\(\\|n|r|t|x[0-9a-f]{2}|u[0-9a-f]{4}|(?=.)|$)")
_LETTERS = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def unescape(escaped):
    """The UTF-8 text that a frame of folded output stands for; an escape nobody defined fails."""
    def replace(match):
        what = match.group(1)
        if not what:
            raise AssertionError("an unknown escape in %r" % escaped[:200])
        return _LETTERS.get(what) or chr(int(what[1:], 16)).encode("utf-8")
    return _ESCAPE.sub(replace, escaped) if b"\\" in escaped else escaped


def parse_folded(output):
    """Every line, strictly: anything that is not `frame;frame count` fails, and so does a stack that comes twice."""
    if output and not output.endswith(b"\n"):
        raise AssertionError("the last line is cut: %r" % output[-80:])
    output.decode("utf-8")  # all of it is valid UTF-8
    stacks, seen = [], set()
    for line in output.split(b"\n")[:-1]:
        match = re.fullmatch(rb"(.+) ([1-9][0-9]*)", line)
        if not match:
            raise AssertionError("not a folded line: %r" % line[:200])
        if re.search(rb" [0-9]+$", match.group(1)):
            raise AssertionError("flamegraph.pl takes the end of this stack for a count: %r" % line[-200:])
        if re.search(rb"[\x00-\x1f\x7f]", line):
            raise AssertionError("a control character in a line: %r" % line[:200])
        if match.group(1) in seen:
            raise AssertionError("a stack that comes twice: %r" % line[:200])
        seen.add(match.group(1))
        frames = tuple(unescape(frame) for frame in match.group(1).split(b";"))
        stacks.append(Stack(frames, int(match.group(2))))
    return stacks


def frame_text(name, file, line):
    """The frame text of `--full-paths` for what a target says of itself."""
    if line is None:
        return name + b" (" + file + b")"
    return name + b" (" + file + b":" + str(line).encode() + b")"


def pyflame_text(name, file, line):
    """The frame text of `--style pyflame`."""
    return file + b":" + name + b":" + str(line or 0).encode()


def text(frame):
    return frame.decode("utf-8", "backslashreplace")


_FRAME = re.compile(rb"(.*) \((.*):(\d+)\)", re.DOTALL)


def split_frame(frame):
    """(name, file, line) of a frame text as str, str, int; a mark has no file and line 0."""
    match = _FRAME.fullmatch(frame)
    if not match:
        return text(frame), "", 0
    return text(match.group(1)), text(match.group(2)), int(match.group(3))


def name_of(frame):
    return split_frame(frame)[0]


def thread_of(frame):
    """The tid in the root frame that `--threads` adds."""
    match = re.search(rb"\d+", frame)
    if not match:
        raise AssertionError("no thread id in the root frame %r" % frame)
    return int(match.group())


def stacks_by_thread(run):
    """The stacks of a `--threads` run without their root frame, by tid."""
    threads = {}
    for stack in run.folded:
        threads.setdefault(thread_of(stack.frames[0]), []).append(Stack(stack.frames[1:], stack.count))
    return threads


class Summary:
    """The end of the run, as printed on stderr."""

    def __init__(self, errors, ticks, samples):
        self.text = errors
        self.asked, self.taken, self.late, self.failed = (int(number) for number in ticks.groups())
        self.samples, self.threads = (int(number) for number in samples.groups())
        left_out = re.search(r"(?m)^ +(\d+) more left out\b", errors)
        self.left_out = int(left_out.group(1)) if left_out else 0
        late_stops = re.search(r"(?m)^ +(\d+) stops? came late$", errors)
        self.late_stops = int(late_stops.group(1)) if late_stops else 0
        self.failures = {why: int(count) for count, why in re.findall(r"(?m)^ +(\d+) failed: (.+)$", errors)}

    def __str__(self):
        return self.text


def parse_summary(errors):
    """Reads the summary; the only place of the tests that knows its words."""
    ticks = re.search(r"(?m)^ticks +(\d+) asked, (\d+) taken, (\d+) late, (\d+) failed\b", errors)
    samples = re.search(r"(?m)^samples +(\d+) of (\d+) threads?\b", errors)
    if not ticks or not samples:
        raise AssertionError("no summary:\n%s" % errors)
    return Summary(errors, ticks, samples)


def assert_accounts(test, run):
    """Asked = taken + late + failed, and the file's total is the summary's number of samples."""
    summary = run.summary
    test.assertEqual(summary.asked, summary.taken + summary.late + summary.failed, str(run))
    test.assertEqual(summary.failed, sum(summary.failures.values()), "failed by reason: %s" % run)
    test.assertEqual(run.total, summary.samples, str(run))


def shown(value, version):
    """How a target's name or file should read, as UTF-8, from the string it sent: its bytes as Latin-1.

    What is no text shows as Python's backslashreplace shows it; nothing shows as <unnamed>.
    """
    if version < (3, 0):
        shown_text = value.encode("latin-1").decode("utf-8", "backslashreplace")
    else:
        shown_text = re.sub("[\ud800-\udfff]", lambda match: "\\u%04x" % ord(match.group()),
                            value.encode("latin-1").decode("utf-8", "surrogatepass"))
    return shown_text.encode("utf-8") or b"<unnamed>"


def effort(short, long):
    """How much of something a test does: `long` with SAMPLER_LONG=1."""
    return long if os.environ.get("SAMPLER_LONG") == "1" else short


if __name__ == "__main__":
    # For the build: one "name groups executable" per line, oldest first; the groups are separated by commas.
    for each in interpreters():
        groups = ["EVERY"]
        if each in old_and_new():
            groups.append("OLD_AND_NEW")
        if each is newest():
            groups.append("NEWEST")
        print(each.name, ",".join(groups), each.executable)
