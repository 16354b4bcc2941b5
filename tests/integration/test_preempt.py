"""Preempting where it has its limits: CPUs that are not ours, one CPU for both, a debugger."""
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402


CPUSETS = "/sys/fs/cgroup/cpuset"


def write(directory, name, text):
    with open(os.path.join(directory, name), "w") as file:
        file.write(str(text))


def cpuset_of(test, cpu):
    """A cpuset of cgroup version 1 with one CPU, removed at the test's end."""
    try:
        path = tempfile.mkdtemp(prefix="sampler-test-", dir=CPUSETS)
    except OSError as error:
        not_run.not_run(test, "no cpuset can be made: %s" % error, "as root of a machine whose cgroups are of version 1")
    test.addCleanup(os.rmdir, path)
    with open(os.path.join(CPUSETS, "cpuset.mems")) as mems:
        write(path, "cpuset.mems", mems.read())
    write(path, "cpuset.cpus", cpu)
    return path


def visits(pid, cpu):
    """How often the sampler's thread for a CPU has slept; 0 where it has none, or that may run elsewhere."""
    found = [status for tid, status in harness.tasks(pid).items() if tid != pid and status["Cpus_allowed_list"] == str(cpu)]
    return max((int(status["voluntary_ctxt_switches"]) for status in found), default=0)


@harness.on_newest
class Preempt:
    def pinned(self):
        """A busy target on the one of our CPUs, and the other."""
        ours, other = sorted(os.sched_getaffinity(0))[:2]
        target = harness.idle_target(self, self.interpreter, "spin")
        for tid in harness.tasks(target.pid):
            os.sched_setaffinity(tid, {ours})
        return target, ours, other

    def test_a_cpu_that_is_not_ours_is_told(self):
        target, _, other = self.pinned()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hold", "preempt",
                                  program=["taskset", "-c", str(other), harness.sampler_binary()])
        harness.assert_accounts(self, run)
        self.assertIn("the thread's CPU is not the sampler's to use (--hold ptrace needs none)", run.errors)
        self.assertLess(run.summary.taken, 0.1 * run.summary.asked, str(run))

    def test_a_realtime_thread_is_told(self):
        target, _, _ = self.pinned()
        try:
            os.sched_setscheduler(target.facts["tids"]["spin1"], os.SCHED_RR, os.sched_param(1))
        except PermissionError:
            not_run.not_run(self, "realtime priority is not to be had", not_run.AS_ROOT)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hold", "preempt")
        harness.assert_accounts(self, run)
        self.assertIn("failed: the thread, or another on its CPU, has realtime priority", run.errors)
        self.assertNotIn("not the sampler's to use", run.errors)

    def test_a_cpuset_that_takes_the_cpu_away_and_gives_it_back_is_followed(self):
        target, ours, other = self.pinned()
        cpuset = cpuset_of(self, other)
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "30", "--hold", "preempt")
        harness.wait_until(lambda: visits(sampler.pid, ours) > 20, 10, "the CPU is visited")
        write(cpuset, "cgroup.procs", sampler.pid)
        before = visits(sampler.pid, other)
        self.assertGreater(before, 20, "the thread that visits has been moved")
        harness.wait_until(lambda: visits(sampler.pid, other) > before + 100, 10, "it is asked for all the same")
        write(CPUSETS, "cgroup.procs", sampler.pid)
        harness.wait_until(lambda: visits(sampler.pid, ours) > before + 140, 10, "the CPU is visited again")
        sampler.signal(signal.SIGINT)
        run = sampler.wait()
        harness.assert_accounts(self, run)
        self.assertIn("the thread's CPU is not the sampler's to use", run.errors)
        self.assertGreater(run.summary.failed, 10, str(run))
        self.assertGreater(run.summary.taken, 40, str(run))

    def test_one_cpu_for_both_is_enough(self):
        target, ours, _ = self.pinned()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1", "--hold", "preempt",
                                  program=["taskset", "-c", str(ours), harness.sampler_binary()])
        harness.assert_accounts(self, run)
        self.assertGreater(run.summary.taken, 0.5 * run.summary.asked, str(run))

    def test_a_debugger_does_not_mind(self):
        target = harness.idle_target(self, self.interpreter, "spin")
        tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", "trace=none", "-p", str(target.pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(harness.end, tracer)
        harness.wait_until(lambda: all(status["TracerPid"] == str(tracer.pid)
                                       for status in harness.tasks(target.pid).values()), 10, "strace has every thread")
        for hold in ("preempt", "none"):
            run = harness.run_sampler(self, "-p", target.pid, "-s", "0.5", "--hold", hold)
            self.assertGreater(run.summary.taken, 0.5 * run.summary.asked, str(run))
        harness.run_sampler(self, "-p", target.pid, "-s", "0.5", expect=harness.TRACED)


if __name__ == "__main__":
    harness.main()
