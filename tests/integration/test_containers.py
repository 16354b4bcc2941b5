"""Pythons in other namespaces and root directories, sampled from the host and from beside them."""
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import containers  # noqa: E402
import harness  # noqa: E402
import not_run  # noqa: E402
import programs  # noqa: E402
import standing  # noqa: E402


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        not_run.need_root(self)

    def assert_refused(self, status, pid, *words, **options):
        run = harness.run_sampler(self, "-p", pid, "-s", "0", expect=status, timeout=10, **options)
        self.assertEqual(run.output, b"")
        self.assertRegex(run.errors, r"\Asampler: [^\n]+; [^\n]+\n\Z", "one line of what; the cure")
        for word in words:
            self.assertIn(word, run.errors)
        return run


class FromTheHost(Case):
    def test_threads_have_our_numbers_in_another_pid_namespace(self):
        not_run.need_namespaces(self)
        target = standing.Standing(
            self, ["unshare", "--kill-child", "--pid", "--fork", "--mount-proc", programs.SYSTEM_PYTHON, standing.SCRIPT, "5", "spin"],
            generation=1)
        self.assertEqual(target.facts["pid"], 1)
        target.assert_seen()

    def test_threads_have_our_numbers_two_pid_namespaces_down(self):
        not_run.need_namespaces(self)
        outer = ["unshare", "--kill-child", "--pid", "--fork", "--mount-proc"]
        target = standing.Standing(
            self, outer + outer + [programs.SYSTEM_PYTHON, standing.SCRIPT, "2", "spin"], generation=2)
        self.assertEqual(target.facts["pid"], 1)
        target.assert_seen()

    def test_a_forked_child_in_another_pid_namespace(self):
        not_run.need_namespaces(self)
        # As a pre-forking server's workers: CPython's own number of the first thread is the parent's.
        enter = ["unshare", "--kill-child", "--pid", "--fork", "--mount-proc"]
        target = standing.Standing(self, enter + [programs.SYSTEM_PYTHON, standing.SCRIPT, "2", "spin", "fork"], generation=2)
        self.assertEqual(target.facts["pid"], 2)
        target.assert_seen()

    def test_a_chroot(self):
        containers.Container(self).start(["chroot"]).assert_seen()

    def test_other_mount_and_pid_namespaces(self):
        target = containers.Container(self).start(containers.NAMESPACES)
        self.assertEqual(target.facts["pid"], 1)
        target.assert_seen()

    def test_another_user_namespace_too(self):
        target = containers.Container(self).start(containers.USER_NAMESPACE)
        self.assertTrue(containers.is_in_user_namespace(target))
        target.assert_seen()


class OtherFilesOfTheSameName(Case):
    """The container has a Python at a path where the host has another version of it."""

    def setUp(self):
        super().setUp()
        not_run.need_namespaces(self)
        not_run.need_mapped_files(self)
        self.interpreter = programs.shared_python(self)
        self.container = containers.Container(self)
        self.tree = programs.Tree(self.interpreter, os.path.join(self.container.directory, "tree"))
        self.executable, self.library = (self.container.inside(path) for path in (self.tree.executable, self.tree.library))
        other = programs.file_of_another_version(self, self.interpreter.version)
        self.put_on_the_host(self.executable, other)
        self.put_on_the_host(self.library, other)

    def put_on_the_host(self, path, file):
        top = os.path.join("/", *path.split("/")[:3])
        self.assertTrue(top.startswith("/tmp/sampler-test-"), top)
        self.addCleanup(shutil.rmtree, top, True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(file, path)

    def start(self):
        target = self.container.start(containers.NAMESPACES, python=self.executable,
                                      env={"LD_LIBRARY_PATH": os.path.dirname(self.library)})
        self.assertEqual(tuple(target.facts["version"]), self.interpreter.version)
        with open("/proc/%d/maps" % target.pid) as maps:
            self.assertIn(self.library, maps.read())
        return target

    def replace_by_a_link_to_the_host(self):
        """The library is gone, and its directory's name leads to the host's, where another version is."""
        directory = os.path.dirname(self.tree.library)
        shutil.rmtree(directory)
        os.symlink(os.path.dirname(self.library), directory)

    def test_the_containers_own_are_read(self):
        self.start().assert_seen()

    def test_a_link_out_of_the_container_is_not_followed(self):
        target = self.start()
        self.replace_by_a_link_to_the_host()
        target.assert_seen()

    def test_nothing_but_the_targets_own_files_is_opened(self):
        target = self.start()
        self.replace_by_a_link_to_the_host()
        log = os.path.join(harness.scratch(self), "strace")
        run = harness.run_sampler(self, "-p", target.pid, "-s", "0.2", program=[
            "strace", "-f", "-o", log, "-e", "trace=open,openat,openat2,execve,execveat", harness.sampler_binary()])
        self.assertIn("spin", [name for stack in run.folded for name in stack.names])
        with open(log) as file:
            calls = file.read()
        opened = set(re.findall(r"open(?:at2?)?\((?:AT_FDCWD, )?\"([^\"]*)\"", calls))
        self.assertTrue(any("map_files" in path for path in opened), calls)
        own = set(re.findall(r"(?m)^(\d+) ", calls))  # the sampler's threads, each of which looks at itself
        threads = "|".join(sorted(own | {str(tid) for tid in target.numbers().values()}))
        allowed = r"/proc/(self|%s)/.*|/sys/devices/system/cpu/.*" % threads
        self.assertEqual([path for path in opened if not re.fullmatch(allowed, path)], [], calls)
        self.assertEqual(calls.count("execve"), 1, calls)

    def test_without_the_right_to_open_mapped_files_their_names_are_used(self):
        sampler = containers.capabilities(["sys_ptrace", "kill", "dac_override"]) + [harness.sampler_binary()]
        target = self.start()
        target.assert_seen(program=sampler)
        self.replace_by_a_link_to_the_host()
        self.assert_refused(harness.PERMISSION, target.pid, self.library, program=sampler)


class OnLayers(Case):
    """A root that is an overlay, as Docker makes them."""

    def setUp(self):
        super().setUp()
        self.container = containers.Container(self)

    def test_from_the_host(self):
        self.container.start_on_overlay(harness.scratch(self)).assert_seen()

    def test_from_the_host_by_the_names_of_the_files(self):
        target = self.container.start_on_overlay(harness.scratch(self))
        target.assert_seen(program=containers.capabilities(["sys_ptrace"]) + [harness.sampler_binary()])

    def test_from_beside_by_the_names_of_the_files(self):
        binary = self.container.put(harness.sampler_binary())
        target = self.container.start_on_overlay(harness.scratch(self))
        privileges = containers.capabilities(containers.DOCKER + ["sys_ptrace"])
        target.assert_seen(program=containers.beside(target, privileges) + [binary], pid=1, inside=True)


class FromBeside(Case):
    """The sampler runs in the container, too, where the target is process 1."""

    def setUp(self):
        super().setUp()
        self.container = containers.Container(self)

    def test_as_root_of_the_container(self):
        target = self.container.start(containers.NAMESPACES)
        target.assert_seen(program=self.container.sampler(target), pid=1, inside=True)

    def test_as_root_of_a_user_namespace(self):
        target = self.container.start(containers.USER_NAMESPACE)
        target.assert_seen(program=self.container.sampler(target), pid=1, inside=True)

    def test_with_dockers_capabilities_and_sys_ptrace(self):
        target = self.container.start(containers.NAMESPACES)
        privileges = containers.capabilities(containers.DOCKER + ["sys_ptrace"])
        target.assert_seen(program=self.container.sampler(target, privileges), pid=1, inside=True)

    def test_with_dockers_capabilities_a_target_that_has_no_more_of_them(self):
        privileges = containers.capabilities(containers.DOCKER)
        target = self.container.start(containers.NAMESPACES, privileges=privileges)
        target.assert_seen(program=self.container.sampler(target, privileges), pid=1, inside=True)

    def test_with_dockers_capabilities_a_target_that_has_more(self):
        target = self.container.start(containers.NAMESPACES)
        privileges = containers.capabilities(containers.DOCKER)
        run = self.assert_refused(harness.PERMISSION, 1, "CAP_SYS_PTRACE", "--cap-add=SYS_PTRACE",
                                  program=self.container.sampler(target, privileges))
        self.assertLess(run.elapsed, 1.5)
        harness.assert_not_held(self, target.pid)

    def test_from_a_user_namespace_a_target_outside_of_it(self):
        not_run.need_user_namespaces(self)
        target = standing.start(self, programs.SYSTEM_PYTHON, "1")
        program = ["unshare", "--user", "--map-root-user", harness.sampler_binary()]
        self.assert_refused(harness.PERMISSION, target.pid, "user namespace", program=program)


class OtherProc(Case):
    """What /proc calls a process must be what the system calls call it."""

    def test_a_proc_of_another_pid_namespace(self):
        not_run.need_namespaces(self)
        target = standing.start(self, programs.SYSTEM_PYTHON, "1")
        self.assert_refused(harness.PERMISSION, target.pid, "/proc is of another PID namespace", "mount -t proc",
                            program=["unshare", "--pid", "--fork", harness.sampler_binary()])
        self.assert_refused(harness.PERMISSION, 1, "/proc is of another PID namespace",
                            program=["unshare", "--pid", "--fork", harness.sampler_binary()])

    def test_a_proc_of_another_pid_namespace_with_a_command(self):
        not_run.need_namespaces(self)
        run = harness.run_sampler(self, "--", programs.SYSTEM_PYTHON, "-c", "1", expect=125,
                                  program=["unshare", "--pid", "--fork", harness.sampler_binary()])
        self.assertIn("/proc is of another PID namespace", run.errors)

    def test_no_proc(self):
        container = containers.Container(self)
        self.assert_refused(harness.PERMISSION, 1, "/proc is not mounted", "mount -t proc",
                            program=["chroot", container.root, container.put(harness.sampler_binary())])


if __name__ == "__main__":
    unittest.main(verbosity=2)
