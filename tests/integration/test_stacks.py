"""Every thread's stack is what the interpreter says of itself."""
import collections
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


def expected_stacks(target, version):
    """{tid: [(name, file, line), ...]} root first, as they should read."""
    return {tid: [(harness.shown(name, version), harness.shown(file, version), line)
                  for name, file, line in frames] for tid, frames in target.ask("stacks")}


@harness.on_every_interpreter
class Stacks:
    maxDiff = 4000

    def start(self, *arguments, **popen):
        target = harness.Target(self, self.interpreter, "stacks.py", *arguments, cwd=harness.TARGETS, **popen)
        return target, expected_stacks(target, self.interpreter.version)

    def assert_stack(self, tid, got, expected):
        if got == expected:
            return
        for depth, (one, other) in enumerate(zip(got, expected)):
            self.assertEqual(harness.text(one), harness.text(other), "thread %d, frame %d" % (tid, depth))
        self.assertEqual(len(got), len(expected), "thread %d: depth" % tid)

    def assert_stacks(self, run, target, expected, form):
        threads = harness.stacks_by_thread(run)
        self.assertEqual(sorted(threads), sorted(expected), "threads")
        for tid, frames in expected.items():
            self.assertEqual(sum(stack.count for stack in threads[tid]), 1, "one sample of thread %d" % tid)
            texts = [form(*frame) for frame in frames]
            got = list(threads[tid][0].frames)
            if tid == target.facts["helper"]:  # it answered then and listens now: the same callers, another leaf
                texts = texts[:[name for name, _, _ in frames].index(b"serve") + 1]
                got = got[:len(texts)]
            self.assert_stack(tid, got, texts)

    def test_every_thread_stands_where_the_interpreter_says(self):
        target, expected = self.start()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths")
        self.assert_stacks(run, target, expected, harness.frame_text)
        self.assertEqual(run.summary.threads, len(expected))
        harness.assert_accounts(self, run)
        harness.assert_not_held(self, target.pid)

    def test_a_stripped_library_hides_nothing(self):
        library = harness.python_library(self.interpreter)
        if library is None:
            self.skipTest("%s has no library: it is stripped or not as it is installed" % self.interpreter)
        directory = harness.scratch(self)
        stripped = os.path.join(directory, os.path.basename(library))
        subprocess.run(["strip", "--strip-all", "-o", stripped, library], check=True, timeout=60)
        target, expected = self.start(env={"LD_LIBRARY_PATH": directory})
        with open("/proc/%d/maps" % target.pid) as maps:
            self.assertIn(stripped, maps.read())
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths")
        self.assert_stacks(run, target, expected, harness.frame_text)

    def test_a_stack_that_is_too_deep_keeps_its_leaf_and_a_mark(self):
        target = harness.Target(self, self.interpreter, "too_deep.py", cwd=harness.TARGETS)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "-n")
        deep = [stack.frames for stack in run.folded if b"<too deep>" in stack.frames]
        self.assertEqual(len(deep), 1)
        self.assertEqual(deep[0], (b"<too deep>",) + (b"f (too_deep.py)",) * 20000)

    def test_names_and_files_without_line_numbers(self):
        target, expected = self.start()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths", "-n")
        self.assert_stacks(run, target, expected, lambda name, file, line: harness.frame_text(name, file, None))

    def assert_pyflame_stacks(self, target, expected, form, *options):
        """Pyflame's style has no frame for the thread: the stacks are compared as a whole."""
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--style", "pyflame", *options)
        got = collections.Counter()
        for stack in run.folded:
            got[stack.frames] += stack.count
        want = collections.Counter(tuple(form(*frame) for frame in frames)
                                   for tid, frames in expected.items() if tid != target.facts["helper"])
        self.assertEqual({stack: count for stack, count in want.items() if got[stack] != count}, {})
        self.assertEqual(sum(got.values()), len(expected))

    def test_pyflame_style(self):
        target, expected = self.start()
        self.assert_pyflame_stacks(target, expected, harness.pyflame_text)
        self.assert_pyflame_stacks(target, expected, lambda name, file, line: file + b":" + name, "-n")

    def test_files_are_shortened_below_the_library_and_the_working_directory(self):
        target, expected = self.start()
        library = os.path.dirname(target.facts["library"]).encode() + b"/"
        here = target.facts["cwd"].encode() + b"/"

        def form(name, file, line):
            for directory in (library, here):
                if file.startswith(directory):
                    file = file[len(directory):]
                    break
            return harness.frame_text(name, file, line)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads")
        self.assert_stacks(run, target, expected, form)

    def test_no_frame_is_missing_where_a_line_table_is_large(self):
        target = harness.Target(self, self.interpreter, "big_table.py")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.3")
        names = {stack.names[:4] for stack in run.folded}
        self.assertEqual(names, {("<module>", "loader", "<module>", "spin")}, str(run))
        lines = {harness.split_frame(stack.frames[2])[1:] for stack in run.folded}
        self.assertEqual(lines, {("generated.py", target.facts["line"])})

    def test_a_second_run_says_the_same(self):
        target, expected = self.start("quiet")
        first = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths")
        second = harness.run_sampler(self, "-p", target.pid, "-s", "0", "--threads", "--full-paths")
        self.assertEqual(first.output, second.output)
        self.assertEqual(len(harness.stacks_by_thread(first)), len(expected))


if __name__ == "__main__":
    harness.main()
