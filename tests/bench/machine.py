"""What a measurement depends on: the machine, its load, and the versions of everything."""
import glob
import hashlib
import os
import platform

from bench import peers
from bench.processes import Failed, run


def facts():
    """The machine, without its name."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "usable": len(os.sched_getaffinity(0)), "memory_gib": _memory(),
            "kernel": platform.release(), "system": _system(), "libc": " ".join(platform.libc_ver()),
            "virtual": "hypervisor" in _cpuinfo("flags").split(), "governor": _governor(), "root": os.geteuid() == 0}


def load():
    """Load averages of 1, 5 and 15 minutes: what else the machine does."""
    return [round(each, 2) for each in os.getloadavg()]


def versions(program, pythons):
    """{what: version} of ours, the peers and the targets."""
    found = {"sampler": "%s, sha256 %s" % (peers.version_of([program, "--version"]).split(" (")[0], _digest(program)),
             "py-spy": peers.version_of(peers.py_spy() + ["--version"]),
             "austin": peers.version_of(peers.austin() + ["--version"]), "gunicorn": peers.GUNICORN}
    for version, python in pythons.items():
        try:
            said = run([python.executable, "-VV"], timeout=20)
        except Failed as failure:
            said = None
            found["CPython " + version] = str(failure)
        if said:
            found["CPython " + version] = " ".join((said.output + said.errors).split())
    return found


def _digest(path):
    """Enough of a file's hash to tell two builds apart."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _cpuinfo(key):
    with open("/proc/cpuinfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _cpu():
    return _cpuinfo("model name") or platform.machine()


def _memory():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1)


def _system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _governor():
    names = set()
    for path in glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"):
        with open(path) as file:
            names.add(file.read().strip())
    return ", ".join(sorted(names)) or "unknown"
