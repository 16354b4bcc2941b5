"""What the profilers themselves take: CPU and memory."""
import contextlib
import time

from bench import harness
from bench.processes import Cleanup, children
from bench.rounds import FAILURES, Alternating, first_line, target, without_file

NAME = "cpu"
HZ = 100
MANY = 64


def measure(bench):
    """Everything of this part."""
    measure_one(bench)
    measure_many(bench)
    measure_memory(bench)


def measure_one(bench):
    """CPU of one profiler on one target at 100 Hz, its start included."""
    seconds = bench.choose(10, 3)
    for version, threads in bench.choose([("3.12", 1), ("3.12", 33), ("3.15", 1)], [("3.12", 33)]):
        for python in bench.versions((version,), (version,)):
            cell = {"targets": 1, "version": version, "threads": threads, "activity": "busy"}
            with bench.cell("cpu: " + " ".join(map(str, cell.values()))), \
                    target(python, "stand.py", "distinct", 50, threads, "busy") as standing:
                alternating = Alternating(bench.able(python), bench.rounds(3, 1))
                for turn, tool in alternating:
                    def record():
                        result = without_file(tool.record(standing.pid, HZ, seconds, bench.directory))
                        return result.row()
                    if not bench.keep(NAME, cell, tool.name, turn, record):
                        alternating.done(tool)


def measure_many(bench):
    """CPU and memory of 64 profilers, one on each of 64 processes that wait."""
    seconds = bench.choose(10, 3)
    for version in bench.choose(("3.12", "3.15"), ("3.12",)):
        for python in bench.versions((version,), (version,)):
            cell = {"targets": MANY, "version": version, "threads": 1, "activity": "idle"}
            with bench.cell("cpu: " + " ".join(map(str, cell.values()))), Cleanup() as cleanup:
                pids = [cleanup.enter_context(target(python, "wait.py", 20)).pid
                        for _ in range(MANY)]
                alternating = Alternating(bench.able(python), bench.rounds(2, 1))
                for turn, tool in alternating:
                    if not bench.keep(NAME, cell, tool.name, turn, lambda tool=tool: together(bench, tool, pids, seconds)):
                        alternating.done(tool)


def together(bench, tool, pids, seconds):
    """One profiler on each of the targets, all at once."""
    with Cleanup() as cleanup:
        recordings = [tool.start(cleanup, pid, HZ, seconds, bench.directory) for pid in pids]
        for recording in recordings:
            recording.ready()
        for recording in recordings:
            recording.stop()
        results = [without_file(recording.finish()) for recording in recordings]
    return {"cpu_share": sum(result.cpu_share for result in results),
            "cpu_seconds": sum(result.ended.cpu_seconds for result in results),
            "peak_kib": sum(result.ended.peak_kib for result in results),
            "stacks": sum(result.stacks for result in results)}


def measure_memory(bench):
    """Memory and CPU of a long recording at 100 Hz of 150 frames: all profilers at once, each on its own target."""
    seconds = bench.choose(300, 30)
    for version in bench.choose(("3.12", "3.15"), ("3.12",)):
        for python in bench.versions((version,), (version,)):
            with bench.cell("memory: %s, %d s" % (version, seconds)):
                remember(bench, python, seconds)


def remember(bench, python, seconds):
    """All profilers at once, each on a target of its own for either variety."""
    with Cleanup() as cleanup:
        running = []
        for variety in ("few", "many"):
            cell = {"version": python.version, "depth": 150, "stacks_are": variety, "length": seconds}
            for tool in bench.able(python):
                try:
                    pid = cleanup.enter_context(target(python, "wander.py", 150, variety)).pid
                    running.append((cell, tool, tool.start(cleanup, pid, HZ, seconds, bench.directory)))
                except FAILURES as failure:
                    bench.lack("memory: %s on %s: %s" % (tool.name, python.version, first_line(failure)))
        for _, _, recording in running:
            with contextlib.suppress(*FAILURES):  # it fails again below, where that is kept
                recording.ready()
        deadline = time.monotonic() + seconds
        sizes = {}
        # What the first to start may have been asked for ends before the deadline; its memory is looked at before that.
        first = min((recording.began for _, _, recording in running if recording.began), default=deadline - seconds)
        for when, moment in (("early", deadline - seconds * 0.9), ("late", first + seconds - 1.5)):
            time.sleep(max(0, moment - time.monotonic()))
            sizes[when] = {recording: resident(recording.program.pid) for _, _, recording in running}
        for cell, tool, recording in running:
            def record(tool=tool, recording=recording):
                recording.ready()
                recording.seconds = deadline - recording.began  # one moment for all, not one after the other
                result = recording.finish()
                different = len({names for names, _ in tool.stacks(result.path)})
                without_file(result)
                return {**result.row(), "different_stacks": different, "early_kib": sizes["early"][recording],
                        "late_kib": sizes["late"][recording]}
            bench.keep("memory", cell, tool.name, 0, record)


def resident(launcher):
    """The resident memory, in KiB, of the program that measured.c has started; None where it has ended."""
    for pid in children(launcher):
        with contextlib.suppress(OSError, KeyError):
            return int(harness.tasks(pid)[pid]["VmRSS"].split()[0])
    return None
