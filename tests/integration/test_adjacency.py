"""Of random programs every sampled caller calls what is on top of it, and every stack begins at the thread's entry.

What calls what is told by the program itself, to sys.setprofile. SAMPLER_ADJACENCY_PROGRAMS: how many programs (default 3).
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

PROGRAMS = int(os.environ.get("SAMPLER_ADJACENCY_PROGRAMS", "3"))
SECONDS = 2
MOST_MARKED = 1e-3
FRAME = re.compile(r"(.*) \((.*?)(?::(\d+))?\)")  # a frame that has not begun may have no line


class Graph:
    """What a target says of itself."""

    def __init__(self, facts):
        self.root = facts["root"]
        self.calls = {tuple(call) for call in facts["calls"]}
        self.creations = {tuple(call) for call in facts["creations"]}
        self.lines = collections.defaultdict(set)  # of (name, line): where the code begins
        self.codes = collections.defaultdict(set)
        for name, line, first in facts["places"]:
            self.lines[name, line].add(first)
            self.codes[name].add(first)

    def fault_of(self, stack):
        """Why this stack cannot have been, or None. Marked stacks are counted apart."""
        frames = [FRAME.fullmatch(frame).groups() for frame in map(harness.text, stack.frames)]
        frames = [(name, os.path.basename(file), int(line) if line else None) for name, file, line in frames]
        depth = len(self.root)
        names = [name for name, _, _ in frames]
        if names[:depth] != self.root:
            return None if names[:2] == ["<module>", "main"] else "does not begin at its thread's entry"
        if len(frames) == depth:
            return None
        if names[depth] != "top":
            return None if names[depth].endswith("<lambda>") else "spin calls %s" % names[depth]
        for caller, callee in zip(frames[depth:], frames[depth + 1:]):
            if not self.may_call(caller, callee, is_leaf=callee is frames[-1]):
                return "%s line %s calls %s line %s" % (*caller[::2], *callee[::2])
        return None

    def may_call(self, caller, callee, is_leaf):
        (calls, _, line), (called, _, its_line) = caller, callee
        firsts = self.codes[called] if its_line is None else self.lines[called, its_line]
        if any((calls, line, called, first) in self.calls for first in firsts):
            return True
        return is_leaf and any((calls, line, called, first) in self.creations and its_line in (first, None) for first in firsts)


@harness.on_every_interpreter
class Adjacency:
    def check(self, seed, threads, holds, seconds=SECONDS):
        target = harness.Target(self, self.interpreter, "adjacency.py", seed, threads)
        graph = Graph(target.facts)
        for hold in holds:
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", "--hold", hold, *harness.AT_FULL_SPEED,
                                      "-s", seconds, timeout=60)
            harness.assert_accounts(self, run)
            marked = sum(stack.count for stack in run.folded if harness.is_marked(stack))
            faults = [(graph.fault_of(stack), stack.count) for stack in run.folded if not harness.is_marked(stack)]
            faults = [(fault, count) for fault, count in faults if fault]
            pairs = len({pair for stack in run.folded for pair in zip(stack.frames, stack.frames[1:])})
            print("%s: program %d, %s: %d impossible of %d samples, %d marked, %d pairs seen, failed %s %s" % (
                self.id(), seed, hold, sum(count for _, count in faults), run.total, marked, pairs, run.summary.failures,
                faults[:5]), file=sys.stderr)
            self.totals["samples"] += run.total
            self.totals["marked"] += marked
            self.totals["impossible"] += sum(count for _, count in faults)

    def setUp(self):
        self.totals = collections.Counter()

    def test_callers_call_what_is_on_top_of_them(self):
        holds = ["ptrace"] + ["preempt"] * (not self.interpreter.free_threaded)
        for seed in range(1, PROGRAMS + 1):
            self.check(seed, seed % 3 // 2 * 2, holds)
        self.assertEqual(self.totals["impossible"], 0)
        self.assertGreater(self.totals["samples"], 100 * PROGRAMS)
        self.assertLessEqual(self.totals["marked"], 10 + MOST_MARKED * self.totals["samples"])


if __name__ == "__main__":
    harness.main()
