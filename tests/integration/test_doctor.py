"""sampler doctor: it says what stands in the way of sampling, and ends as sampling would."""
import contextlib
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import pythons  # noqa: E402
import strangers  # noqa: E402


class Case:
    def doctor(self, *arguments, status=harness.OK, **popen):
        """What it says, each cure joined to the line it stands below."""
        run = harness.run_sampler(self, "doctor", *arguments, expect=status, timeout=10, **popen)
        self.assertEqual(run.errors, "")
        text = re.sub(r"\n {6}(?! )", " ", run.output.decode())
        for line in text.splitlines():
            self.assertRegex(line, r"^(ok    |note  |FAIL  |the machine|process \d+|supported Pythons|$)")
        return text

    def opened(self):
        """How a file of a process is opened: as it is mapped, where we have the right to."""
        return "opened as mapped" if not_run.may_open_mapped_files() else "opened by name"

    def examine(self, pid, status, **popen):
        """What it says of a process; a run that samples it has the same exit status."""
        harness.run_sampler(self, "-p", pid, "-s", "0", expect=status, **popen)
        text = self.doctor("-p", pid, status=status, **popen)
        self.assertIn("\nprocess %d\n" % pid, text)
        if status == harness.OK:
            self.assertIn("ok    sampler -p %d would sample it\n" % pid, text)
        else:
            self.assertIn("FAIL  sampler -p %d would end with status %d\n" % (pid, status), text)
        return text


@harness.on_old_and_new
class Pythons(Case):
    def test_a_python_that_can_be_sampled(self):
        target = harness.idle_target(self, self.interpreter, "sleep", "sleep")
        text = self.examine(target.pid, harness.OK)
        self.assertNotIn("FAIL", text)
        version = pythons.ask(self.interpreter.executable).version
        self.assertRegex(text, r"(?m)^ok    process %d \(python[^)]*\) is sleeping; threads: 3," % target.pid)
        self.assertRegex(text, r"(?m)^ok    it runs as user %d, group %d, as we do$" % (os.geteuid(), os.getegid()))
        self.assertRegex(text, r"(?m)^ok    /.*python.*, %s, has PyCode_Type$" % self.opened())
        self.assertRegex(text, r"(?m)^ok    it is Python %s, by its " % re.escape(version))
        self.assertRegex(text, r"(?m)^ok    its layout: built in")
        self.assertRegex(text, r"(?m)^ok    the Python in /.+ is initialised; interpreters: 1, thread states: 3$")

    def test_a_layout_of_a_directory_is_named(self):
        version = pythons.ask(self.interpreter.executable).version
        directory = harness.scratch(self)
        path = os.path.join(directory, "own.layout")
        shutil.copy(pythons.layout_file(version), path)
        target = harness.idle_target(self, self.interpreter)
        text = self.doctor("-p", target.pid, "--layout-dir", directory)
        self.assertRegex(text, r"(?m)^ok    its layout: %s\b" % re.escape(path))
        table = text[text.index("supported Pythons"):]
        self.assertRegex(table, r"\b%s +%s\b" % (re.escape(version), re.escape(path)))

    def test_a_file_deleted_by_an_upgrade_is_told(self):
        python, path = strangers.start_unknown_python(self)
        os.unlink(path)
        text = self.examine(python.pid, harness.UNSUPPORTED)
        self.assertIn("ok    %s (deleted), opened as mapped, has PyCode_Type\n" % path, text)
        self.assertIn("it is Python %s, by its file's name" % strangers.UNKNOWN_VERSION, text)
        self.assertIn("FAIL  CPython %s is not supported" % strangers.UNKNOWN_VERSION, text)

    def test_no_thread_of_the_target_is_stopped(self):
        target = harness.Target(self, self.interpreter, "idle.py", "spin")
        log = os.path.join(harness.scratch(self), "log")
        self.doctor("-p", target.pid, program=["strace", "-f", "-o", log, "-e", "trace=ptrace,kill,tgkill,tkill",
                                               harness.sampler_binary()])
        with open(log) as file:
            calls = re.findall(r"\w+\(.*", file.read())
        asked_of_nobody = {"ptrace(%s, 2147483647) = -1 ESRCH (No such process)" % request
                           for request in ("PTRACE_SEIZE", "PTRACE_INTERRUPT", "PTRACE_DETACH")}
        self.assertEqual({re.sub(r"(, NULL, 0)?\) += ", ") = ", call) for call in calls},
                         asked_of_nobody | {"kill(%d, 0) = 0" % target.pid})

    def test_a_launcher_leads_to_its_python(self):
        shell, child = strangers.start_launcher(self, self.interpreter)
        text = self.examine(shell.pid, harness.NOT_PYTHON)
        self.assertRegex(text, r"(?m)^note  /.*, %s, has no PyCode_Type$" % self.opened())
        self.assertRegex(text, r"(?m)^FAIL  process %d .*not a Python .*started Python processes: %d;" % (
            shell.pid, child))

    def test_a_python_that_started_others_names_them(self):
        target = harness.Target(self, self.interpreter, "single.py", "sleep")
        code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', " \
               "'import sys; print(1); sys.stdout.flush(); sys.stdin.read()'], stdin=subprocess.PIPE); p.wait()"
        parent = strangers.start(self, self.interpreter.executable, "-c", code, stdout=subprocess.PIPE)
        harness.LineReader(parent.stdout.fileno(), "the child").line()
        with open("/proc/%d/task/%d/children" % (parent.pid, parent.pid)) as file:
            child = int(file.read())
        self.addCleanup(harness.end_stranger, child)
        self.assertIn("note  it has started Python processes: %d " % child, self.examine(parent.pid, harness.OK))
        self.assertNotIn("it has started", self.examine(target.pid, harness.OK))


@harness.on_newest
class Processes(Case):
    def idle(self, *threads):
        return harness.idle_target(self, self.interpreter, *threads)

    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.assertIn("FAIL  no process %d " % gone.pid, self.examine(gone.pid, harness.NO_PROCESS))

    def test_a_zombie(self):
        zombie = strangers.start_zombie(self)
        text = self.examine(zombie.pid, harness.NO_PROCESS)
        self.assertRegex(text, r"(?m)^FAIL  process %d .*zombie its parent %d " % (zombie.pid, os.getpid()))

    def test_a_kernel_thread(self):
        not_run.need_kernel_thread(self)
        self.assertIn("is a kernel thread", self.examine(2, harness.NOT_PYTHON))

    def test_a_program_that_is_no_python(self):
        other = strangers.start(self, "sleep", "100")
        text = self.examine(other.pid, harness.NOT_PYTHON)
        self.assertRegex(text, r"(?m)^note  /.*sleep, %s, has no PyCode_Type$" % self.opened())

    def test_a_stopped_process_is_sampled_as_it_is(self):
        target = self.idle()
        os.kill(target.pid, signal.SIGSTOP)
        harness.wait_until(lambda: harness.state(target.pid) == "T", 10, "it is stopped")
        self.assertIn("is stopped by job control;", self.examine(target.pid, harness.OK))

    def test_a_number_of_a_thread_leads_to_its_process(self):
        target = self.idle("sleep")
        thread = target.facts["tids"]["sleep1"]
        text = self.examine(thread, harness.NO_PROCESS)
        self.assertIn("FAIL  %d is a thread of process %d use -p %d\n" % (thread, target.pid, target.pid), text)

    def test_a_traced_process(self):
        target = self.idle("spin")
        tracer = strangers.start_tracer(self, target)
        text = self.examine(target.pid, harness.TRACED)
        self.assertRegex(text, r"(?m)^FAIL  .*traced by process %d \(strace\)" % tracer.pid)

    def test_a_process_of_another_user(self):
        not_run.need_root(self)
        target = self.idle()
        text = self.examine(target.pid, harness.PERMISSION, cwd="/",
                            program=strangers.as_nobody(strangers.sampler_for_everybody(self)))
        nobody = strangers.NOBODY
        self.assertIn("note  it runs as user 0, group 0; we are user %d, group %d\n" % (nobody, nobody), text)
        self.assertIn("note  it has capabilities that we lack", text)
        self.assertIn("note  its namespaces cannot be told", text)
        self.assertRegex(text, r"(?m)^FAIL  cannot trace process %d: .*run as that user or as root" % target.pid)

    def test_a_process_that_made_itself_undumpable(self):
        not_run.need_root(self)
        program = strangers.sampler_for_everybody(self)
        code = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); print(1); sys.stdout.flush(); sys.stdin.read()"
        target = subprocess.Popen(strangers.as_nobody("/usr/bin/python3", "-c", code), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, cwd="/")
        self.addCleanup(harness.end, target)
        harness.LineReader(target.stdout.fileno(), "the target").line()
        text = self.examine(target.pid, harness.PERMISSION, cwd="/", program=strangers.as_nobody(program))
        self.assertIn("note  it is undumpable", text)

    def test_a_process_in_namespaces_of_its_own(self):
        not_run.need_namespaces(self)
        launcher = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", self.interpreter.executable,
             os.path.join(harness.TARGETS, "single.py"), "sleep"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(harness.end, launcher)
        harness.LineReader(launcher.stdout.fileno(), "the target").line()
        with open("/proc/%d/task/%d/children" % (launcher.pid, launcher.pid)) as file:
            target = int(file.read())
        text = self.examine(target, harness.OK)
        self.assertIn("note  other namespaces than ours: PID (it is 1 there), mount; as in a container\n", text)

    def test_a_process_that_proc_hides(self):
        not_run.need_namespaces(self)
        target = self.idle()
        script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
        program = ["unshare", "-m", "sh", "-c", script, "sh"] + strangers.as_nobody(
            strangers.sampler_for_everybody(self))
        text = self.examine(target.pid, harness.NO_PROCESS, cwd="/", program=program)
        self.assertIn("note  process %d is there, but /proc hides it from user %d " % (target.pid, strangers.NOBODY),
                      text)

    def test_a_program_for_32_bits(self):
        path = os.path.join(harness.scratch(self), "small")
        code = bytes.fromhex("b81d000000cd80ebf7")  # pause() for ever: mov eax, 29; int 0x80; jmp back
        base, start = 0x8048000, 84
        header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, base + start, 52, 0, 0, 52, 32, 1,
                             0, 0, 0)
        segment = struct.pack("<8I", 1, 0, base, base, start + len(code), start + len(code), 5, 0x1000)
        with open(path, "wb") as file:
            file.write(header + segment + code)
        os.chmod(path, 0o755)
        try:
            process = strangers.start(self, path)
        except OSError as error:
            not_run.not_run(self, "this kernel runs no 32-bit programs: %s" % error, "a kernel with CONFIG_IA32_EMULATION")
        self.assertIn("FAIL  its program is for 32 bits: %s " % path, self.examine(process.pid, harness.NOT_PYTHON))

    def test_a_name_cannot_steer_the_terminal(self):
        path = os.path.join(harness.scratch(self), "\x1b[2Jx")
        shutil.copy("/bin/sleep", path)
        process = strangers.start(self, path, "100")
        self.assertNotIn("\x1b", self.examine(process.pid, harness.NOT_PYTHON))


@harness.on_newest
class Machine(Case):
    def test_without_a_process_it_tells_of_the_machine(self):
        text = self.doctor()
        self.assertTrue(text.startswith("the machine and our rights\nok    Linux %s on x86_64\n" % os.uname().release))
        for words in ("process_vm_readv reads memory", "ptrace can be called", "schedstat", "CAP_SYS_PTRACE",
                      "CAP_CHECKPOINT_RESTORE", "CAP_SYS_NICE", "seccomp", "PID namespace", "user namespace"):
            self.assertIn(words, text)
        for version in harness.SUPPORTED:
            self.assertRegex(text, r"\b%s +built in\b" % re.escape(version))

    def with_yama(self, scope, *command):
        """A command whose kernel seems to have yama: over /proc/sys/kernel lies a directory with its file."""
        script = 'mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && ' \
                 'echo %d > /proc/sys/kernel/yama/ptrace_scope && exec "$@"' % scope
        return ["unshare", "-m", "sh", "-c", script, "sh"] + list(command)

    def test_yama_for_root_and_for_others(self):
        not_run.need_namespaces(self)
        program = strangers.sampler_for_everybody(self)
        for scope, verdict, words in ((0, "ok    ", ""), (1, "note  ", "sampler -- COMMAND"),
                                      (2, "FAIL  ", "run as root"), (3, "FAIL  ", "reboot")):
            with self.subTest(scope=scope):
                status = harness.PERMISSION if verdict == "FAIL  " else harness.OK
                text = self.doctor(status=status, cwd="/", program=self.with_yama(scope, *strangers.as_nobody(program)))
                self.assertRegex(text, r"(?m)^%syama: kernel.yama.ptrace_scope is %d.*%s" % (verdict, scope, words))
        self.assertIn("ok    yama: kernel.yama.ptrace_scope is 2\n", self.doctor(program=self.with_yama(2, program)))
        self.doctor(status=harness.PERMISSION, program=self.with_yama(3, program))

    def test_yama_is_named_where_it_forbids(self):
        not_run.need_namespaces(self)
        target = harness.idle_target(self, self.interpreter)
        program = self.with_yama(1, *strangers.as_nobody(strangers.sampler_for_everybody(self)))
        text = self.examine(target.pid, harness.PERMISSION, cwd="/", program=program)
        self.assertRegex(text, r"(?m)^FAIL  cannot trace .* kernel.yama.ptrace_scope is 1: run as root")

    def test_root_without_the_capability(self):
        not_run.need_root(self)
        program = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", harness.sampler_binary()]
        self.assertRegex(self.doctor(program=program),
                         r"(?m)^note  we are user 0 without CAP_SYS_PTRACE.*--cap-add=SYS_PTRACE")

    def test_a_user_namespace_of_our_own(self):
        not_run.need_user_namespaces(self)
        text = self.doctor(program=["unshare", "-Ur", harness.sampler_binary()])
        self.assertRegex(text, r"(?m)^note  user namespace: one of its own")
        self.assertIn("note  neither CAP_CHECKPOINT_RESTORE nor CAP_SYS_ADMIN", text)

    def test_a_proc_that_is_not_ours(self):
        not_run.need_namespaces(self)
        text = self.doctor(status=harness.PERMISSION, program=["unshare", "--pid", "--fork", harness.sampler_binary()])
        self.assertRegex(text, r"(?m)^FAIL  /proc is not mounted, or is another PID namespace's")

    def test_an_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            run = harness.run_sampler(self, "doctor", stdout=full, expect=harness.OUTPUT)
        self.assertIn("cannot write to standard output: No space left on device", run.errors)

    def whole(self, terminal):
        """All that was written to a terminal whose other end is closed: at its end a read is EIO."""
        data = b""
        with contextlib.suppress(OSError):
            while part := terminal.read(65536):
                data += part
        return data

    def test_colour_is_for_terminals_that_want_it(self):
        not_run.need_terminals(self)
        for environment, has_colour in (({}, True), ({"NO_COLOR": "1"}, False)):
            with self.subTest(environment=environment):
                ours, its = pty.openpty()
                with os.fdopen(ours, "rb", buffering=0) as terminal:
                    harness.run_sampler(self, "doctor", stdout=its, env=dict(os.environ, **environment))
                    os.close(its)
                    self.assertEqual(b"\x1b[32mok\x1b[0m" in self.whole(terminal), has_colour)


if __name__ == "__main__":
    harness.main()
