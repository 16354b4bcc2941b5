"""Every sampled stack is one that could be: two alternating call chains are never seen mixed.

SAMPLER_CHAIN_SAMPLES: how many samples all tests at full speed need together (default 30000, 100000 in long runs).
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

SAMPLES = int(os.environ.get("SAMPLER_CHAIN_SAMPLES", harness.effort(30000, 100000)))
SECONDS_AT_ONE_KILOHERTZ = harness.effort(1, 3)
MOST_RUNS = 60  # of a second each
MAIN = ("<module>", "main")
THREAD = {"_bootstrap", "_bootstrap_inner", "run", "<lambda>", "__bootstrap", "__bootstrap_inner"}
LEVEL = re.compile(r"([ab])(\d+)")


def bare(name):
    return name.rsplit(".", 1)[-1]


def root_of(names):
    """The frames above the chain when they are such as the target makes, else None."""
    root = tuple(bare(name) for name in names)
    if root == MAIN + ("spin",):
        return root
    if root and root[-1] == "spin" and all(name in THREAD for name in root[:-1]) and root[-2] == "<lambda>":
        return root
    return None


def impossible(stack):
    """Why this stack cannot have been, or None."""
    if harness.is_marked(stack):
        return None  # damaged and says so; counted apart
    frames = [harness.split_frame(frame) for frame in stack.frames]
    names = [name for name, _, _ in frames]
    first = next((index for index, name in enumerate(names) if LEVEL.fullmatch(name)), len(names))
    if root_of(names[:first]) is None:
        if names[:2] == list(MAIN) and first == len(names):
            return None  # the main thread, which listens
        return "an unknown root"
    chain = frames[first:]
    for depth, (name, file, line) in enumerate(chain, 1):
        letter = chain[0][0][0]
        if name != "%s%d" % (letter, depth):
            return "%s at depth %d of chain %s" % (name, depth, letter)
        if not file.endswith(letter + ".py"):
            return "%s in file %s" % (name, file)
        start = 3 * depth - 2
        if depth < len(chain) and line != start + 2:
            return "%s calls on line %d" % (name, line)
        if not start <= line <= start + 2:
            return "%s on line %d" % (name, line)
    return None


@harness.on_every_interpreter
class Chains:
    def collect(self, target, needed, *options):
        """Runs until `needed` samples of chains are there; returns (samples, asked, failed) after checking each."""
        samples = asked = failed = marked = 0
        reasons = collections.Counter()
        for _ in range(MOST_RUNS):
            if samples >= needed:
                break
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", *options, timeout=60)
            harness.assert_accounts(self, run)
            self.assertGreater(run.total, 0, str(run))
            for stack in run.folded:
                reason = impossible(stack)
                if reason:
                    self.fail("impossible (%s): %r" % (reason, stack))
                if harness.is_marked(stack):
                    marked += stack.count
            samples += sum(stack.count for stack in run.folded if "spin" in [bare(name) for name in stack.names])
            asked += run.summary.asked
            failed += run.summary.failed
            reasons.update(run.summary.failures)
        print("%s: 0 impossible of %d samples, %d of %d ticks failed %s, %d marked" % (
            self.id(), samples, failed, asked, dict(reasons), marked), file=sys.stderr)
        harness.assert_not_held(self, target.pid)
        self.assertGreaterEqual(samples, needed, "samples in %d runs" % MOST_RUNS)
        self.assertLessEqual(marked, 0.01 * samples, "marked stacks")
        return samples, asked, failed

    def start(self, threads):
        return harness.Target(self, self.interpreter, "chains.py", threads)

    def at_full_speed(self, threads, needed):
        self.collect(self.start(threads), needed, *harness.AT_FULL_SPEED, "-s", "1")

    def at_one_kilohertz(self, target):
        _, asked, failed = self.collect(target, 1, *harness.UNLIMITED, "--hz", "1000", "-s", SECONDS_AT_ONE_KILOHERTZ)
        self.assertEqual(asked, 1000 * SECONDS_AT_ONE_KILOHERTZ)
        self.assertLessEqual(failed, 0.01 * asked, "failed ticks")

    def test_main_thread_at_full_speed(self):
        self.at_full_speed(0, SAMPLES * 2 // 5)

    def test_one_worker_at_full_speed(self):
        self.at_full_speed(1, SAMPLES // 4)

    def of_several_threads(self, needed):
        """Without a GIL each tick waits until every thread has had a CPU to stop on: some 700 samples a second."""
        return needed // 10 if self.interpreter.free_threaded else needed

    def test_six_workers_at_full_speed(self):
        self.at_full_speed(6, self.of_several_threads(SAMPLES * 3 // 10))

    def test_six_workers_beside_a_busy_machine_at_full_speed(self):
        target = self.start(6)
        harness.Hogs(self)
        self.collect(target, self.of_several_threads(SAMPLES // 20), *harness.AT_FULL_SPEED, "-s", "1")

    def test_main_thread_at_one_kilohertz(self):
        self.at_one_kilohertz(self.start(0))

    def test_six_workers_at_one_kilohertz(self):
        self.at_one_kilohertz(self.start(6))

    def test_main_thread_beside_a_busy_machine_at_one_kilohertz(self):
        target = self.start(0)
        harness.Hogs(self)
        self.at_one_kilohertz(target)

    def test_six_workers_beside_a_busy_machine_at_one_kilohertz(self):
        target = self.start(6)
        harness.Hogs(self)
        self.at_one_kilohertz(target)


if __name__ == "__main__":
    harness.main()
