"""Code objects whose addresses recur are never taken for the ones that were there before."""
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

SAMPLES = 10000
MADE = 500  # of them in made functions: where compiling is slow, they are few
MOST_RUNS = 20


@harness.on_every_interpreter
class Reuse:
    def check(self, stack):
        """Name, file and line of made code tell the same number. Returns how many samples it was seen in."""
        if harness.is_marked(stack):
            return 0  # damaged and says so; counted apart
        for depth, frame in enumerate(stack.frames):
            name, file, line = harness.split_frame(frame)
            of_file = re.fullmatch(r"file(\d{6})\.py", file)
            of_name = re.fullmatch(r"f(\d{6})", name)
            if not of_file and not of_name:
                continue
            self.assertTrue(of_file, repr(stack))
            first = int(of_file.group(1)) % 1000 + 1
            if of_name:
                self.assertEqual(of_name.group(1), of_file.group(1), repr(stack))
                self.assertIn(line, (first, first + 1), repr(stack))
            else:
                self.assertEqual(name, "<module>", repr(stack))
                self.assertIn(line, (1, first), repr(stack))
            self.assertEqual(list(stack.names[:depth]), ["<module>", "turn", "once"], repr(stack))
            self.assertEqual(depth + 1, len(stack.frames), repr(stack))
            return stack.count
        return 0

    def test_no_stale_name(self):
        target = harness.Target(self, self.interpreter, "reuse.py")
        samples = made = marked = 0
        for _ in range(MOST_RUNS):
            run = harness.run_sampler(self, "-p", target.pid, "-s", "2", *harness.AT_FULL_SPEED, "--full-paths")
            harness.assert_accounts(self, run)
            made += sum(self.check(stack) for stack in run.folded)
            samples += run.total
            marked += sum(stack.count for stack in run.folded if harness.is_marked(stack))
            if samples >= SAMPLES and made >= MADE:
                break
        print("%s: %d samples, %d of them in made functions, %d marked" % (
            self.id(), samples, made, marked), file=sys.stderr)
        self.assertGreaterEqual(samples, SAMPLES)
        self.assertGreaterEqual(made, MADE)
        self.assertLessEqual(marked, 0.01 * samples)

    def test_code_that_comes_back_to_its_address(self):
        target = harness.Target(self, self.interpreter, "alternating.py")
        seen = {"AAAA": 0, "BBBB": 0}
        for options, stands in ((("--hz", "2000") + harness.UNLIMITED, 0.05), (harness.AT_FULL_SPEED, 0)):
            sampler = harness.Sampler(self, "-p", target.pid, "-s", "2", "--full-paths", *options)
            # Code that has been there for long is looked at less often; then it goes and comes back within a moment.
            while stands and sampler.running():
                target.process.send_signal(signal.SIGSTOP)
                time.sleep(stands)
                target.process.send_signal(signal.SIGCONT)
                time.sleep(random.uniform(0, 0.012))
            run = sampler.wait()
            self.assertEqual(run.status, harness.OK, str(run))
            harness.assert_accounts(self, run)
            for stack in run.folded:
                files = [harness.split_frame(frame)[1] for frame in stack.frames]
                for made, wrong in (("AAAA", "in_b"), ("BBBB", "in_a")):
                    if made in files:
                        self.assertNotIn(wrong, stack.names, repr(stack))
                        seen[made] += stack.count
        self.assertGreater(min(seen.values()), 100, str(seen))


if __name__ == "__main__":
    harness.main()
