"""The profilers that are compared, each with its own idea of a sample.

A *stack* is one thread's stack at one moment; a *tick* is a moment at which all threads were asked for. Ours counts
both. py-spy and austin count stacks only, profiling.sampling counts ticks and its file has the stacks.
"""
import dataclasses
import math
import os
import re
import time

from bench import harness, outputs, peers
from bench.processes import Cleanup, Failed, Program, run

LAUNCHER = "measured"  # in the run's directory


@dataclasses.dataclass
class Result:
    """A finished recording."""

    seconds: float  # of sampling, without the start
    stacks: int
    ended: object  # of the program
    path: str
    ticks: int = None
    asked: int = None  # ticks
    late: int = None
    failed: int = None  # ticks, or stacks where it counts these
    errors: float = None  # the share of its samples (ours: of the ticks) that failed, as it says itself
    note: str = ""  # what else it says about itself
    damaged: int = None  # stacks that are in its file and not in `stacks`
    late_stops: int = None  # of the ticks that count as taken

    def row(self):
        """What of it goes into the report's data."""
        kept = {"seconds": self.seconds, "stacks": self.stacks, "ticks": self.ticks, "asked": self.asked,
                "late": self.late, "late_stops": self.late_stops, "failed": self.failed, "damaged": self.damaged,
                "errors": self.errors, "note": self.note,
                "cpu_seconds": self.ended.cpu_seconds, "cpu_share": self.cpu_share, "peak_kib": self.ended.peak_kib}
        return {key: value for key, value in kept.items() if value not in (None, "")}

    @property
    def cpu_share(self):
        """Of one CPU, over all of the program's life."""
        return self.ended.cpu_seconds / self.ended.elapsed


class Recording:
    """A profiler at work. `ready()` is when it samples, `finish()` when it has written its file."""

    def __init__(self, profiler, program, path, seconds):
        self.profiler, self.program, self.path, self.seconds = profiler, program, path, seconds
        self.began = self.interrupted = None
        self.is_cut = False

    def ready(self):
        """Returns when it samples."""
        if self.began is None:
            self.began = self.profiler.wait_to_begin(self.program)
        return self

    def stop(self):
        """Ends its sampling when its time is up, where it does not do that itself."""
        self.ready()
        if self.profiler.endless and self.interrupted is None:
            left = self.began + self.seconds - time.monotonic()
            if self.program.wait(left) is None:
                self.program.interrupt()
            self.interrupted = time.monotonic()

    def cut(self):
        """Ends its sampling now; all of them write what they have on Ctrl-C."""
        self.ready()
        if self.program.wait(0) is None:
            self.program.interrupt()
            self.is_cut = True
        self.interrupted = time.monotonic()
        return self

    def finish(self):
        """What it wrote, once it has ended."""
        self.stop()
        ended = self.program.finish(self.seconds + 60)
        # A recording that was cut may end with any status: what it wrote tells whether it is whole.
        if ended.status not in self.profiler.good_statuses and not self.is_cut:
            raise Failed(self.program.complaint())
        try:
            return self.profiler.result(self, ended)
        except (OSError, LookupError, ValueError, AttributeError, AssertionError) as error:
            raise Failed("%s; it said: %s" % (error, self.program.complaint())) from None


def _search(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise ValueError("nothing like %r in what it said" % pattern)
    return match


def _share(part, whole):
    return part / whole if whole else None


class Profiler:
    """Base of all: `start_time` is how long it takes to begin, where nothing tells."""

    start_time = 0.3
    endless = False  # is told to stop by Ctrl-C
    suffix = ".samp"
    most_hz = 1000000
    good_statuses = (0,)
    in_quick_runs = True

    def can(self, python):
        """Whether it claims to work with this Python. What it does not claim is left out; what then fails is told."""
        return True

    def wait_to_begin(self, program):
        """Returns the moment at which it samples."""
        left = program.started + self.start_time - time.monotonic()
        ended = program.wait(left)
        # Where the machine is busy a short recording may be over before we look.
        if ended and ended.status not in self.good_statuses:
            raise Failed(program.complaint())
        return time.monotonic()

    def start(self, cleanup, pid, hz, seconds, directory):
        """Starts a recording of at least so many seconds; hz None is as fast as it can."""
        path = os.path.join(directory, "out-%d%s" % (time.monotonic_ns(), self.suffix))
        program = Program(cleanup, self.command(pid, hz, seconds, path), launcher=os.path.join(directory, LAUNCHER))
        return Recording(self, program, path, seconds)

    def record(self, pid, hz, seconds, directory):
        """A recording from its start to its end."""
        with Cleanup() as cleanup:
            return self.start(cleanup, pid, hz, seconds, directory).finish()

    def stacks(self, path):
        """(names, count) of a file."""
        with open(path, errors="replace") as file:
            yield from outputs.folded(file.read())


class Ours(Profiler):
    """The sampler, with one way to hold; `governed` leaves its limit of overhead as it is, which is otherwise off."""

    start_time = 0.15
    counts = "stacks and ticks; `<unreadable>` and `<torn>` ones are left out"

    def __init__(self, program, hold, options, governed=False, before=(), name=None):
        self.program, self.hold, self.before = program, hold, list(before)
        self.name = name or ("sampler" if hold is None else "sampler " + hold)
        self.options = ["--hold", hold] if hold else []
        if "--max-overhead" in options and not governed:
            self.options += ["--max-overhead", "0"]

    def command(self, pid, hz, seconds, path):
        return self.before + [self.program, "-p", pid, "-s", seconds, "--hz", hz or "max", "-o", path] + self.options

    def once(self, pid):
        """A command that prints one moment."""
        return [self.program, "-p", pid, "-s", "0"] + self.options

    def result(self, recording, ended):
        summary = harness.parse_summary(ended.errors)
        ran = _search(r"\(([\d.]+) per second\)", ended.errors)
        rate = float(ran.group(1))
        seconds = summary.taken / rate if rate and summary.taken else recording.seconds
        note = re.search(r"(?m)^stopped .*$", ended.errors)
        # The peers' counts are without what they could not read: so is this one.
        damaged = outputs.damaged_samples(ended.errors)
        return Result(seconds, summary.samples - damaged, ended, recording.path, summary.taken,
                      summary.asked, summary.late, summary.failed, _share(summary.failed, summary.asked),
                      note.group() if note else "", damaged, outputs.late_stops(ended.errors))


class PySpy(Profiler):
    """py-spy: records until Ctrl-C, for its -d counts samples and not seconds."""

    endless = True
    suffix = ".raw"
    counts = "stacks"

    def __init__(self, nonblocking):
        self.name = "py-spy nonblocking" if nonblocking else "py-spy"
        self.in_quick_runs = not nonblocking  # no bar needs it
        self.options = ["--idle", "--format", "raw"] + (["--nonblocking"] if nonblocking else [])

    def can(self, python):
        return not python.free_threaded and not python.musl

    def command(self, pid, hz, seconds, path):
        return peers.py_spy() + ["record", "--pid", pid, "--rate", hz or self.most_hz, "--output", path] + self.options

    def once(self, pid):
        return peers.py_spy() + ["dump", "--pid", pid]

    def wait_to_begin(self, program):
        return program.wait_for("Sampling process")

    def result(self, recording, ended):
        said = _search(r"Samples: (\d+) Errors: (\d+)", ended.output + ended.errors)
        stacks, failed = int(said.group(1)), int(said.group(2))
        return Result(recording.interrupted - recording.began, stacks, ended, recording.path, failed=failed,
                      errors=_share(failed, stacks + failed))


class Austin(Profiler):
    """austin: an interval in whole microseconds, a duration in whole seconds."""

    name = "austin"
    suffix = ".mojo"
    good_statuses = (0, 254)  # 254 is its end after the time that was asked for; what it wrote then says whether all is there
    counts = "stacks"

    def can(self, python):
        return python.version not in ("2.7", "3.6", "3.7") and not python.free_threaded and not python.musl

    def command(self, pid, hz, seconds, path):
        interval = max(1, round(1000000 / hz)) if hz else 1
        return peers.austin() + ["-i", interval, "-x", math.ceil(seconds), "-p", pid, "-o", path]

    def once(self, pid):
        return peers.austin() + ["--where", pid]

    def result(self, recording, ended):
        with open(recording.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - 4096))
            tail = file.read()
        said = {key: _search(key + r"\0([\d/,]+)\0", tail.decode("latin-1")).group(1)
                for key in ("count", "duration", "errors")}
        failed, of = (int(part) for part in said["errors"].split("/"))
        return Result(int(said["duration"]) / 1e6, int(said["count"]), ended, recording.path, failed=failed,
                      errors=_share(failed, of))

    def stacks(self, path):
        with open(path, "rb") as file:
            for _, names, _ in outputs.Mojo(file.read()).stacks:
                yield names, 1


class ProfilingSampling(Profiler):
    """CPython 3.15's own: only for the very build that it is part of."""

    start_time = 1.0
    suffix = ".collapsed"
    counts = "ticks; stacks are those of its file"

    def __init__(self, python, blocking):
        self.python = python
        self.name = "profiling.sampling" + (" --blocking" if blocking else "")
        self.options = ["--all-threads", "--collapsed"] + (["--blocking"] if blocking else [])

    def can(self, python):
        return python.executable == self.python.executable

    def command(self, pid, hz, seconds, path):
        return [self.python.executable, "-m", "profiling.sampling", "attach", "-r", hz or self.most_hz, "-d",
                math.ceil(seconds), "-o", path] + self.options + [pid]

    def once(self, pid):
        return [self.python.executable, "-m", "profiling.sampling", "dump", pid]

    def result(self, recording, ended):
        said = ended.output + ended.errors
        ticks = int(_search(r"Captured ([\d,]+) samples", said).group(1).replace(",", ""))
        rate = float(_search(r"Sample rate: ([\d.,]+)", said).group(1).replace(",", ""))
        errors = float(_search(r"Error rate: ([\d.,]+)", said).group(1)) / 100
        stacks = sum(count for _, count in self.stacks(recording.path)) if ticks else 0
        return Result(ticks / rate if rate else recording.seconds, stacks, ended, recording.path, ticks=ticks,
                      errors=errors)

    def stacks(self, path):
        with open(path, errors="replace") as file:
            yield from outputs.collapsed(file.read())


def governed(profilers):
    """Ours with nothing but its defaults, where that differs: with its limit of overhead."""
    ours = next(each for each in profilers if isinstance(each, Ours))
    if "--max-overhead" not in ours.options:
        return []
    return [Ours(ours.program, None, ("--max-overhead",), governed=True, name="sampler, overhead limited")]


def explained(profilers):
    """{name: what it counts and how it is run}, for the page."""
    found = {}
    for each in profilers:
        words = [os.path.basename(str(word)) for word in each.command("PID", 100, 10, "FILE")]
        found[each.name] = {"counts": each.counts, "command": " ".join(words)}
    return found


def holds_of(help_text):
    """The ways to hold that a sampler's --help offers; those of old have none to choose."""
    return ("ptrace", "preempt", "none") if "--hold" in help_text else ()


def default_hold(help_text):
    """The way to hold that is the default, where it says which."""
    match = re.search(r"--hold HOW[^(]*\(default (\w+)\)", help_text)
    return match.group(1) if match else None


def find(program, python_315):
    """All profilers, ours first, and what is missing of them."""
    help_text = run([program, "--help"], timeout=20).output
    options = [option for option in ("--hold", "--max-overhead") if option in help_text]
    found = [Ours(program, hold, options) for hold in (None, *holds_of(help_text))]
    for each in found:
        # The default is measured by its own name and by that of `--hold`; once is enough where there is little time.
        each.in_quick_runs = each.hold in (None, "none") or each.hold != default_hold(help_text)
    missing = [] if found[1:] else ["sampler --hold: this binary does not know it, only its default is measured"]
    for profiler in (Austin(), PySpy(False), PySpy(True)):
        words = peers.austin() if isinstance(profiler, Austin) else peers.py_spy()
        if os.path.exists(words[-1]):
            found.append(profiler)
        else:
            missing.append("%s: not installed" % profiler.name)
    if python_315 is None:
        missing.append("profiling.sampling: no CPython 3.15 (tools/pythons fetch 3.15)")
    else:
        found += [ProfilingSampling(python_315, False), ProfilingSampling(python_315, True)]
    return found, missing
