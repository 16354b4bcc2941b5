"""Processes and users that the sampler has trouble with, for the tests of its refusals."""
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

NOBODY = 65534
SYS_PTRACE = 19  # linux/capability.h
UNKNOWN_VERSION = "3.99"


def sampler_for_everybody(test):
    """A copy of the sampler that every user may run."""
    directory = harness.scratch(test)
    os.chmod(directory, 0o755)
    path = os.path.join(directory, "sampler")
    shutil.copy(harness.sampler_binary(), path)
    os.chmod(path, 0o755)
    return path


def as_nobody(*command):
    """The command, run as a user without any capability."""
    return ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", "--bounding-set=-all",
            "--inh-caps=-all"] + list(command)


def as_nobody_with_capabilities(program):
    """A program, run as a user with the capabilities that its file has."""
    return ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", "--inh-caps=-all", program]


def give_capability(path, number):
    """What setcap(8) does with +ep."""
    revision_2, effective = 0x02000000, 1
    os.setxattr(path, "security.capability", struct.pack("<5I", revision_2 | effective, 1 << number, 0, 0, 0))


def start(test, *command, **popen):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **popen)
    test.addCleanup(harness.end, process)
    return process


def start_zombie(test):
    zombie = start(test, "true")
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    return zombie


def start_launcher(test, interpreter):
    """A shell, and the number of the Python that it has started."""
    shell = subprocess.Popen(["sh", "-c", '"$0" "$1" sleep; true', interpreter.executable,
                              os.path.join(harness.TARGETS, "single.py")],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    test.addCleanup(harness.end, shell)
    harness.LineReader(shell.stdout.fileno(), "the shell's child").line()
    with open("/proc/%d/task/%d/children" % (shell.pid, shell.pid)) as file:
        child = int(file.read())
    test.addCleanup(harness.end_stranger, child)
    return shell, child


def start_tracer(test, target):
    """An strace that has every thread of the target."""
    tracer = start(test, "strace", "-f", "-o", "/dev/null", "-p", str(target.pid), stderr=subprocess.DEVNULL)
    harness.wait_until(lambda: all(status["TracerPid"] == str(tracer.pid)
                                   for status in harness.tasks(target.pid).values()), 10, "strace traces")
    return tracer


def start_unknown_python(test):
    """A program that looks like a CPython of a version that nobody knows; and its path."""
    path = os.path.join(harness.scratch(test), "python" + UNKNOWN_VERSION)
    source = "#include <stdio.h>\n#include <unistd.h>\nlong PyCode_Type = 1;\n" \
             "int main(void) { puts(\"ready\"); fflush(stdout); pause(); return 0; }\n"
    subprocess.run([os.environ.get("CC", "cc"), "-rdynamic", "-x", "c", "-o", path, "-"], input=source.encode(),
                   check=True, timeout=60)
    process = start(test, path, stdout=subprocess.PIPE)
    harness.LineReader(process.stdout.fileno(), path).line()
    return process, path
