"""Truth at full speed: stacks that cannot have been, and how deep a recursion is seen to be."""
import collections
import re
import time

from bench import harness
from bench.part_peak import ALL
from bench.processes import wait_until
from bench.profilers import Ours
from bench.rounds import Alternating, target, without_file

NAME = "truth"
SECONDS = 1
# Of the recursion. At full speed one who holds nobody sees the same moment many times over, and one who holds sees only
# what the target does between two stops: neither is a fair draw.
RECURSION_HZ = 5000
ENOUGH = 100000  # stacks of the spinning thread, for the bar of none in 100,000
# Of one profiler and version, the reading of its files included: one that stops a thread may take only 2,000 a second.
MOST_SECONDS = 90
TORN = "<torn>"
# What a profiler itself says is not the whole stack.
MARKS = ("<unreadable>", "<too deep>", "<invalid>", "<unknown>", "<error>")
LEVEL = re.compile(r"([ab])(\d+)")
THREAD = {"_bootstrap", "_bootstrap_inner", "run", "<lambda>", "__bootstrap", "__bootstrap_inner"}
# Frames that a profiler adds which are no function of the target.
ADDED = {"<native>", "<GC>", "<shim>", "<trampoline>", "~"}


def chain_fault(names):
    """What a stack of tests/targets/chains.py is: "possible", "listening", "torn", "marked" or "impossible".

    Names only, no lines: profilers differ in what a line is.
    """
    names = [name for name in names if name not in ADDED]
    is_torn = bool(names) and names[-1] == TORN
    if is_torn:
        names = names[:-1]
    if any(name in MARKS for name in names):
        return "marked"
    first = next((index for index, name in enumerate(names) if LEVEL.fullmatch(name)), len(names))
    root, chain = names[:first], names[first:]
    if not chain and (root[:2] == ["<module>", "main"] or (is_torn and root == ["<module>"])):
        return "torn" if is_torn else "listening"
    if not is_root(root, is_torn and not chain):
        return "impossible"
    for depth, name in enumerate(chain, 1):
        if name != "%s%d" % (chain[0][0], depth):
            return "impossible"
    return "torn" if is_torn else "possible"


def is_root(names, may_be_cut):
    """Whether these are the frames above a chain: a thread's own, then spin()."""
    if may_be_cut:
        return all(name in THREAD or name == "spin" for name in names)
    before = list(names[:-1])
    # A thread that has just begun is in <lambda> or above; it began before anybody sampled.
    return bool(names) and names[-1] == "spin" and before[-1:] == ["<lambda>"] and all(name in THREAD for name in before)


def judged(stacks):
    """How many of the stacks are what; "listening" ones are not of the chains."""
    counts = {"possible": 0, "impossible": 0, "torn": 0, "marked": 0, "listening": 0}
    examples = []
    for names, count in stacks:
        verdict = chain_fault(names)
        counts[verdict] += count
        if verdict == "impossible" and len(examples) < 3:
            examples.append(";".join(names))
    return counts, examples


def dropped(of_chains, listening):
    """The share of moments at which the other thread, which stands still, was seen and the one of the chains was not."""
    return max(0.0, 1 - of_chains / listening) if listening else None


def recursion_fault(names):
    """What a stack of programs/recursion.py is: "possible", "listening", "torn", "marked" or "impossible"."""
    names = [name for name in names if name not in ADDED]
    if names[:1] == ["<module>"] and all(name == "listen" or name == TORN or name in MARKS for name in names[1:]):
        return "listening"
    if any(name in MARKS for name in names):
        return "marked"
    is_torn = bool(names) and names[-1] == TORN
    if is_torn:
        names = names[:-1]
    first = names.index("fib") if "fib" in names else len(names)
    root, recursion = names[:first], names[first:]
    is_whole = root[-1:] == ["spin"] and all(name in THREAD for name in root[:-1])
    is_beginning = is_torn and not recursion and all(name in THREAD for name in root)
    if not (is_whole or is_beginning) or any(name != "fib" for name in recursion):
        return "impossible"
    return "torn" if is_torn else "possible"


def depths(stacks):
    """(histogram of the number of fib() frames, its torn part, how many stacks of the recursing thread are what).

    Whatever is not surely of the main thread, which listens, is of the recursing one: what is left of a damaged stack may
    not tell.
    """
    counts = {"possible": 0, "impossible": 0, "torn": 0, "marked": 0}
    histograms = {"possible": {}, "torn": {}}
    for names, count in stacks:
        verdict = recursion_fault(names)
        if verdict == "listening":
            continue
        counts[verdict] += count
        if verdict in histograms:
            depth = sum(name == "fib" for name in names)
            histograms[verdict][depth] = histograms[verdict].get(depth, 0) + count
    return histograms["possible"], histograms["torn"], counts


def depth_row(stacks):
    """What a round of the recursion is: its shares are of all stacks of the recursing thread."""
    whole, torn, counts = depths(stacks)
    total = sum(counts.values())
    shares = {verdict + "_share": counts[verdict] / total if total else None for verdict in ("torn", "impossible", "marked")}
    return {"stacks": total, **counts, **shares, "depths": whole, "torn_depths": torn}


def measure(bench):
    """Everything of this part."""
    for python in bench.versions(ALL, ALL):
        measure_chains(bench, python)
    for python in bench.versions(ALL, ("3.10", "3.12", "3.13", "3.14", "3.15")):
        measure_recursion(bench, python)


def measure_chains(bench, python):
    """Impossible stacks, of as many as a zero needs."""
    cell = {"version": python.version}
    enough_for_peers = bench.choose(3, 1)
    taken, spent = collections.Counter(), collections.Counter()
    with bench.cell("truth: chains " + python.version), \
            target(python, "chains.py", 1, directory=harness.TARGETS) as chains:
        tools = bench.able(python)
        alternating = Alternating(tools, bench.rounds(None, None))
        for turn, tool in alternating:
            # The peers' shares are known after a few rounds; only a zero needs many samples.
            if turn >= enough_for_peers and (
                    not isinstance(tool, Ours) or taken[tool] >= ENOUGH or spent[tool] >= MOST_SECONDS):
                alternating.done(tool)
                continue

            def record():
                began = time.monotonic()
                result = tool.record(chains.pid, None, SECONDS, bench.directory)
                counts, examples = judged(tool.stacks(result.path))
                without_file(result)
                of_chains = sum(counts.values()) - counts["listening"]
                taken[tool] += of_chains
                spent[tool] += time.monotonic() - began
                return {"stacks": of_chains, **counts, "examples": examples, "errors": result.errors,
                        "impossible_share": counts["impossible"] / of_chains if of_chains else None,
                        "dropped_share": dropped(of_chains, counts["listening"])}
            if not bench.keep("chains", cell, tool.name, turn, record):
                alternating.done(tool)


def measure_recursion(bench, python):
    """How deep a recursion is seen to be, whole and torn."""
    cell = {"version": python.version, "hz": RECURSION_HZ}
    with bench.cell("truth: recursion " + python.version), target(python, "recursion.py") as recursion:
        wait_until(lambda: harness.system_call(recursion.pid)[:2] == ["0", "0x0"], 10, "the main thread listens")
        alternating = Alternating(bench.able(python), bench.rounds(12, 2))
        for turn, tool in alternating:
            def record():
                result = tool.record(recursion.pid, RECURSION_HZ, SECONDS, bench.directory)
                row = depth_row(tool.stacks(result.path))
                without_file(result)
                return row
            if not bench.keep("recursion", cell, tool.name, turn, record):
                alternating.done(tool)
