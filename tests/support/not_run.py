"""What a test needs of the machine, found out by trying it. A test that cannot be run is told, never hidden.

Environment: SAMPLER_NOT_RUN (a file, to which a line is appended for each test that was not run; tools/test prints it) and
SAMPLER_REQUIRE_ALL (1: such a test fails instead). tests/support/not_run.h does the same for the unit tests. Run as a
program, with such a file as its argument, it prints the tests by what they lack.
"""
import functools
import os
import pty
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pythons  # noqa: E402

AS_ROOT = "sudo tools/test"
BY_PYENV = "PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install %s"
WITH_MORE_RIGHTS = "as root of a machine, or of a container that has more rights (docker run --privileged)"


def not_run(test, what, cure):
    """Ends the test: this machine lacks what it needs, and `cure` is how to have it run."""
    if os.environ.get("SAMPLER_REQUIRE_ALL") == "1":
        test.fail("%s; %s" % (what, cure))
    _tell(test, what, cure)


def _tell(test, what, cure):
    report = os.environ.get("SAMPLER_NOT_RUN")
    if report:
        program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        with open(report, "a") as file:
            file.write("%s\t%s\t%s\n" % (what, cure, test.id().replace("__main__", program)))
    test.skipTest("not run: %s; to have it run: %s" % (what, cure))


def no_python(test, versions, what, cure):
    """Ends the test: there is none of these versions. That fails where one of them is required, and no other."""
    required = {re.sub(r"^(\d+\.\d+)(\.\d+)?(t?).*", r"\1\3", name) for name in pythons.required()}
    if required & set(versions):
        test.fail("%s; %s" % (what, cure))
    _tell(test, what, cure)


# --- what a machine may lack -------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def _refusal(*command):
    """What a command says that does not work here; None where it works."""
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    words = run.stderr.decode("utf-8", "replace").split("\n")[0] or "status %d" % run.returncode
    return None if run.returncode == 0 else words


def need(test, what, *command):
    """`what` is had where this command, which needs it, works."""
    refusal = _refusal(*command)
    if refusal:
        not_run(test, "%s cannot be made here (%s)" % (what, refusal), WITH_MORE_RIGHTS)


# A user of no other right.
AS_USER_WITH_PTRACE = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+sys_ptrace",
                       "--ambient-caps=-all,+sys_ptrace", "--bounding-set=-all,+sys_ptrace"]


def need_user_with_ptrace(test):
    need_root(test)
    need(test, "a user with CAP_SYS_PTRACE", *AS_USER_WITH_PTRACE, "true")


def need_root(test):
    if os.geteuid() != 0:
        not_run(test, "we are not root", AS_ROOT)


def need_namespaces(test, *options):
    """Mount and PID namespaces, and to mount there; `options` of unshare ask for more."""
    need_root(test)
    what = "mount, PID and user namespaces" if "--user" in options else "mount and PID namespaces"
    need(test, what, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *options, "true")


def need_overlays(test):
    """A root that is an overlay."""
    need_namespaces(test)
    layers = "mount -t tmpfs layers /tmp && mkdir /tmp/upper /tmp/work /tmp/root && " \
             "mount -t overlay -o lowerdir=/etc,upperdir=/tmp/upper,workdir=/tmp/work overlay /tmp/root"
    need(test, "overlays", "unshare", "--mount", "sh", "-c", layers)


@functools.lru_cache(maxsize=None)
def may_open_mapped_files():
    """Whether the file that is mapped can be opened, whatever became of its name."""
    directory = "/proc/self/map_files"
    try:
        os.close(os.open(os.path.join(directory, os.listdir(directory)[0]), os.O_RDONLY))
    except OSError:
        return False
    return True


def need_mapped_files(test):
    if not may_open_mapped_files():
        not_run(test, "mapped files cannot be opened here (/proc/PID/map_files)", WITH_MORE_RIGHTS)


def need_kernel_thread(test):
    """Process 2 is one, but in a PID namespace."""
    if not os.path.exists("/proc/2/comm") or os.path.exists("/proc/2/exe"):
        not_run(test, "process 2 is no kernel thread here", "outside of a container, or with its --pid=host")


def need_user_namespaces(test):
    need(test, "user namespaces", "unshare", "--user", "--map-root-user", "true")


def need_other_users(test):
    """The processes that root starts as another user, as servers do, may be traced."""
    if os.geteuid() != 0:
        return
    other = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "echo; read line"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        other.stdout.readline()
        try:
            os.close(os.open("/proc/%d/mem" % other.pid, os.O_RDONLY))
        except PermissionError:
            not_run(test, "root may not trace the processes of another user here", "docker run --cap-add=SYS_PTRACE")


def need_terminals(test):
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as error:
        not_run(test, "no pseudo-terminal can be had: %s" % error, "mount a devpts on /dev/pts")


# --- the end of a run --------------------------------------------------------------------------------------------

def grouped(lines):
    """{(what, cure): tests} of a report's lines, each test once."""
    groups = {}
    for line in lines:
        what, cure, test = line.rstrip("\n").split("\t")
        groups.setdefault((what, cure), {})[test] = None
    return {reason: list(tests) for reason, tests in groups.items()}


def text_of(groups):
    """What is told at the end: each reason, how to have the tests run, and their names."""
    return "".join("%s; to have it run: %s\n%s" % (what, cure, "".join("    %s\n" % test for test in tests))
                   for (what, cure), tests in sorted(groups.items()))


if __name__ == "__main__":
    with open(sys.argv[1]) as report_file:
        print(text_of(grouped(report_file)) or "nothing: all tests were run\n", end="")
