"""Which Pythons the tests of layouts and line tables run over; any version, supported or not.

Environment: SAMPLER_PYTHONS (colon separated executables; unset: those of pyenv and /usr/bin/python3) and
SAMPLER_REQUIRED_PYTHONS (space separated versions that must be among those compared).
"""
import collections
import glob
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

Python = collections.namedtuple("Python", "executable version include")

_QUESTION = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2]); print(sysconfig.get_paths()['include'])"


def candidates():
    """Executables that may be Pythons, by name."""
    given = os.environ.get("SAMPLER_PYTHONS")
    if given:
        return [part for part in given.split(":") if part]
    return sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))) + ["/usr/bin/python3"]


def _ask(executable):
    answer = subprocess.run([executable, "-c", _QUESTION], stdout=subprocess.PIPE, check=True, timeout=60)
    version, include = answer.stdout.decode().splitlines()
    return Python(executable, version, include)


def found_pythons():
    """Every candidate that exists; one that exists and does not run is an error."""
    return [_ask(executable) for executable in candidates() if os.path.exists(executable)]


def layout_file(version):
    return os.path.join(ROOT, "cpython_offsets", version + ".layout")


def missing_versions(compared):
    """The required versions that are not in `compared`."""
    return [version for version in os.environ.get("SAMPLER_REQUIRED_PYTHONS", "").split() if version not in compared]
