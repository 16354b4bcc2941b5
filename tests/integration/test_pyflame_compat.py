"""What Pyflame's users' scripts expect of stdout."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

FLAME = re.compile(r"((?:[^:]+:[^:]+:\d+)(?:;[^:]+:[^:]+:\d+)*) (\d+)")
WITHOUT_LINES = re.compile(r"((?:[^:]+:[^:;]+)(?:;[^:]+:[^:;]+)*) (\d+)")
IDLE = re.compile(r"\(idle\) \d+")


@harness.on_every_interpreter
class PyflameCompatibility:
    def lines(self, kind, *options):
        self.target = harness.Target(self, self.interpreter, "pyflame_like.py", kind)
        run = harness.run_sampler(self, "--style", "pyflame", "-q", *options, "-p", self.target.pid)
        self.assertEqual(run.errors, "")
        lines = run.output.decode("utf-8").split("\n")
        self.assertEqual(lines.pop(), "")
        self.assertEqual(len(lines), len(set(lines)))
        stacks = [line.rsplit(" ", 1)[0] for line in lines]
        self.assertEqual(len(stacks), len(set(stacks)), "no stack twice")
        return lines

    def assert_flame(self, lines, idle):
        """Every line is a stack; whether one may, must (True) or must not (False) be the idle line."""
        self.assertTrue(lines)
        idles = [line for line in lines if IDLE.fullmatch(line)]
        for line in lines:
            if line not in idles:
                self.assertRegex(line, "^(?:%s)$" % FLAME.pattern)
        if idle is not None:
            self.assertEqual(len(idles), 1 if idle else 0, lines)
        return [line for line in lines if line not in idles]

    def test_a_busy_target(self):
        stacks = self.assert_flame(self.lines("busy", "-g"), None)
        self.assertTrue(any(":busy:" in line and ":work_until:" in line for line in stacks), stacks)

    def test_a_sleeping_target_has_one_idle_line(self):
        stacks = self.assert_flame(self.lines("sleeping", "-g"), True)
        self.assertTrue(any(":work_until:" in line for line in stacks), stacks)

    def test_idle_time_can_be_left_out(self):
        self.assert_flame(self.lines("sleeping", "-g", "-x"), False)

    def test_a_threaded_target(self):
        self.assert_flame(self.lines("threaded", "-g"), None)

    def test_threads_are_seen_about_equally(self):
        stacks = self.assert_flame(self.lines("threaded", "--threads", "-s", "2"), None)
        first, second = (sum(int(FLAME.fullmatch(line).group(2)) for line in stacks if ":%s:" % name in line)
                         for name in ("first", "second"))
        self.assertGreaterEqual(min(first, second) / max(first, second, 1), 0.5, stacks)

    def most_holders(self):
        """Free-threaded, the two threads of the target run at once: that is what stands for holding the GIL."""
        return 2 if self.interpreter.free_threaded else 1

    def test_one_tick_of_a_threaded_target_is_a_line_for_each_holder(self):
        self.assertIn(len(self.lines("threaded", "-g", "-s", "0")), range(1, self.most_holders() + 1))

    def test_no_line_numbers(self):
        lines = self.lines("busy", "-g", "-n")
        for line in lines:
            if not IDLE.fullmatch(line):
                self.assertRegex(line, "^(?:%s)$" % WITHOUT_LINES.pattern)
                self.assertNotRegex(line, r":\d")
        self.assertTrue(any(line.split(" ")[0].endswith("pyflame_like.py:work_until") for line in lines), lines)

    def test_names_beyond_ascii(self):
        lines = self.lines("unicode", "-g")
        self.assertTrue(any("unicode.py:\u8b8a\u6578:" in line for line in lines), lines)

    def test_dump_has_a_heading_for_each_thread(self):
        target = harness.Target(self, self.interpreter, "pyflame_like.py", "threaded")
        run = harness.run_sampler(self, "-d", "--style", "pyflame", "-p", target.pid)
        headings = re.findall(r"^\d+\*?:", run.output.decode("utf-8"), re.MULTILINE)
        self.assertEqual(len(headings), 3, run.output.decode("utf-8"))
        self.assertLessEqual(sum("*" in heading for heading in headings), self.most_holders(), "holders of the GIL")


if __name__ == "__main__":
    harness.main()
