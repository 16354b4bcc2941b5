"""A process whose first thread has ended is sampled, in every way to hold; a number of a thread leads to its process."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


def is_spinning(stack):
    return "spin" in (name.rsplit(".", 1)[-1] for name in stack.names)


@harness.on_old_and_new
class WithoutFirst:
    def start(self):
        return harness.Target(self, self.interpreter, "without_first.py")

    def end_first(self, target):
        target.send("end")
        harness.wait_until(lambda: harness.state(target.pid) == "Z", 10, "the first thread has ended")

    def test_the_others_are_sampled(self):
        target = self.start()
        self.end_first(target)
        for hold in ("ptrace", "none"):
            with self.subTest(hold=hold):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--threads", "--hold", hold)
                harness.assert_accounts(self, run)
                self.assertEqual(set(harness.stacks_by_thread(run)), {target.facts["tids"]["spin"]}, str(run))
                self.assertTrue(all(is_spinning(stack) or harness.is_marked(stack) for stack in run.folded), str(run))
                self.assertGreater(run.summary.taken, 0, str(run))
        harness.assert_not_held(self, target.pid)

    def test_a_run_goes_on_when_the_first_thread_ends(self):
        target = self.start()
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60", "--hz", "200")
        sampler.wait_samples()
        self.end_first(target)
        self.assertTrue(sampler.running())
        harness.run_sampler(self, "-p", target.pid, "-s", "0.3")  # meanwhile the other must still be there
        self.assertTrue(sampler.running())
        sampler.signal(signal.SIGINT)
        run = sampler.wait(5)
        self.assertEqual(run.status, harness.OK, str(run))
        self.assertGreater(sum(stack.count for stack in run.folded if is_spinning(stack)), 0, str(run))

    def test_a_run_ends_with_the_last_thread(self):
        target = self.start()
        self.end_first(target)
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "60")
        sampler.wait_samples()
        target.kill()
        run = sampler.wait(5)
        self.assertIn(run.status, (harness.OK, harness.NO_PROCESS), str(run))

    def test_the_doctor_says_that_it_goes_on(self):
        target = self.start()
        self.end_first(target)
        text = harness.run_sampler(self, "doctor", "-p", target.pid).output.decode()
        self.assertIn("is going on without its first thread, which has ended; threads: 2,", text)
        self.assertIn("sampler -p %d would sample it" % target.pid, text)

    def test_the_number_of_a_thread_leads_to_its_process(self):
        target = self.start()
        thread = target.facts["tids"]["spin"]
        run = harness.run_sampler(self, "-p", thread, "-s", "0.2", expect=harness.NO_PROCESS)
        self.assertIn("%d is a thread of process %d; use -p %d" % (thread, target.pid, target.pid), run.errors)


if __name__ == "__main__":
    harness.main()
