"""Truth at full speed: stacks that cannot have been, and how deep a recursion is seen to be."""
import re

from bench import harness
from bench.part_peak import ALL
from bench.profilers import Ours
from bench.rounds import Alternating, target, without_file

NAME = "truth"
SECONDS = 1
# Of the recursion. At full speed one who holds nobody sees the same moment many times over, and one who holds sees only
# what the target does between two stops: neither is a fair draw.
RECURSION_HZ = 5000
ENOUGH = 100000  # stacks of the spinning thread, for the bar of none in 100,000
MOST_ROUNDS = 40
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


def depths(stacks):
    """(histogram of the number of fib() frames, its torn part, all stacks of the recursing thread)."""
    whole, torn = {}, {}
    for names, count in stacks:
        if "spin" not in names:
            continue
        is_torn = names[-1] == TORN
        depth = sum(name == "fib" for name in names)
        histogram = torn if is_torn else whole
        histogram[depth] = histogram.get(depth, 0) + count
    return whole, torn


def measure(bench):
    """Everything of this part."""
    for python in bench.versions(ALL, ("3.12", "3.15")):
        measure_chains(bench, python)
        measure_recursion(bench, python)


def measure_chains(bench, python):
    """Impossible stacks, of as many as a zero needs."""
    cell = {"version": python.version}
    enough = bench.choose(ENOUGH, 0)
    taken = {}
    with bench.cell("truth: chains " + python.version), \
            target(python, "chains.py", 1, directory=harness.TARGETS) as chains:
        tools = bench.able(python)
        alternating = Alternating(tools, bench.rounds(MOST_ROUNDS, 2))
        for turn, tool in alternating:
            # The peers' shares are known after a few rounds; only a zero needs many samples.
            if turn >= 3 and (not isinstance(tool, Ours) or taken.get(tool, 0) >= enough):
                alternating.failed(tool)
                continue

            def record():
                result = tool.record(chains.pid, None, SECONDS, bench.directory)
                counts, examples = judged(tool.stacks(result.path))
                without_file(result)
                of_chains = sum(counts.values()) - counts["listening"]
                taken[tool] = taken.get(tool, 0) + of_chains
                return {"stacks": of_chains, **counts, "examples": examples, "errors": result.errors,
                        "impossible_share": counts["impossible"] / of_chains if of_chains else None,
                        "dropped_share": dropped(of_chains, counts["listening"])}
            if not bench.keep("chains", cell, tool.name, turn, record):
                alternating.failed(tool)


def measure_recursion(bench, python):
    """How deep a recursion is seen to be, whole and torn."""
    cell = {"version": python.version, "hz": RECURSION_HZ}
    with bench.cell("truth: recursion " + python.version), target(python, "recursion.py") as recursion:
        alternating = Alternating(bench.able(python), bench.rounds(12, 2))
        for turn, tool in alternating:
            def record():
                result = tool.record(recursion.pid, RECURSION_HZ, SECONDS, bench.directory)
                whole, torn = depths(tool.stacks(result.path))
                without_file(result)
                total, cut = sum(whole.values()), sum(torn.values())
                return {"stacks": total + cut, "torn": cut, "torn_share": cut / (total + cut) if total + cut else None,
                        "depths": whole, "torn_depths": torn}
            if not bench.keep("recursion", cell, tool.name, turn, record):
                alternating.failed(tool)
