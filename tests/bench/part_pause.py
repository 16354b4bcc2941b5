"""What a sample costs its target, as the target sees it: gaps of a clock that is read all the time."""
import array
import statistics
import time

from bench import figures, harness
from bench.processes import Cleanup, Failed, Program, wait_until
from bench.profilers import Ours, Result, governed
from bench.rounds import Alternating, compile_program, target, without_file

NAME = "pause"
RATES = (100, 1000)
FAST = 10000  # ours only


class BareStop:
    """SEIZE, INTERRUPT, spin, DETACH of the same thread at the same rate, and no read; it waits as our sampler does."""

    name = "bare stop"

    def __init__(self, program):
        self.program = program

    def start(self, cleanup, pid, hz, seconds, directory):
        return BareRecording(Program(cleanup, [self.program, pid, hz, seconds - 1]), seconds)


class BareRecording:
    """A bare stop at work, as a recording is."""

    def __init__(self, program, seconds):
        self.program, self.seconds = program, seconds

    def ready(self):
        time.sleep(0.1)
        return self

    def cut(self):
        return self

    def finish(self):
        ended = self.program.finish(self.seconds + 10)
        if ended.status != 0:
            raise Failed(self.program.complaint())
        stops, elapsed = ended.output.split()
        return Result(float(elapsed), int(stops), ended, "", int(stops))


class Clock:
    """The target that reads its clock; `window` is what it saw in so many seconds."""

    def __init__(self, bench, watching):
        self.watching, self.file = watching, bench.path("gaps")

    def window(self, seconds):
        answer = self.watching.ask({"seconds": seconds, "file": self.file}, timeout=20 * seconds + 60)
        if answer["full"]:
            raise Failed("more gaps than the target has room for")
        gaps = array.array("q")
        with open(self.file, "rb") as file:
            gaps.frombytes(file.read())
        return {"gaps": gaps, "elapsed": answer["elapsed"], "lost": sum(gaps) / answer["elapsed"]}


def compared(before, during, after, ticks_per_second):
    """What a window with the sampler lost more than those before and after it."""
    quiet = list(before["gaps"]) + list(after["gaps"])
    weight = during["elapsed"] / (before["elapsed"] + after["elapsed"])
    lost = during["lost"] - statistics.mean((before["lost"], after["lost"]))
    ticks = ticks_per_second * during["elapsed"] / 1e9
    row = {"lost_share": lost, "quiet_share": statistics.mean((before["lost"], after["lost"])),
           "quiet_difference": after["lost"] - before["lost"],
           "ticks_per_second": ticks_per_second,
           "pause_mean_us": lost * during["elapsed"] / ticks / 1000 if ticks else None,
           "gaps": len(during["gaps"]), "quiet_gaps": weight * len(quiet)}
    for name, share in (("pause_median_us", 0.5), ("pause_p99_us", 0.99)):
        gap = figures.excess_quantile(during["gaps"], quiet, ticks, share, weight) if ticks else None
        row[name] = gap / 1000 if gap is not None else None
    return row


def cells(bench):
    """(version, threads)"""
    return bench.choose([("3.12", 1), ("3.12", 33), ("3.12", 159), ("3.15", 1), ("3.15", 33)],
                        [("3.12", 1), ("3.12", 33), ("3.12", 159)])


def tools_for(bench, python, hz):
    """The profilers of a cell, and the bare stop."""
    tools = [BareStop(compile_program(bench, "bare_stop"))] + bench.able(python)
    if bench.quick:
        return tools
    tools += governed(bench.profilers)
    return [tool for tool in tools if hz != FAST or isinstance(tool, (BareStop, Ours))]


def measure(bench):
    """Everything of this part."""
    for version, threads in cells(bench):
        for python in bench.versions((version,), (version,)):
            for hz in bench.choose((*RATES, FAST), RATES):
                cell = {"version": version, "threads": threads, "hz": hz}
                # A target of each rate's own: one that ended is not missed at the next.
                with bench.cell("pause: " + " ".join(map(str, cell.values()))), \
                        target(python, "watch.py", threads) as watching:
                    measure_cell(bench, cell, tools_for(bench, python, hz), Clock(bench, watching), watching.pid)
    measure_idle(bench)


def measure_cell(bench, cell, tools, clock, pid):
    """One rate on one target: a quiet window before and after each window with a profiler."""
    seconds = bench.choose(3, 1)
    alternating = Alternating(tools, bench.rounds(3, 1))
    quiet = [clock.window(seconds)]
    for turn, tool in alternating:
        def record():
            during, result = sampled_window(bench, clock, tool, pid, cell["hz"], seconds)
            quiet.append(clock.window(seconds))
            return {**compared(quiet[-2], during, quiet[-1], ticks_of(result, cell) / result.seconds),
                    "note": result.note}
        if not bench.keep(NAME, cell, tool.name, turn, record):
            alternating.done(tool)


def sampled_window(bench, clock, tool, pid, hz, seconds):
    """What the target saw while a profiler was at work, and that one's result."""
    with Cleanup() as cleanup:
        # Longer than the window, which lies in its middle.
        recording = tool.start(cleanup, pid, hz, seconds + 1.5, bench.directory).ready()
        time.sleep(0.15)
        during = clock.window(seconds)
        return during, without_file(recording.cut().finish())


def ticks_of(result, cell):
    """Its ticks; where it counts stacks only, one tick is a stack of each thread."""
    return result.ticks if result.ticks is not None else result.stacks / cell["threads"]


# --- an idle process ---------------------------------------------------------------------------------------------

def measure_idle(bench):
    """Whether a process in which nobody runs is woken: the kernel's count of its threads' switches."""
    for python in bench.versions(("3.12", "3.15"), ("3.12",)):
        for threads in bench.choose((1, 33, 159), (33,)):
            cell = {"version": python.version, "threads": threads, "hz": 1000}
            with bench.cell("idle: " + " ".join(map(str, cell.values()))), \
                    target(python, "stand.py", "recursion", 10, threads, "idle") as standing:
                wait_until(lambda: harness.system_call(standing.pid)[:2] == ["0", "0x0"], 10, "the main thread reads")
                for tool in bench.able(python):
                    bench.keep("idle", cell, tool.name, 0, lambda tool=tool: wakings(bench, tool, standing.pid))


def switches(pid):
    """Context switches of all threads of a process so far."""
    return sum(int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
               for status in harness.tasks(pid).values())


def wakings(bench, tool, pid):
    """The switches of a process within a recording of two seconds."""
    before = switches(pid)
    result = tool.record(pid, 1000, 2, bench.directory)
    return {"switches": switches(pid) - before, "stacks": result.stacks}

