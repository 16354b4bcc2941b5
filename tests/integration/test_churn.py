"""Threads that come and go all the time, of Python and of C, wedge nothing and make no impossible stack."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

CHAIN = ["outer", "middle", "inner"]
BOOTSTRAP = ["_bootstrap", "_bootstrap_inner", "run"]


def bare(name):
    return name.rsplit(".", 1)[-1].replace("__bootstrap", "_bootstrap")


@harness.on_every_interpreter
class Churn:
    def impossible(self, stack, roots):
        """Why this stack cannot be one of the target's."""
        if harness.is_marked(stack):
            return None
        frames = [harness.split_frame(frame) for frame in stack.frames]
        names = [bare(name) for name, _, _ in frames]
        mine = [index for index, (_, file, _) in enumerate(frames) if os.path.basename(file) == "churn.py"]
        here = [names[index] for index in mine]
        if names[:2] == ["<module>", "ready"]:  # it has told us, and is not back yet
            return None
        if names[0] == "<module>":
            return None if here[:2] == ["<module>", "%s_threads" % roots] and not set(here) & set(CHAIN) else "main"
        if "serve" in here:
            return None if here == ["serve"] and names[:3] == BOOTSTRAP else "the server"
        if here and here != CHAIN[:len(here)]:
            return "%s" % here
        if here and mine != list(range(mine[0], len(frames))):
            return "callers and callees mixed"
        # Native threads start in the callback; what Python's start with stands in threading.py.
        if roots == "native":
            return None if names == here else "the root of a native thread"
        return None if names[0] == "_bootstrap" else "the root of a Python thread"

    def churn(self, kind, *arguments):
        target = harness.Target(self, self.interpreter, "churn.py", kind, *arguments)
        before = target.ask("count")
        samples = seen = marked = 0
        for options in (harness.UNLIMITED + ("--hz", "1000", "-s", "1.5"), harness.AT_FULL_SPEED + ("-s", "1.5")):
            run = harness.run_sampler(self, "-p", target.pid, "--full-paths", *options, timeout=20)
            harness.assert_accounts(self, run)
            self.assertGreater(run.summary.taken, 0.5 * run.summary.asked, str(run))
            for stack in run.folded:
                reason = self.impossible(stack, kind)
                if reason:
                    self.fail("impossible (%s): %r" % (reason, stack))
                samples += stack.count
                if harness.is_marked(stack):
                    marked += stack.count
                seen += stack.count if "outer" in [bare(name) for name in stack.names] else 0
        made = target.ask("count") - before
        print("%s: %d samples (%d marked), %d in the callback, of %d threads" % (
            self.id(), samples, marked, seen, made), file=sys.stderr)
        self.assertGreater(made, 500, "the target went on")
        self.assertGreater(seen, 0)
        self.assertLessEqual(marked, 0.01 * samples)
        harness.wait_until(lambda: target.ask("count") > made + before, 10, "the target goes on")
        harness.assert_not_held(self, target.pid)

    def test_threads_of_python(self):
        self.churn("python")

    def test_threads_of_c(self):
        self.churn("native", harness.build_library(self, "churn.c"))

    def test_a_thread_that_starts_threads_is_in_every_tick(self):
        target = harness.Target(self, self.interpreter, "starting.py")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "2", "--hz", "500", "--full-paths", *harness.UNLIMITED)
        harness.assert_accounts(self, run)
        of_main = sum(stack.count for stack in run.folded if "starting.py" in harness.split_frame(stack.frames[0])[1])
        marked = sum(stack.count for stack in run.folded if harness.is_marked(stack))
        self.assertGreaterEqual(of_main + marked, run.summary.taken, str(run))
        self.assertGreaterEqual(of_main, 0.9 * run.summary.taken, str(run))


if __name__ == "__main__":
    harness.main()
