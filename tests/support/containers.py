"""A small Debian 12 in a directory of its own, and processes that have it as their root, in namespaces of their own.

Environment: SAMPLER_CACHE (where it is kept, see pythons.py). It is made when it is first needed, in about 15 s, or by
running this as a program.
"""
import fcntl
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import not_run  # noqa: E402
import programs  # noqa: E402
import pythons  # noqa: E402
import standing  # noqa: E402

PYTHON = "/usr/bin/python3.11"
# Another number makes it anew.
_NAME = "debian-bookworm-minimal-1"
_PACKAGES = "python3.11,util-linux"
# What Docker gives a container's root.
DOCKER = ("chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,"
          "setfcap").split(",")
NAMESPACES = ["unshare", "--kill-child", "--mount", "--pid", "--fork"]
USER_NAMESPACE = NAMESPACES + ["--user", "--map-root-user"]


def debian():
    """The directory; whole or not there at all."""
    path = os.path.join(pythons.cache(), _NAME)
    os.makedirs(pythons.cache(), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(path):
            making = path + ".making"
            shutil.rmtree(making, ignore_errors=True)
            programs.run_tool("mmdebstrap", "--quiet", "--variant=extract", "--include=" + _PACKAGES, "bookworm", making,
                              timeout=800)
            for unneeded in ("var/lib/apt", "var/cache/apt", "usr/share/doc", "usr/share/locale", "usr/share/man"):
                shutil.rmtree(os.path.join(making, unneeded), ignore_errors=True)
            for needed in ("proc", "tmp", "mnt"):
                os.makedirs(os.path.join(making, needed), exist_ok=True)
            os.rename(making, path)
    return path


def _need(test, enter):
    """The test needs to enter namespaces, or a root directory, this way."""
    if enter[0] == "unshare":
        not_run.need_namespaces(test, *enter[len(NAMESPACES):])


def capabilities(names):
    """setpriv, for a command that has these capabilities and no others."""
    kept = "".join(",+" + name for name in names)
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all" + kept]


class Container:
    """A directory below the Debian root for a test's files, and how to run programs there."""

    def __init__(self, test):
        not_run.need_root(test)
        self.test, self.root = test, debian()
        self.directory = tempfile.mkdtemp(prefix="sampler-test-", dir=os.path.join(self.root, "tmp"))
        test.addCleanup(shutil.rmtree, self.directory, True)
        os.chmod(self.directory, 0o755)
        self.script = self.put(standing.SCRIPT)

    def inside(self, path):
        """What the container calls a path of ours."""
        return path[len(self.root):]

    def put(self, path):
        """Copies a file into the container; its path there."""
        copy = os.path.join(self.directory, os.path.basename(path))
        shutil.copy(path, copy)
        os.chmod(copy, 0o755)
        return self.inside(copy)

    def start(self, enter, *words, python=PYTHON, privileges=(), **options):
        """standing.py, its root the container's; `enter` is how: ["chroot"], or unshare and its options."""
        _need(self.test, enter)
        where = ["--mount-proc", "--root=" + self.root, "--wd=/"]
        way = enter + where if enter[0] == "unshare" else enter + [self.root]
        command = way + list(privileges) + [python, self.script] + list(words or ("3", "spin"))
        return standing.Standing(self.test, command, generation=1 if "--fork" in enter else 0, **options)

    def start_on_overlay(self, directory):
        """standing.py in a root that is an overlay of the container's, mounted below `directory`."""
        not_run.need_overlays(self.test)
        command = NAMESPACES + ["sh", "-c", _ENTER_OVERLAY, "sh", directory, self.root, PYTHON, self.script, "3", "spin"]
        return standing.Standing(self.test, command, generation=1)

    def sampler(self, target, privileges=()):
        """The sampler, run in the target's own namespaces and root."""
        return beside(target, privileges) + [self.put(harness.sampler_binary())]


_ENTER_OVERLAY = """
set -e
mount -t tmpfs layers "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount -t proc proc "$1/root/proc"
root=$1/root
shift 2
exec chroot "$root" "$@"
"""


def beside(target, privileges=()):
    """How to run a command in the target's own namespaces and root."""
    user = ["--user"] if is_in_user_namespace(target) else []
    return ["nsenter", "--target", str(target.pid), "--mount", "--pid", "--root", "--wd", *user, *privileges]


def is_in_user_namespace(target):
    return os.readlink("/proc/%d/ns/user" % target.pid) != os.readlink("/proc/self/ns/user")


if __name__ == "__main__":
    # Only root needs it: others cannot enter it.
    if os.geteuid() == 0:
        print(debian())
