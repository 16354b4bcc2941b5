"""Debian's flamegraph.pl reads all of the output: the SVG's total is the number of samples."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

FLAMEGRAPH = os.environ.get("SAMPLER_FLAMEGRAPH", "/usr/share/perl5/Devel/NYTProf/flamegraph.pl")


@harness.on_old_and_new
class Flamegraph:
    def assert_drawn(self, *options):
        target = harness.Target(self, self.interpreter, "stacks.py", "quiet")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hz", "20", *options)
        drawn = subprocess.run(["perl", FLAMEGRAPH], input=run.output, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=120, check=True)
        self.assertEqual(drawn.stderr.decode(), "", "flamegraph.pl complains about nothing")
        totals = re.findall(r"<title>all \(([\d,]+) samples, 100%\)", drawn.stdout.decode())
        self.assertEqual(len(totals), 1)
        self.assertEqual(int(totals[0].replace(",", "")), run.summary.samples)
        self.assertGreaterEqual(run.summary.samples, 100)

    def test_stacks(self):
        self.assert_drawn()

    def test_threads(self):
        self.assert_drawn("--threads", "--full-paths")

    def test_pyflame_style(self):
        self.assert_drawn("--style", "pyflame")

    def test_functions_without_lines(self):
        self.assert_drawn("--style", "pyflame", "-n")


if __name__ == "__main__":
    harness.main()
