"""How soon the first sample is there, and how many of those asked for are delivered."""
import os
import select
import shutil
import subprocess
import time

from bench import harness
from bench.processes import Cleanup, Failed
from bench.profilers import Ours
from bench.rounds import Alternating, target, without_file

NAME = "start"
RATES = (100, 1000, 10000)
BUSY = 4
LIMIT = 30.0
FUNCTION = b"recurse"  # of the target


def measure(bench):
    """Everything of this part."""
    measure_start(bench)
    measure_delivery(bench)


# --- the first sample --------------------------------------------------------------------------------------------

class Nothing:
    """A program that only starts and says a line: what is in everybody's time."""

    name = "(echo, no profiler)"

    def once(self, _):
        return [shutil.which("echo") or "/bin/echo", FUNCTION.decode()]


def measure_start(bench):
    """One moment of a process of one thread, by each profiler's own command for that."""
    for version in bench.choose(("3.8", "3.12", "3.13", "3.15"), ("3.12", "3.15")):
        for python in bench.versions((version,), (version,)):
            cell = {"version": version, "threads": 1, "activity": "idle"}
            with bench.cell("start: " + " ".join(map(str, cell.values()))), \
                    target(python, "stand.py", "recursion", 10, 1, "idle") as standing:
                tools = [Nothing()] + [tool for tool in bench.able(python) if "nonblocking" not in tool.name and
                                       "--blocking" not in tool.name]
                alternating = Alternating(tools, bench.rounds(20, 5))
                for turn, tool in alternating:
                    if not bench.keep(NAME, cell, tool.name, turn, lambda tool=tool: first_sample(tool.once(standing.pid))):
                        alternating.done(tool)


def first_sample(command):
    """Milliseconds from the program's start until its output names a function of the target, and to its end.

    A heading does not count: py-spy writes one before it looks.
    """
    words = [str(word) for word in command]
    began = time.perf_counter()
    with Cleanup() as cleanup:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        cleanup.callback(harness.end, process)
        output, said = b"", None
        while True:
            if not select.select([process.stdout], [], [], LIMIT)[0]:
                raise Failed("said nothing within %g s" % LIMIT)
            data = os.read(process.stdout.fileno(), 1 << 16)
            output += data
            if said is None and FUNCTION in output:
                said = time.perf_counter()
            if not data:
                break
        process.wait(LIMIT)
        ended = time.perf_counter()
    if process.returncode != 0 or said is None:
        raise Failed("exit status %d, and its output is: %r" % (process.returncode, output[-100:]))
    return {"first_ms": 1000 * (said - began), "end_ms": 1000 * (ended - began), "bytes": len(output)}


# --- delivery ----------------------------------------------------------------------------------------------------

def without_nice(bench):
    """Ours that preempts, without the right to raise its priority: what an unprivileged user has."""
    preempting = [each for each in bench.profilers if isinstance(each, Ours) and each.hold == "preempt"]
    if not preempting or not shutil.which("setpriv") or os.geteuid() != 0:
        return []
    weaker = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"]
    ours = Ours(preempting[0].program, "preempt", (), before=weaker, name="sampler preempt, no CAP_SYS_NICE")
    ours.options = preempting[0].options
    return [ours]


def measure_delivery(bench):
    """How many of the ticks asked for are taken, of a process with busy threads."""
    seconds = bench.choose(5, 1)
    for version in bench.choose(("3.12", "3.15"), ("3.12",)):
        for python in bench.versions((version,), (version,)):
            for hz in RATES:
                cell = {"version": version, "threads": BUSY + 1, "busy": BUSY, "hz": hz}
                with bench.cell("delivery: " + " ".join(map(str, cell.values()))), \
                        target(python, "busy.py", BUSY) as busy:
                    tools = bench.able(python) + without_nice(bench)
                    alternating = Alternating(tools, bench.rounds(3, 1))
                    for turn, tool in alternating:
                        def record():
                            result = without_file(tool.record(busy.pid, hz, seconds, bench.directory))
                            return {**delivered(result, hz), **result.row()}
                        if not bench.keep("delivery", cell, tool.name, turn, record):
                            alternating.done(tool)


def delivered(result, hz):
    """The share of the asked ticks that were taken: as it says itself, or by the time that it says."""
    if result.asked is not None:
        return {"delivered": result.ticks / result.asked if result.asked else None, "by": "its own count of asked ticks"}
    ticks = result.ticks if result.ticks is not None else result.stacks / (BUSY + 1)
    return {"delivered": ticks / (hz * result.seconds) if result.seconds else None, "by": "rate x time"}
