"""The parts of a thread's stack in several interpreters are joined, the inner one first, and are true."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

SAMPLES = harness.effort(4000, 8000)
SECONDS = harness.effort(1, 2)
MOST_RUNS = 10
LEVEL = re.compile(r"([ab])(\d+)")
# The first that has a module for them; those before can only be given some by the C API.
FIRST_WITH_MODULE = (3, 8)
# In 3.8 and 3.9 only the thread's C stack tells which interpreter it runs. Where that has not enough, the inner part is
# marked, and the outer part is a sample of its own: at most this share of them.
FIRST_TOLD = (3, 10)
MOST_ALONE = 0.05
MOST_MARKED = 0.01


def border(interpreter):
    return b"<interpreter %d>" % interpreter


def broken_chain(names_and_files, interpreter, caller="<module>"):
    """Why these frames are not the caller of a chain of this interpreter and the chain, or None."""
    if not names_and_files or names_and_files[0][0] != caller:
        return "no %s" % caller
    chain = names_and_files[1:]
    for depth, (name, file, line) in enumerate(chain, 1):
        letter = chain[0][0][0]
        if name != "%s%d" % (letter, depth) or file != "%s-%d.py" % (letter, interpreter):
            return "%s (%s) at depth %d of chain %s of interpreter %d" % (name, file, depth, letter, interpreter)
        start = 3 * depth - 2
        if not start <= line <= start + 2 or (depth < len(chain) and line != start + 2):
            return "%s on line %d" % (name, line)
    return None


class Case:
    maxDiff = None

    def start(self, how, what, count):
        library = [harness.build_library(self, "new_interpreter.c")] if how == "api" else []
        return harness.Target(self, self.interpreter, "subinterpreters.py", how, what, count, *library)

    def is_told(self):
        return not FIRST_WITH_MODULE <= self.interpreter.version < FIRST_TOLD

    def outer_text(self, thread):
        frames = [(harness.shown(name, self.interpreter.version), harness.shown(file, self.interpreter.version), line)
                  for name, file, line in thread["outer"]]
        return [border(0)] + [harness.frame_text(*frame) for frame in frames]

    def inner_text(self, thread):
        frames = [(name.encode(), file.encode(), line) for name, file, line in thread["inner"]]
        return [border(thread["interpreter"])] + [harness.frame_text(*frame) for frame in frames]

    def where_it_waits(self, how):
        target = self.start(how, "wait", 3)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths")
        harness.assert_accounts(self, run)
        threads = harness.stacks_by_thread(run)
        for thread in target.facts["threads"]:
            stacks = [list(stack.frames) for stack in threads[thread["tid"]]]
            outer, inner = self.outer_text(thread), self.inner_text(thread)
            self.assertEqual([outer + inner], stacks, "thread %d" % thread["index"])
        harness.assert_not_held(self, target.pid)

    def impossible(self, stack, threads):
        """Why this stack cannot have been, or None."""
        if harness.is_marked(stack):
            return None
        frames = [harness.split_frame(frame) for frame in stack.frames]
        names = [name for name, _, _ in frames]
        if names[0] != "<interpreter 0>":
            return "no border at the root"
        if names[1] == "<module>":
            return None if "<interpreter" not in " ".join(names[1:]) else "the main thread is in an interpreter"
        entered = [name for name in names if re.fullmatch(r"enter\d+", name)]
        if len(entered) != 1 or names[names.index(entered[0]) + 1] != "run":
            return "no thread's root"
        thread = threads[int(entered[0][5:])]
        at = names.index("run", names.index(entered[0]))
        if not self.is_told() and at + 1 == len(names):
            self.alone += stack.count
            return None
        inner = "<interpreter %d>" % thread["interpreter"]
        if names[at + 1:at + 2] != [inner]:
            return "%r is not in %s" % (entered[0], inner)
        return broken_chain(frames[at + 2:], thread["interpreter"])

    def spins(self, how, count=2, needed=SAMPLES, cpus=None):
        """Where the target and the sampler share `cpus`, a thread stops late."""
        target = self.start(how, "spin", count)
        for tid in harness.tasks(target.pid) if cpus else ():
            os.sched_setaffinity(tid, cpus)
        program = ["taskset", "-c", ",".join(map(str, cpus)), harness.sampler_binary()] if cpus else None
        samples = inside = marked = self.alone = 0
        for _ in range(MOST_RUNS):
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", *harness.AT_FULL_SPEED, "-s", SECONDS,
                                      timeout=60, program=program)
            harness.assert_accounts(self, run)
            for stack in run.folded:
                why = self.impossible(stack, target.facts["threads"])
                self.assertIsNone(why, repr(stack))
                if harness.is_marked(stack):
                    marked += stack.count
                elif re.search(r"<interpreter [1-9]", repr(stack)):
                    inside += stack.count
            samples += run.total
            if samples >= needed:
                break
        print("%s: 0 impossible of %d samples, %d inside, %d of an outer part alone, %d marked" % (
            self.id(), samples, inside, self.alone, marked), file=sys.stderr)
        self.assertGreaterEqual(samples, needed)
        self.assertGreater(inside, samples // 4)
        self.assertLessEqual(self.alone, MOST_ALONE * inside)
        self.assertLessEqual(marked, MOST_MARKED * samples)
        harness.assert_not_held(self, target.pid)


@harness.on_every_interpreter
class OfTheApi(Case):
    def test_where_a_thread_waits(self):
        self.where_it_waits("api")

    def test_chains(self):
        self.spins("api")


@harness.on_every_interpreter
class OfTheModule(Case):
    def setUp(self):
        if self.interpreter.version < FIRST_WITH_MODULE:
            self.skipTest("%s has no module for subinterpreters" % self.interpreter)

    def after_it_left(self, how):
        target = harness.Target(self, self.interpreter, "left_interpreter.py", how)
        spinning = 0
        for _ in range(MOST_RUNS):
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", *harness.AT_FULL_SPEED, "-s", SECONDS, timeout=60)
            harness.assert_accounts(self, run)
            for stack in run.folded:
                frames = [harness.split_frame(frame) for frame in stack.frames]
                names = [name for name, _, _ in frames]
                if harness.is_marked(stack) or "spin" not in names or "ready" in names:
                    continue
                self.assertIsNone(broken_chain(frames[names.index("spin"):], 0, "spin"), repr(stack))
                spinning += stack.count
            if spinning >= SAMPLES // 2:
                break
        print("%s: 0 impossible of %d samples" % (self.id(), spinning), file=sys.stderr)
        self.assertGreaterEqual(spinning, SAMPLES // 4)

    def test_a_thread_that_left_an_interpreter(self):
        self.after_it_left("keep")

    def test_a_thread_that_left_an_interpreter_that_is_gone(self):
        self.after_it_left("destroy")

    def test_a_thread_that_left_an_interpreter_that_another_made(self):
        self.after_it_left("other")

    def test_no_name_of_an_earlier_interpreter_is_shown(self):
        target = harness.Target(self, self.interpreter, "left_interpreter.py", "jobs")
        seen = 0
        for _ in range(MOST_RUNS):  # a free-threaded Python takes up to a second to make an interpreter
            run = harness.run_sampler(self, "-p", target.pid, "--hz", "300", "-s", "3")
            for stack in run.folded:
                numbers = re.findall(r"(?:job|fun)(\d+) ", repr(stack))
                self.assertLessEqual(len(set(numbers)), 1, repr(stack))
                seen += stack.count if len(numbers) == 2 else 0
            if seen > 100:
                break
        self.assertGreater(seen, 30, str(run))

    def test_where_a_thread_waits_in_the_interpreter_it_made(self):
        self.where_it_waits("same")

    def test_where_a_thread_waits_in_an_interpreter_that_another_made(self):
        self.where_it_waits("other")

    def test_chains_in_the_interpreters_that_the_threads_made(self):
        self.spins("same")

    def test_chains_in_an_interpreter_beside_one_that_waits(self):
        """With GILs of their own, from 3.12 on."""
        self.spins("isolated", count=1)

    def test_chains_in_interpreters_that_another_thread_made(self):
        self.spins("other")

    def test_chains_where_the_target_and_the_sampler_share_a_cpu(self):
        self.spins("same", needed=SAMPLES // 8, cpus={min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    harness.main()
