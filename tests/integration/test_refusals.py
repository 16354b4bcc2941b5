"""Rights that are there in part, and system calls that are refused: what works without them does, and what does not is
told by what it is, with the cure."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import confined  # noqa: E402
import harness  # noqa: E402
import not_run  # noqa: E402
import strangers  # noqa: E402

HIDDEN = "/proc/%d/syscall is closed to us"


class Case:
    def run_as(self, program, target, *arguments, **options):
        return harness.run_sampler(self, "-p", target.pid, "-s", "0.3", *arguments, program=program, cwd="/", **options)

    def doctor(self, program, *arguments, status=harness.OK):
        run = harness.run_sampler(self, "doctor", *arguments, program=program, expect=status, cwd="/")
        self.assertEqual(run.errors, "")
        return " ".join(run.output.decode().split())

    def assert_sampled(self, run, *names):
        """Hardly a tick fails that is not late, and hardly a stack of these threads is marked."""
        harness.assert_accounts(self, run)
        self.assertGreater(run.summary.taken, 0, str(run))
        self.assertLessEqual(run.summary.failed, 0.2 * run.summary.taken, str(run))
        for name in names:
            whole = sum(stack.count for stack in run.folded if name in stack.names and not harness.is_marked(stack))
            self.assertGreater(whole, 0.5 * run.summary.taken, "%s: %s\n%s" % (name, run, run.folded))
        return run

    def assert_refused(self, run, *words):
        lines = [line for line in run.errors.splitlines() if line.startswith("sampler: ")]
        self.assertEqual(len(lines), 1, run.errors)
        for word in words:
            self.assertIn(word, lines[0])


@harness.on_old_and_new
class ACapability(Case):
    """A user with CAP_SYS_PTRACE, as by setcap, and nothing else samples a process of root."""

    def setUp(self):
        not_run.need_user_with_ptrace(self)

    def target(self, *threads):
        """A target whose files every user may read: those of an interpreter in root's home are not."""
        library = harness.python_library(self.interpreter)
        environment = {}
        if library:
            directory = harness.scratch(self)
            os.chmod(directory, 0o755)
            environment["LD_PRELOAD"] = shutil.copy(library, directory)
            os.chmod(environment["LD_PRELOAD"], 0o644)
        target = harness.Target(self, self.interpreter, "idle.py", *threads, env=environment)
        harness.wait_until(lambda: harness.system_call(target.pid)[:2] == ["0", "0x0"], 10, "the main thread reads")
        return target

    def with_capability(self, *command):
        return not_run.AS_USER_WITH_PTRACE + list(command)

    def test_running_and_idle_threads_are_sampled(self):
        target = self.target("spin", "sleep")
        program = self.with_capability(strangers.sampler_for_everybody(self))
        holds = ["ptrace", "none"] if self.interpreter.free_threaded else ["ptrace", "preempt", "none"]
        for hold in holds:
            with self.subTest(hold=hold):
                self.assert_sampled(self.run_as(program, target, "--hold", hold), "spin1", "sleep2", "listen")
        harness.assert_not_held(self, target.pid)

    def test_so_they_are_with_the_capability_of_a_file(self):
        target = self.target("spin", "sleep")
        program = strangers.sampler_for_everybody(self)
        strangers.give_capability(program, strangers.SYS_PTRACE)
        run = self.run_as(strangers.as_nobody_with_capabilities(program), target)
        self.assert_sampled(run, "spin1", "sleep2", "listen")

    def test_the_doctor_agrees_and_says_what_is_closed(self):
        target = self.target("sleep")
        program = self.with_capability(strangers.sampler_for_everybody(self))
        text = self.doctor(program, "-p", target.pid)
        self.assertIn("ok sampler -p %d would sample it" % target.pid, text)
        self.assertIn("note " + HIDDEN % target.pid, text)
        self.assertNotIn("security module", text)
        self.assertNotIn("is closed to us", self.doctor([harness.sampler_binary()], "-p", target.pid))

    def test_what_it_cannot_see_is_told_where_it_matters(self):
        if self.interpreter.free_threaded:
            return  # nobody waits for a GIL
        target = self.target("spin", "sleep")
        program = self.with_capability(strangers.sampler_for_everybody(self))
        run = self.run_as(program, target, "--mode", "active")
        self.assert_refused(run, "warning: threads of process %d that wait for the GIL look idle" % target.pid,
                            HIDDEN % target.pid, "CAP_DAC_READ_SEARCH")
        self.assertNotIn("look idle", self.run_as([harness.sampler_binary()], target, "--mode", "active").errors)
        run = harness.run_sampler(self, "dump", "-p", target.pid, program=program, cwd="/")
        self.assertIn("look idle", run.errors)
        self.assertIn(b"sleep2", run.output)

    def test_a_thread_that_sleeps_with_the_gil_is_not_proven_and_told_so(self):
        if self.interpreter.free_threaded:
            return
        target = self.target("spin", "sleep")
        spin = target.facts["tids"]["spin1"]
        before = harness.cpu_seconds(spin)
        harness.wait_until(lambda: harness.cpu_seconds(spin) > before + 0.01, 10, "the thread has the GIL")
        os.kill(target.pid, signal.SIGSTOP)
        harness.wait_until(lambda: harness.state(target.pid) == "T", 10, "it is stopped")
        program = self.with_capability(strangers.sampler_for_everybody(self))
        run = self.run_as(program, target)
        self.assertEqual(run.summary.taken, 0, str(run))
        self.assertRegex("".join(run.summary.failures), "^a blocked thread .*/proc/PID/syscall, which tells, is closed")
        self.assertEqual([stack for stack in run.folded if "spin1" in stack.names], [])
        self.assertGreater(sum(stack.count for stack in run.folded if "sleep2" in stack.names), 0, str(run))
        self.assert_sampled(self.run_as([harness.sampler_binary()], target), "spin1", "sleep2", "listen")

    def test_a_file_of_the_target_that_is_closed_to_us_is_named(self):
        library = harness.python_library(self.interpreter)
        if not library:
            return  # its program is open through /proc/PID/exe
        directory = harness.scratch(self)  # for us only
        copy = shutil.copy(library, directory)
        target = harness.Target(self, self.interpreter, "idle.py", env={"LD_PRELOAD": copy})
        run = self.run_as(self.with_capability(strangers.sampler_for_everybody(self)), target,
                          expect=harness.PERMISSION)
        self.assert_refused(run, "cannot open %s of process %d: Permission denied" % (copy, target.pid),
                            "with CAP_DAC_READ_SEARCH")


@harness.on_newest
class RefusedCalls(Case):
    """seccomp filters on the sampler."""

    def target(self):
        return harness.idle_target(self, self.interpreter, "spin", "sleep")

    def without(self, calls, how="EPERM"):
        return confined.command_without(calls, how, harness.sampler_binary())

    def test_what_only_helps_is_not_missed(self):
        target = self.target()
        for how in ("EPERM", "ENOSYS"):
            with self.subTest(how=how):
                program = self.without("pidfd_open,perf_event_open,sched_setattr", how)
                self.assert_sampled(self.run_as(program, target), "spin1", "sleep2", "listen")

    def test_without_process_vm_readv_memory_is_read_by_its_file(self):
        target = self.target()
        for how in ("EPERM", "ENOSYS", "EACCES", "trap"):
            with self.subTest(how=how):
                program = self.without("process_vm_readv", how)
                run = self.run_as(program, target, "--log", "memory=info")
                self.assert_sampled(run, "spin1", "sleep2", "listen")
                self.assertIn("/proc/%d/mem is read instead" % target.pid, run.errors)
        self.assertIn("note process_vm_readv is refused: Permission denied; /proc/PID/mem is read instead",
                      self.doctor(self.without("process_vm_readv", "EACCES"), "-p", target.pid))

    def test_where_memory_cannot_be_read_at_all_both_ways_are_told(self):
        not_run.need_user_with_ptrace(self)
        target = self.target()
        program = [*not_run.AS_USER_WITH_PTRACE,
                   *confined.command_without("process_vm_readv", "EPERM", strangers.sampler_for_everybody(self))]
        run = self.run_as(program, target, expect=harness.PERMISSION)
        self.assert_refused(run, "process_vm_readv is refused to sampler (Operation not permitted), "
                                 "and /proc/%d/mem does not open (Permission denied)" % target.pid, "seccomp filter")

    def test_without_ptrace_one_line_says_so_and_how_it_goes_without(self):
        target = self.target()
        for calls, how, error in (("ptrace", "EPERM", "ptrace is refused to sampler: Operation not permitted"),
                                  ("ptrace", "ENOSYS", "ptrace is refused to sampler: Function not implemented"),
                                  ("timer_create", "EACCES", "timer_create is refused to sampler: Permission denied")):
            with self.subTest(calls=calls, how=how):
                program = self.without(calls, how)
                run = self.run_as(program, target, expect=harness.PERMISSION)
                self.assertEqual((run.output, run.errors.count("\n")), (b"", 1), str(run))
                self.assert_refused(run, "cannot stop threads of process %d: %s; a seccomp filter on sampler" % (
                    target.pid, error), "use --hold preempt")
                text = self.doctor(program, "-p", target.pid, status=harness.PERMISSION)
                self.assertIn("FAIL sampler -p %d would end with status 4" % target.pid, text)
                self.doctor(program, status=harness.PERMISSION)
                for hold in ("preempt", "none"):
                    run = self.run_as(program, target, "--hold", hold)
                    self.assert_sampled(run, "spin1", "sleep2", "listen")

    def test_a_command_runs_on_where_its_threads_cannot_be_stopped(self):
        program = self.without("ptrace")
        run = harness.run_sampler(self, "-q", "--", self.interpreter.executable, "-c",
                                  "import time; time.sleep(0.3); print('done')", program=program, expect=125)
        self.assertEqual(run.output, b"done\n")
        self.assert_refused(run, "ptrace is refused to sampler")

    def test_a_refusal_of_one_thread_only_is_no_other_tracer(self):
        target = self.target()
        run = self.run_as(self.without("ptrace:real"), target, expect=harness.PERMISSION)
        self.assertNotIn("another tracer", run.errors)
        self.assertEqual(set(run.summary.failures), {"the kernel refused to stop the thread (a security module, a "
                                                     "seccomp filter, or a tracer outside of our PID namespace)"})
        self.assertGreater(sum(stack.count for stack in run.folded if "sleep2" in stack.names), 0, str(run))
        self.assert_refused(run, "no running thread of process %d could be sampled in " % target.pid,
                            "use --hold preempt")

    def test_a_signalfd_that_is_refused_is_no_bug_of_ours(self):
        run = self.run_as(self.without("signalfd4"), self.target(), expect=harness.PERMISSION)
        self.assert_refused(run, "signalfd is refused to sampler: Operation not permitted", "seccomp filter")


if __name__ == "__main__":
    harness.main()
