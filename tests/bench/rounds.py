"""What every measurement shares: the run's settings, targets, and rounds that are kept, failed ones too."""
import contextlib
import itertools
import os
import subprocess
import time

from bench import HERE, harness
from bench import profilers as profilers_module
from bench.processes import Cleanup, Failed, run

PROGRAMS = os.path.join(HERE, "programs")
# A program did not do it; a target did not answer, has ended, or (with numbers that are none) said something else.
FAILURES = (Failed, AssertionError, OSError, ValueError, subprocess.SubprocessError)


class Bench:
    """One run: its profilers, Pythons by version, settings, and the rows that were measured."""

    def __init__(self, profilers, pythons, directory, say, quick, rounds=None, only_versions=()):
        self.profilers, self.pythons, self.directory, self.say = profilers, pythons, directory, say
        self.quick, self.rounds_asked, self.only_versions = quick, rounds, only_versions
        self.rows, self.missing = [], []
        self.after_cell = lambda: None
        compile_program(self, profilers_module.LAUNCHER)

    def rounds(self, full, quick):
        """The numbers of the rounds; None is no limit."""
        count = self.rounds_asked or self.choose(full, quick)
        return range(count) if count else itertools.count()

    def choose(self, full, quick):
        """One of two, by whether this run is a quick one."""
        return quick if self.quick else full

    def versions(self, full, quick):
        """The Pythons there are of those wanted; a missing one is told once."""
        for version in self.choose(full, quick):
            if self.only_versions and version not in self.only_versions:
                continue
            if version in self.pythons:
                yield self.pythons[version]
            else:
                self.lack("CPython %s: none was found" % version)

    def lack(self, what):
        """Keeps what is missing, and says it once."""
        if what not in self.missing:
            self.missing.append(what)
            self.say("missing: " + what)

    def able(self, python, profilers=None):
        """Those profilers that claim to work with this Python."""
        return [each for each in profilers or self.profilers if each.can(python)]

    def path(self, name):
        """A path in the run's own directory."""
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def cell(self, what):
        """A block whose failure, such as that of a target which ended, is told and ends nothing but the block."""
        self.say(what)
        try:
            yield
        except FAILURES as failure:
            self.lack("%s: %s" % (what, first_line(failure)))
        self.after_cell()

    def keep(self, part, cell, tool, turn, measure):
        """Adds what `measure` returns as a row; its failure is a row too, and returns False."""
        row = {"part": part, **cell, "tool": tool, "round": turn}
        began = time.monotonic()
        try:
            row.update(measure())
        except FAILURES as failure:
            row["error"] = first_line(failure)
        row["load"] = round(os.getloadavg()[0], 2)
        self.rows.append(row)
        self.say("  %-26s %s (%.1f s)" % (tool, _short(row), time.monotonic() - began))
        return "error" not in row


def first_line(failure):
    """What a failure says, for the report."""
    return next(iter(str(failure).splitlines()), type(failure).__name__)[:300]


def _short(row):
    if "error" in row:
        return "failed: " + row["error"]
    left_out = {"part", "tool", "round", "load", "note", "cell"}
    shown = [(key, value) for key, value in row.items()
             if key not in left_out and isinstance(value, (int, float)) and not isinstance(value, bool)]
    return " ".join("%s=%.6g" % pair for pair in shown[:7])


class Alternating:
    """Rounds of several tools, each round beginning with another one; a tool that failed is not tried again here."""

    def __init__(self, tools, rounds):
        self.tools, self.rounds, self.left_out = list(tools), rounds, set()

    def __iter__(self):
        for turn in self.rounds:
            if len(self.left_out) == len(self.tools):
                return
            first = turn % len(self.tools)
            for tool in itertools.chain(self.tools[first:], self.tools[:first]):
                if tool not in self.left_out:
                    yield turn, tool

    def done(self, tool):
        """Leaves a tool out from now on: it failed, or has done enough."""
        self.left_out.add(tool)


@contextlib.contextmanager
def target(python, program, *arguments, directory=PROGRAMS):
    """A target that has said that it is ready; ends with the block."""
    paths = os.pathsep.join((harness.TARGETS, PROGRAMS))
    with Cleanup() as cleanup:
        yield harness.Target(cleanup, python, os.path.join(directory, program), *arguments, env={"PYTHONPATH": paths})


def compile_program(bench, name):
    """Compiles tests/bench/NAME.c; returns the program's path."""
    path = bench.path(name)
    if not os.path.exists(path):
        run([os.environ.get("CC", "cc"), "-O2", "-o", path, os.path.join(HERE, name + ".c")], timeout=120)
    return path


def without_file(result):
    """The result, its file removed: hundreds of recordings would fill a disk."""
    with contextlib.suppress(OSError):
        os.unlink(result.path)
    return result
