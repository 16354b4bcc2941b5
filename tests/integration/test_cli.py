"""The command line: mistakes get one line, a cure and their exit status; the rest does what it says."""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import pythons  # noqa: E402
import strangers  # noqa: E402


class Case:
    def idle(self, *threads):
        return harness.idle_target(self, self.interpreter, *threads)

    def start(self, *command, **popen):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **popen)
        self.addCleanup(harness.end, process)
        return process

    def assert_refused(self, status, *arguments, words=(), program=None, **popen):
        """One line of what, why and the cure, nothing on stdout, within a second."""
        run = harness.run_sampler(self, *arguments, expect=status, timeout=10, program=program, **popen)
        self.assertEqual(run.output, b"", "nothing in place of the error")
        self.assertRegex(run.errors, r"\Asampler: [^\n]+; [^\n]+\n\Z", "one line of what; the cure")
        for word in words:
            self.assertIn(str(word), run.errors)
        self.assertLess(run.elapsed, 1.5)
        return run

    def assert_not_attached(self, status, pid, arguments=(), **options):
        """Refused, and the doctor is named for more."""
        run = self.assert_refused(status, "-p", pid, *arguments, **options)
        self.assertTrue(run.errors.endswith("; sampler doctor -p %d tells more\n" % pid), run.errors)
        return run


@harness.on_newest
class Refusals(Case):
    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.assert_not_attached(harness.NO_PROCESS, gone.pid, words=[gone.pid])

    def test_a_zombie(self):
        zombie = strangers.start_zombie(self)
        self.assert_not_attached(harness.NO_PROCESS, zombie.pid, words=[zombie.pid, "zombie"])

    def test_a_kernel_thread(self):
        not_run.need_kernel_thread(self)
        self.assert_not_attached(harness.NOT_PYTHON, 2, words=["kernel thread"])

    def test_a_program_that_is_no_python(self):
        other = self.start("sleep", "100")
        self.assert_not_attached(harness.NOT_PYTHON, other.pid, words=[other.pid, "sleep"])
        self.assert_not_attached(harness.NOT_PYTHON, other.pid, arguments=["--dump"], words=[other.pid, "sleep"])

    def test_a_program_whose_name_would_steer_the_terminal(self):
        directory = os.fsencode(harness.scratch(self))
        for name, shown in ((b"a\x1b[31mEVIL\nX", "(a?[31mEVIL?X)"), (b"b\xc2\x9b31m\x9bX", "(b?31m?X)")):
            with self.subTest(name=name):
                path = os.path.join(directory, name)
                shutil.copy("/bin/sleep", path)
                other = self.start(path, "100")
                run = self.assert_not_attached(harness.NOT_PYTHON, other.pid, words=[shown])
                self.assertNotRegex(run.errors, "[\x80-\x9f\ufffd]")
                doctor = harness.run_sampler(self, "doctor", "-p", other.pid, expect=harness.NOT_PYTHON)
                self.assertNotRegex(doctor.output.decode(), "[\x80-\x9f]")

    def test_a_shell_names_its_python_child(self):
        shell, child = strangers.start_launcher(self, self.interpreter)
        self.assert_not_attached(harness.NOT_PYTHON, shell.pid, words=[shell.pid, child])

    def test_a_python_that_is_not_known_yet(self):
        python, _ = strangers.start_unknown_python(self)
        self.assert_not_attached(harness.UNSUPPORTED, python.pid, words=[strangers.UNKNOWN_VERSION, "3.12"])

    def test_a_target_that_strace_traces(self):
        target = self.idle("spin")
        tracer = strangers.start_tracer(self, target)
        self.assert_not_attached(harness.TRACED, target.pid, words=[tracer.pid, "strace"])

    def test_a_process_of_another_user(self):
        not_run.need_root(self)
        target = self.idle()
        run = self.assert_not_attached(
            harness.PERMISSION, target.pid, words=[target.pid], cwd="/",
            program=strangers.as_nobody(strangers.sampler_for_everybody(self)))
        self.assertRegex(run.errors, r"root|sudo|CAP_SYS_PTRACE")

    def test_a_run_without_a_stack(self):
        target = self.idle()
        run = self.assert_not_attached(harness.NO_STACK, target.pid, arguments=["-s", "0.1", "-g", "-q"])
        self.assertIn("no thread held the GIL", run.errors)

    def test_an_output_that_cannot_be_written(self):
        target = self.idle("spin")
        directory = harness.scratch(self)
        for path in (os.path.join(directory, "missing", "out"), directory, "/proc/version/x"):
            with self.subTest(path=path):
                self.assert_refused(harness.OUTPUT, "-p", target.pid, "-o", path, words=[path])
        self.assertEqual(os.listdir(directory), [])

    def test_a_full_disk(self):
        target = self.idle()
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.1", "-o", "/dev/full", expect=harness.OUTPUT)
        self.assertRegex(run.errors, "No space left")

    def test_formats_that_are_not_supported_yet(self):
        target = self.idle()
        directory = harness.scratch(self)
        for name in ("out.svg", "out.html", "out.json", "out.pb.gz"):
            with self.subTest(name=name):
                run = harness.run_sampler(self, "-p", target.pid, "-s", "0", "-o", os.path.join(directory, name),
                                          expect=None)
                self.assertIn(run.status, (harness.USAGE, harness.OUTPUT), str(run))
                self.assertIn(os.path.splitext(name)[1], run.errors)
        self.assertEqual(os.listdir(directory), [])

    def test_mistakes_of_usage(self):
        pid = str(self.idle().pid)
        for arguments, word in (
                ([], "-p"), ([pid], "-p"), (["record", pid], "-p"), (["recrod", "-p", pid], "recrod"),
                (["-p", "abc"], "abc"), (["-p", "0"], "0"), (["-p", "-1"], "-1"), (["-p", "99999999999999"], "999"),
                (["-p", pid + ".5"], pid), (["-p"], "p"), (["-p", ""], "-p"),
                (["-p", pid, "-s", "-1"], "-s"), (["-p", pid, "-s", "nan"], "-s"), (["-p", pid, "-s", "abc"], "-s"),
                (["-p", pid, "-s", "1x"], "-s"), (["-p", pid, "-s", "-inf"], "-s"),
                (["-p", pid, "-r", "0"], "-r"), (["-p", pid, "-r", "-0.1"], "-r"), (["-p", pid, "-r", "nan"], "-r"),
                (["-p", pid, "-r", "inf"], "-r"), (["-p", pid, "-r", "100"], "--hz"), (["-p", pid, "-r", ""], "-r"),
                (["-p", pid, "--hz", "0"], "--hz"), (["-p", pid, "--hz", "-5"], "--hz"),
                (["-p", pid, "--hz", "fast"], "--hz"), (["-p", pid, "--hz", "nan"], "--hz"),
                (["-p", pid, "-r", "0.01", "--hz", "100"], "--hz"), (["-p", pid, "-p", pid], "twice"),
                (["-p", pid, "--unknown"], "--unknown"), (["-p", pid, "--second", "1"], "--second"),
                (["-p", pid, "-Z"], "Z"), (["-p", pid, "--mode", "some"], "some"),
                (["-p", pid, "--mode", "wall", "-g"], "contradict"), (["-p", pid, "--style", "x"], "style"),
                (["-p", pid, "--abi", "elephant"], "elephant"), (["-d", "-p", pid, "-s", "1"], "-s")):
            with self.subTest(arguments=arguments):
                self.assert_refused(harness.USAGE, *arguments, words=[word])

    def test_whose_status_a_mistake_has_is_decided_by_what_the_words_mean(self):
        for status, arguments in ((125, ["--hz", "bad", "-qt", "true"]), (125, ["-Z", "--", "true"]),
                                  (harness.USAGE, ["--hz", "bad", "-p", "1", "-o", "--"]),
                                  (harness.USAGE, ["--hz", "bad", "-p", "1", "-o", "-t"])):
            with self.subTest(arguments=arguments):
                self.assert_refused(status, *arguments)

    def test_a_command_beside_a_process_is_a_failure_of_our_own(self):
        for marker in ("-t", "--"):
            with self.subTest(marker=marker):
                self.assert_refused(125, "-p", self.idle().pid, marker, "true", words=["-p", marker])


@harness.on_newest
class LayoutDirectory(Case):
    """--layout-dir: layouts from outside the program."""

    def setUp(self):
        self.directory = harness.scratch(self)

    def text_of(self, version):
        with open(pythons.layout_file(version)) as file:
            return file.read()

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def commands(self, pid):
        return (["-p", pid], ["record", "-p", pid], ["dump", "-p", pid], ["doctor", "-p", pid], ["doctor"])

    def test_a_broken_file_is_named_with_its_line(self):
        good = self.text_of("3.12")
        lines = good.splitlines(keepends=True)
        number = next(i for i, line in enumerate(lines) if line.startswith("frame.previous"))
        pid = self.idle().pid
        for line, place, word in (
                ("frame.prevoius 8\n", number + 1, "'frame.prevoius' is unknown"),
                ("", len(lines) - 1, "'frame.previous' is missing"),
                ("frame.previous 999999999\n", number + 1, "'999999999'"),
                ("frame.previous 76\n", number + 1, "outside its struct"),
                ("frame.previous 8\nframe.previous 8\n", number + 2, "'frame.previous' is already in line")):
            path = self.write("3.12.layout", "".join(lines[:number] + [line] + lines[number + 1:]))
            for command in self.commands(pid):
                with self.subTest(word=word, command=command):
                    self.assert_refused(harness.USAGE, *command, "--layout-dir", self.directory,
                                        words=["%s:%d:" % (path, place), word])

    def test_a_directory_that_is_not_there(self):
        missing = os.path.join(self.directory, "missing")
        for command in self.commands(self.idle().pid):
            with self.subTest(command=command):
                self.assert_refused(harness.USAGE, *command, "--layout-dir", missing, words=[missing, "--layout-dir"])

    def test_a_mistake_leaves_the_output_alone(self):
        self.write("x.layout", "nonsense\n")
        output = os.path.join(harness.scratch(self), "out.samp")
        self.assert_refused(harness.USAGE, "-p", self.idle().pid, "-o", output, "--layout-dir", self.directory,
                            words=["x.layout:1:"])
        self.assertEqual(os.listdir(os.path.dirname(output)), [])

    def test_with_a_command_a_mistake_is_a_failure_of_our_own(self):
        self.write("x.layout", "nonsense\n")
        self.assert_refused(125, "--layout-dir", self.directory, "--", "true", words=["x.layout:1:"])

    def test_a_layout_of_the_directory_is_used(self):
        version = pythons.ask(self.interpreter.executable).version
        pid = self.idle("spin").pid
        self.write("own.layout", self.text_of(version))
        run = harness.run_sampler(self, "-p", pid, "-s", "0.2", "--layout-dir", self.directory)
        self.assertGreater(run.total, 0)
        # With the layout of another Python in its place nothing can be found where it says.
        self.write("own.layout", self.text_of("3.6").replace("3.6", version))
        run = harness.run_sampler(self, "-p", pid, "-s", "0.2", "--layout-dir", self.directory, expect=None)
        self.assertNotEqual(run.status, harness.OK, str(run))

    def test_a_release_whose_runtime_has_another_size_is_refused(self):
        version = pythons.ask(self.interpreter.executable).version
        self.write("own.layout", self.text_of(version).replace("runtime.finalizing",
                                                               "runtime.size 4321\nruntime.finalizing"))
        self.assert_not_attached(harness.UNSUPPORTED, self.idle().pid, ["--layout-dir", self.directory],
                                 words=["Python " + version, "4321", "README.md", "--layout-dir"])

    def test_a_new_version_can_be_added(self):
        python, _ = strangers.start_unknown_python(self)
        self.write("new.layout", self.text_of("3.12").replace("3.12", strangers.UNKNOWN_VERSION))
        run = harness.run_sampler(self, "-p", python.pid, "--layout-dir", self.directory, expect=harness.NOT_PYTHON)
        self.assertIn("has Python %s" % strangers.UNKNOWN_VERSION, run.errors)


@harness.on_newest
class Options(Case):
    def test_help_and_version(self):
        for option in ("-h", "--help", "-v", "--version"):
            with self.subTest(option=option):
                run = harness.run_sampler(self, option)
                self.assertRegex(run.output.decode(), r"sampler")
                self.assertEqual(run.errors, "")

    def test_zero_seconds_are_one_tick(self):
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0")
        self.assertEqual((run.summary.asked, run.summary.taken, run.total), (1, 1, 1))
        self.assertLess(run.elapsed, 1)

    def test_the_deadline_is_wall_time(self):
        target = self.idle("spin")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1.5")
        self.assertGreaterEqual(run.elapsed, 1.48)
        self.assertLess(run.elapsed, 2.0)
        os.kill(target.pid, signal.SIGSTOP)
        run = harness.run_sampler(self, "-p", target.pid, "-s", "1.5", expect=None)
        self.assertLess(run.elapsed, 2.0)

    def test_quiet_says_nothing(self):
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0.1", "-q")
        self.assertEqual(run.errors, "")
        self.assertIn(run.total, range(1, 11))

    def test_a_wrong_abi_is_a_warning(self):
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0", "--abi", "27")
        self.assertRegex(run.errors, r"27|2\.7")
        self.assertEqual(run.total, 1)

    def test_standard_error_has_no_progress_line_where_it_is_no_terminal(self):
        run = harness.run_sampler(self, "-p", self.idle("spin").pid, "-s", "1.2")
        self.assertNotIn("\r", run.errors)

    def test_a_file_replaces_what_was_there(self):
        path = os.path.join(harness.scratch(self), "out.samp")
        with open(path, "w") as file:
            file.write("old " * 10000)
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0.1", "-o", path)
        self.assertEqual(run.output, b"")
        with open(path, "rb") as file:
            self.assertEqual(sum(stack.count for stack in harness.parse_folded(file.read())), run.summary.samples)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["out.samp"])

    def test_a_symlink_stays_and_its_target_is_written(self):
        directory = harness.scratch(self)
        path, link = os.path.join(directory, "real"), os.path.join(directory, "link")
        os.symlink("real", link)
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0.1", "-o", link)
        self.assertEqual(os.readlink(link), "real")
        with open(path, "rb") as file:
            self.assertEqual(sum(stack.count for stack in harness.parse_folded(file.read())), run.summary.samples)

    def test_a_fifo_is_written_once(self):
        path = os.path.join(harness.scratch(self), "fifo")
        os.mkfifo(path)
        reader = self.start("cat", path, stdout=subprocess.PIPE)
        run = harness.run_sampler(self, "-p", self.idle().pid, "-s", "0.2", "-o", path)
        output = reader.communicate(timeout=10)[0]
        self.assertEqual(sum(stack.count for stack in harness.parse_folded(output)), run.summary.samples)

    def test_a_dash_is_standard_output(self):
        harness.assert_accounts(self, harness.run_sampler(self, "-p", self.idle().pid, "-s", "0.1", "-o", "-"))

    def test_dump_names_every_thread(self):
        target = self.idle("sleep", "sleep")
        run = harness.run_sampler(self, "dump", "-p", target.pid)
        shown = run.output.decode()
        for name in ("sleep1", "sleep2", "wait_for_commands"):
            self.assertIn(name, shown)
        for tid in harness.tasks(target.pid):
            self.assertIn(str(tid), shown)

    def test_two_samplers_share_a_target(self):
        target = self.idle("spin", "sleep")
        samplers = [harness.Sampler(self, "-p", target.pid, "-s", "1.5", "--hz", "100") for _ in range(2)]
        for run in [sampler.wait(10) for sampler in samplers]:
            self.assertEqual(run.status, harness.OK, str(run))
            harness.assert_accounts(self, run)
            # One finds the thread held by the other now and then, and more often where stops come late.
            self.assertGreaterEqual(run.summary.taken, 0.5 * run.summary.asked, str(run))
        harness.assert_not_held(self, target.pid)

    def trace(self, tid, pid):
        """An strace that has the thread. It gives up a thread that the sampler holds at that moment: then another."""
        for _ in range(50):
            tracer = self.start("strace", "-e", "trace=none", "-o", "/dev/null", "-p", str(tid),
                                stderr=subprocess.DEVNULL)

            def is_traced():
                return harness.tasks(pid)[tid]["TracerPid"] == str(tracer.pid)
            harness.wait_until(lambda: is_traced() or tracer.poll() is not None, 10, "strace attaches or ends")
            if tracer.poll() is None:
                return tracer
        self.fail("strace never got the thread")

    def test_a_tracer_that_comes_during_the_run_is_counted(self):
        target = self.idle("spin")
        sampler = harness.Sampler(self, "-p", target.pid, "-s", "inf", "--hz", "100")
        sampler.wait_samples()
        tracer = self.trace(target.facts["tids"]["spin1"], target.pid)
        seen = harness.tasks(sampler.pid)[sampler.pid]["voluntary_ctxt_switches"]
        harness.wait_until(
            lambda: int(harness.tasks(sampler.pid)[sampler.pid]["voluntary_ctxt_switches"]) > int(seen) + 30,
            10, "ticks while it is traced")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        sampler.signal(signal.SIGINT)
        run = sampler.wait(5)
        self.assertEqual(run.status, harness.OK, str(run))
        harness.assert_accounts(self, run)
        # What waits for a CPU is read all the same: nobody has to stop it.
        proven = re.search(r"without ptrace: (\d+) proven", run.errors)
        self.assertGreater(run.summary.failed + int(proven.group(1) if proven else 0), 0, str(run))
        harness.assert_not_held(self, target.pid)


@harness.on_newest
class Standalone(Case):
    def test_it_runs_in_an_empty_root(self):
        not_run.need_namespaces(self)
        root = harness.scratch(self)
        shutil.copy(harness.sampler_binary(), os.path.join(root, "sampler"))
        version = subprocess.run(["chroot", root, "/sampler", "--version"], stdout=subprocess.PIPE, timeout=10,
                                 check=True)
        self.assertIn(b"sampler", version.stdout)

        os.mkdir(os.path.join(root, "proc"))
        script = 'mount --bind /proc "$0/proc" && exec chroot "$0" /sampler "$@"'
        target = self.idle("spin")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.2", "-o", "/out",
                                  program=["unshare", "-m", "sh", "-c", script, root])
        with open(os.path.join(root, "out"), "rb") as file:
            self.assertEqual(sum(stack.count for stack in harness.parse_folded(file.read())), run.summary.samples)
        self.assertEqual(sorted(os.listdir(root)), ["out", "proc", "sampler"])

    def test_it_runs_nothing_and_writes_nothing_of_the_target(self):
        target = self.idle("spin", "sleep")
        directory = harness.scratch(self)
        log, path = os.path.join(directory, "log"), os.path.join(directory, "out.samp")
        harness.run_sampler(
            self, "-p", target.pid, "-s", "0.3", "-o", path,
            program=["strace", "-f", "-y", "-o", log, "-e",
                     "trace=open,openat,openat2,creat,execve,execveat,process_vm_writev,ptrace,rename,unlink",
                     harness.sampler_binary()])
        with open(log) as file:
            calls = file.read().splitlines()
        self.assertEqual(sum("execve" in call for call in calls), 1, "its own start")
        self.assertFalse([call for call in calls if re.search(r"process_vm_writev|PTRACE_(POKE|SET)", call)])
        self.assertTrue([call for call in calls if "PTRACE_SEIZE" in call], "it did hold the busy thread")
        writing = [call for call in calls if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(", call)]
        self.assertTrue(writing)
        for call in writing:
            self.assertIn(directory, call)


if __name__ == "__main__":
    harness.main()
