"""Peak speed: thread-stacks per second at full speed, beside the bare reads of as many bytes."""
import re
import shutil
import statistics

from bench.processes import Failed, run
from bench.profilers import Ours, Result
from bench.rounds import FAILURES, Alternating, compile_program, first_line, target, without_file

NAME = "peak"
ALL = ("2.7", "3.8", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
# (kind, depth, threads, activity)
CELLS = [("recursion", depth, threads, "busy") for depth in (10, 50, 200, 1000) for threads in (1, 8, 33)]
CELLS += [("distinct", 10, 1, "busy"), ("distinct", 50, 1, "busy"), ("distinct", 50, 8, "busy")]
CELLS += [("recursion", 10, 8, "idle"), ("recursion", 50, 8, "idle")]
# Every pair of a version and a profiler that a bar is about, at 1, 8 and 33 threads.
QUICK_CELLS = [("recursion", depth, threads, "busy") for threads in (1, 8, 33) for depth in (10, 50)]
QUICK_VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.15")
FEWER_THREADS = ("3.10", "3.11", "3.13")  # in a quick run: there is a bar for 33 threads on any version, and one suffices
SECONDS = 1  # whole ones: austin knows no other
IDLE_CALLS = ("recursion", 10, 8, "idle")


def measure(bench):
    """Everything of this part."""
    for python in bench.versions(ALL, QUICK_VERSIONS):
        for kind, depth, threads, activity in bench.choose(CELLS, quick_cells(python.version)):
            cell = {"version": python.version, "kind": kind, "depth": depth, "threads": threads, "activity": activity}
            with bench.cell("peak: " + " ".join(map(str, cell.values()))), \
                    target(python, "stand.py", kind, depth, threads, activity) as standing:
                measure_cell(bench, cell, python, standing)
    measure_calls(bench)


def quick_cells(version):
    """The cells of a quick run."""
    return [cell for cell in QUICK_CELLS if cell[2] != 33 or version not in FEWER_THREADS]


def measure_cell(bench, cell, python, standing):
    """All profilers and the floors on one target, in turns."""
    tools = bench.able(python) + floors(bench, cell, standing)
    alternating = Alternating(tools, bench.rounds(3, 1))
    for turn, tool in alternating:
        def record():
            result = without_file(tool.record(standing.pid, None, SECONDS, bench.directory))
            return {"stacks_per_second": result.stacks / result.seconds, **result.row()}
        if not bench.keep(NAME, cell, tool.name, turn, record):
            alternating.done(tool)


# --- the floor ---------------------------------------------------------------------------------------------------

class Floor:
    """The same bytes by one bare process_vm_readv a tick, over and over; a tick is as many stacks as there are threads."""

    def __init__(self, program, name, threads, pieces):
        self.program, self.name, self.threads, self.pieces = program, name, threads, pieces

    def record(self, pid, _, seconds, directory):
        words = ["%x:%d" % piece for piece in self.pieces]
        ended = run([self.program, pid, seconds] + words, timeout=seconds + 30)
        reads, elapsed, _, cut = ended.output.split()
        if int(cut):
            raise Failed("%s of %s reads were cut short" % (cut, reads))
        return Result(float(elapsed), int(reads) * self.threads, ended, "", int(reads),
                      note="%d bytes in %d pieces" % (sum(size for _, size in self.pieces), len(self.pieces)))


def fastest_of_ours(bench):
    """Ours that holds nobody, where this sampler can do that; else its default."""
    ours = [each for each in bench.profilers if isinstance(each, Ours)]
    return next((each for each in ours if each.hold == "none"), ours[0])


def floors(bench, cell, standing):
    """Both floors for what one steady tick of ours reads of this target at full speed."""
    try:
        program = compile_program(bench, "floor")
        ticks = by_head(traced_calls(bench, fastest_of_ours(bench), standing.pid, None, 1))
    except FAILURES as failure:
        bench.lack("the kernel's floor of %s, %d threads of depth %d: %s" % (
            cell["version"], cell["threads"], cell["depth"], first_line(failure)))
        return []
    pieces = steady_pieces(ticks)
    size = sum(size for _, size in pieces)
    found = [Floor(program, "floor, same pieces", cell["threads"], pieces)]
    if size <= standing.facts["size"]:
        found.append(Floor(program, "floor, one piece", cell["threads"], [(standing.facts["region"], size)]))
    return found


_CALL = re.compile(r"^([\d.]+) process_vm_readv\(\d+, .*\], \d+, \[(.*)\], \d+, 0\) += (-?\d+)", re.MULTILINE)
_PIECE = re.compile(r"iov_base=(0x[0-9a-f]+|NULL), iov_len=(\d+)")


def parse_calls(text):
    """[(moment, [(address, bytes)])] of strace's lines."""
    return [(float(moment), [(int(base, 16), int(size)) for base, size in _PIECE.findall(remote) if base != "NULL"])
            for moment, remote, _ in _CALL.findall(text)]


def in_ticks(calls, pause=0.002):
    """The calls in groups that follow each other without a pause."""
    groups, last = [], None
    for moment, pieces in calls:
        if last is None or moment - last > pause:
            groups.append([])
        groups[-1].append(pieces)
        last = moment
    return groups


def by_head(calls):
    """The calls in groups that begin as the most usual call does: the ticks of a recording at full speed."""
    if not calls:
        raise Failed("strace saw no read of ours")
    heads = [pieces[0] for _, pieces in calls if pieces]
    usual = max(set(heads), key=heads.count)
    groups = []
    for _, pieces in calls:
        if pieces[:1] == [usual]:
            groups.append([])
        if groups:
            groups[-1].append(pieces)
    return groups


def traced_calls(bench, ours, pid, hz, seconds):
    """The process_vm_readv calls of a recording of ours, without those of its first half: its start is not what is steady."""
    if not shutil.which("strace"):
        raise Failed("strace is missing; tools/setup bench installs it")
    log = bench.path("strace")
    run(["strace", "-qq", "-ttt", "-s", "0", "-e", "trace=process_vm_readv", "-e", "abbrev=none", "-o", log] +
        ours.command(pid, hz, seconds, bench.path("traced.samp")), timeout=seconds + 60)
    with open(log, errors="replace") as file:
        found = parse_calls(file.read())
    half = (found[0][0] + found[-1][0]) / 2 if found else 0
    return [call for call in found if call[0] >= half]


def steady_pieces(ticks):
    """What a usual tick reads: the pieces of the tick whose number of bytes is the median, of all its calls together."""
    sizes = [sum(size for call in tick for _, size in call) for tick in ticks]
    usual = statistics.median_low(sizes)
    return [piece for call in ticks[sizes.index(usual)] for piece in call]


# --- calls a tick ------------------------------------------------------------------------------------------------

def measure_calls(bench):
    """process_vm_readv calls and bytes a tick, of a target in which nobody runs and of one with a runner."""
    for python in bench.versions(ALL, ("3.12", "3.15")):
        for activity in ("idle", "busy"):
            cell = {"version": python.version, "depth": 10, "threads": 8, "activity": activity}
            with bench.cell("calls: " + " ".join(map(str, cell.values()))), \
                    target(python, "stand.py", "recursion", 10, 8, activity) as standing:
                for ours in bench.profilers:
                    if isinstance(ours, Ours):
                        bench.keep("calls", cell, ours.name, 0, lambda ours=ours: calls(bench, ours, standing.pid))


def calls(bench, ours, pid):
    """What strace saw of the ticks of ours."""
    ticks = in_ticks(traced_calls(bench, ours, pid, 100, bench.choose(4, 1)))
    if not ticks:
        raise Failed("strace saw no read of ours")
    counts = [len(tick) for tick in ticks]
    sizes = [sum(size for call in tick for _, size in call) for tick in ticks]
    return {"calls_per_tick": statistics.median(counts), "most_calls": max(counts), "mean_calls": statistics.mean(counts),
            "bytes_per_tick": statistics.median(sizes), "ticks": len(ticks)}
