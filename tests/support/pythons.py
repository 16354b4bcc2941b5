"""Which Pythons the tests run over; any version, supported or not.

Environment: SAMPLER_PYTHONS (colon separated executables; unset: those of pyenv, /usr/bin/python3 and what
tools/pythons made), SAMPLER_CACHE (where it made them) and SAMPLER_REQUIRED_PYTHONS (space separated versions, releases or
names that must be among them, such as 2.7, 3.14t, 3.13.0 or 3.13-musl). Run as a program it prints which of those are missing.
"""
import collections
import glob
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Python(collections.namedtuple("Python", "executable name version release free_threaded musl include")):
    """An executable and what it says of itself; version is 3.14, or 3.14t where it is free-threaded, release 3.14.4t."""

    @property
    def names(self):
        """What it can be required as. What is required of glibc is not had with musl."""
        return {self.name} if self.musl else {self.name, self.version, self.release}


_QUESTION = """
import sys, sysconfig
print('%d.%d' % sys.version_info[:2])
print('%d.%d.%d' % sys.version_info[:3])
print(1 if sysconfig.get_config_var('Py_GIL_DISABLED') else 0)
print(1 if 'musl' in str(sysconfig.get_config_var('SOABI')) else 0)
print(sysconfig.get_paths()['include'])
"""


def cache():
    """The directory of what tools/pythons makes."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("SAMPLER_CACHE") or os.path.join(base, "sampler")


def made():
    """{executable: name} of what tools/pythons made; a .made file is a recipe and lines "name executable"."""
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(cache()), "*", ".made"))):
        with open(path) as file:
            for line in file.read().splitlines()[1:]:
                name, executable = line.split(" ", 1)
                found[executable] = name
    return found


def candidates():
    """Executables that may be Pythons, by name."""
    given = os.environ.get("SAMPLER_PYTHONS")
    if given:
        return [part for part in given.split(":") if part]
    return sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))) + ["/usr/bin/python3"] + sorted(made())


def ask(executable):
    """The Python that this executable is."""
    answer = subprocess.run([executable, "-c", _QUESTION], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True,
                            timeout=60)
    version, release, free_threaded, musl, include = answer.stdout.decode().splitlines()
    free_threaded, musl = free_threaded == "1", musl == "1"
    version, release = (number + "t" * free_threaded for number in (version, release))
    name = made().get(executable) or "%s%s%s" % (
        version, "-musl" if musl else "", "-system" if executable.startswith("/usr/") else "")
    return Python(executable, name, version, release, free_threaded, musl, include)


def found_pythons():
    """Every candidate that exists; one that exists and does not run is an error."""
    return [ask(executable) for executable in candidates() if os.path.exists(executable)]


def layout_file(version):
    return os.path.join(ROOT, "cpython_offsets", version + ".layout")


def layout_versions():
    """The versions that have a layout file."""
    files = glob.glob(layout_file("*"))
    return [os.path.basename(path)[:-len(".layout")] for path in files]


def missing_versions(names):
    """What SAMPLER_REQUIRED_PYTHONS wants and is not in `names`."""
    return [version for version in required() if version not in names]


def required():
    """What SAMPLER_REQUIRED_PYTHONS names."""
    return os.environ.get("SAMPLER_REQUIRED_PYTHONS", "").split()


if __name__ == "__main__":
    print(*missing_versions(set().union(*(python.names for python in found_pythons()))))
