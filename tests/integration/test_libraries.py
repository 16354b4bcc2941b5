"""Where a Python's objects are, and how many Pythons: copied into the program, in a library that is mapped once more or
beside another Python, in a process with more mappings than fit 16 MiB."""
import collections
import os
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import programs  # noqa: E402

SPIN = """
import os
def hot():
    os.write(1, b'READY\\n')
    while True:
        for turn in range(1000): pass
def outer():
    hot()
outer()
"""
CHAIN = ("<module>", "outer", "hot")


def target(name):
    return os.path.join(harness.TARGETS, name)


def assert_chain_seen(test, pid, *options):
    """Its one thread is seen where it spins, unmarked, at each tick."""
    run = harness.run_sampler(test, "-p", pid, "-s", "0.3", *options)
    test.assertEqual({stack.names for stack in run.folded}, {CHAIN}, str(run))
    harness.assert_accounts(test, run)
    harness.assert_not_held(test, pid)
    return run


def with_libraries():
    return [each for each in harness.interpreters() if not each.musl and harness.python_library(each)]


class Copied(unittest.TestCase):
    """A program that names an object of its library has a copy of it, which the library uses too."""

    def assert_seen(self, interpreter, *names):
        library = harness.python_library(interpreter)
        directory = os.path.dirname(library)
        path = os.path.join(harness.scratch(self), "server")
        programs.compile_program(
            self, path, "-DDECLARED=%s" % ", ".join(name + "[]" for name in names), "-DUSED=%s" % ", ".join(names),
            "-L" + directory, "-l:" + os.path.basename(library), "-Wl,-rpath," + directory, source="copies.c")
        relocations = programs.run_tool("readelf", "-rW", path)
        for name in names:
            self.assertRegex(relocations, r"R_X86_64_COPY\s.* %s\b" % name)
        home = programs.run_tool(interpreter.executable, "-c", "import sys; print(sys.prefix)").strip()
        process = programs.start_ready(self, path, SPIN, env=dict(os.environ, PYTHONHOME=home))
        assert_chain_seen(self, process.pid)

    def test_every_python_in_a_library(self):
        for interpreter in with_libraries() or [programs.shared_python(self)]:
            runtime = "_PyRuntime" if interpreter.version >= (3, 7) else "_PyThreadState_Current"
            for names in (("PyCode_Type",), ("PyCode_Type", "PyType_Type", runtime)):
                with self.subTest(interpreter=interpreter, names=names):
                    self.assert_seen(interpreter, *names)


class MappedAgain(unittest.TestCase):
    def test_a_library_that_is_mapped_as_data_too(self):
        interpreter = programs.shared_python(self)
        for kind in ("whole", "executable", "start", "text", "slice", "all"):
            with self.subTest(kind=kind):
                process = programs.start_ready(self, interpreter.executable, target("mapped_again.py"), kind)
                assert_chain_seen(self, process.pid)


class Several(unittest.TestCase):
    def test_a_static_python_with_a_library_that_runs_nothing(self):
        system = programs.run_tool(programs.SYSTEM_PYTHON, "-c", "import sysconfig; v = sysconfig.get_config_vars(); "
                                   "print(v['LIBDIR'] + '/' + v['INSTSONAME'] if v['Py_ENABLE_SHARED'] else "
                                   "'libpython%s.so.1.0' % v['py_version_short'])").strip()
        for library in (system, harness.python_library(programs.shared_python(self))):
            for words in ((), ("deep",)):
                with self.subTest(library=library, words=words):
                    process = programs.start_ready(self, programs.SYSTEM_PYTHON, target("idle_library.py"), library, *words)
                    assert_chain_seen(self, process.pid)

    def start(self, *libraries, **environment):
        program = programs.compile_program(self, os.path.join(harness.scratch(self), "server"), "-pthread", "-ldl",
                                           source="two_pythons.c")
        return programs.start_ready(self, program, *libraries, env=dict(os.environ, **environment))

    def start_next(self, process):
        process.stdin.write(b"\n")
        process.stdin.flush()

    def pair(self):
        """Two libraries, of two versions where there are."""
        shared = programs.shared_pythons()
        found = [harness.python_library(shared[version]) for version in sorted(shared)[-2:]]
        if len(found) == 2:
            return found
        library = harness.python_library(programs.shared_python(self))
        return [library, shutil.copy(library, harness.scratch(self))]

    def test_two_that_run_are_sampled_at_each_tick(self):
        first, second = self.pair()
        process = self.start(first, second)
        self.start_next(process)
        harness.LineReader(process.stdout.fileno(), "the second").line()
        run = harness.run_sampler(self, "-p", process.pid, "-s", "1")
        counts = collections.Counter()
        for stack in run.folded:
            self.assertFalse(harness.is_marked(stack), str(run))
            counts.update({stack.names[1]: stack.count})
        self.assertEqual(set(counts), {"busy1", "busy2"}, str(run))
        harness.assert_accounts(self, run)
        self.assertGreaterEqual(min(counts.values()), 0.9 * run.summary.taken, str(run))
        harness.assert_not_held(self, process.pid)
        doctor = harness.run_sampler(self, "doctor", "-p", process.pid)
        for library in (first, second):
            self.assertIn("the Python in %s is initialised" % os.path.realpath(library), doctor.output.decode())

    def test_one_that_comes_later_is_sampled_too_and_on_when_the_first_has_ended(self):
        first, second = self.pair()
        leave = os.path.join(harness.scratch(self), "leave")
        output = os.path.join(harness.scratch(self), "out.samp")
        process = self.start(first, second, LEAVE_1=leave)
        sampler = harness.Sampler(self, "-p", process.pid, "-s", "60", "-o", output)
        sampler.wait_samples()
        self.start_next(process)
        harness.LineReader(process.stdout.fileno(), "the second").line()

        def count():
            if not os.path.exists(output):
                return 0
            with open(output, "rb") as file:
                return sum(stack.count for stack in harness.parse_folded(file.read()) if "busy2" in stack.names)
        harness.wait_until(count, 20, "the second Python is seen")
        open(leave, "w").close()
        seen = count()
        harness.wait_until(lambda: count() > seen, 20, "the second is seen on")
        sampler.signal(signal.SIGINT)
        run = sampler.wait()
        self.assertEqual(run.status, harness.OK, str(run))
        with open(output, "rb") as file:
            total = sum(stack.count for stack in harness.parse_folded(file.read()))
        summary = run.summary
        self.assertEqual(total, summary.samples, str(run))
        self.assertEqual(summary.asked, summary.taken + summary.late + summary.failed, str(run))


class ManyMappings(unittest.TestCase):
    def test_a_process_with_60_000_of_them(self):
        directory = harness.scratch(self)
        for _ in range(2):
            directory = os.path.join(directory, "x" * 100)
            os.mkdir(directory)
        # Called like a Python: each mapping is looked at.
        path = os.path.join(directory, "python-shard-" + "x" * 100)
        with open(path, "wb") as file:
            file.write(b"\0" * 4096)
        interpreter = programs.shared_python(self)
        process = programs.start_ready(self, interpreter.executable, target("many_maps.py"), "60000", path)
        with open("/proc/%d/maps" % process.pid, "rb") as maps:
            self.assertGreater(len(maps.read()), 16 << 20)
        assert_chain_seen(self, process.pid)


if __name__ == "__main__":
    unittest.main(verbosity=2)
