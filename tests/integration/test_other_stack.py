"""A thread that computes on another stack than its own, as coroutines and foreign runtimes do, is sampled."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

# Nothing fails here, but for a stop that a busy machine has no CPU for.
MOST_MARKED = 0.05
INNER = {"call": ("spin",), "leave": ("leave",)}


@harness.on_every_interpreter
class OtherStack:
    def sample(self, where, what):
        library = harness.build_library(self, "other_stack.c")
        target = harness.Target(self, self.interpreter, "other_stack.py", library, where, what)
        if what == "block":
            harness.wait_until(lambda: harness.system_call(target.pid)[:1] == ["34"], 20, "it is in pause()")
        else:
            harness.wait_busy(target.pid)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hz", "200")
        harness.assert_accounts(self, run)
        stacks = [stack for stack in run.folded if "outer" in map(self.function, stack.names)]
        marked = sum(stack.count for stack in run.folded if harness.is_marked(stack))
        self.assertLessEqual(marked, MOST_MARKED * run.total, str(run))
        self.assertGreater(sum(stack.count for stack in stacks), 0.9 * run.summary.taken, str(run))
        for stack in stacks:
            names = tuple(map(self.function, stack.names))
            inner = names[names.index("outer") + 1:]
            self.assertEqual(inner, INNER.get(what, ()), repr(stack))
        harness.assert_not_held(self, target.pid)

    @staticmethod
    def function(name):
        return name.rsplit(".", 1)[-1]

    def test_c_computes_there(self):
        self.sample("main", "burn")

    def test_c_computes_there_with_the_gil(self):
        self.sample("main", "held_burn")

    def test_c_computes_there_in_another_thread(self):
        self.sample("thread", "held_burn")

    def test_c_sleeps_there_with_the_gil(self):
        self.sample("main", "block")

    def test_python_runs_there(self):
        self.sample("main", "call")

    def test_python_was_called_there_and_c_computes_here(self):
        self.sample("main", "leave")


if __name__ == "__main__":
    harness.main()
