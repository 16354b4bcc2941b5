"""The peers and the server, at pinned versions in a directory of their own outside the checkout."""
import os
import shutil
import subprocess
import sys
import time

from bench import ROOT, pythons
from bench.processes import Failed, run

PY_SPY, AUSTIN, GUNICORN = "0.4.3", "4.0.0", "23.0.0"
# packaging is what gunicorn needs; it is put beside it, so that any Python can run both.
WANTED = ("py-spy==" + PY_SPY, "austin-dist==" + AUSTIN)
SERVER = ("gunicorn==" + GUNICORN, "packaging==24.2")


def directory():
    """Where the peers are installed."""
    return os.path.join(pythons.cache(), "bench")


def _paths(base=None):
    base = base or directory()
    return os.path.join(base, "venv"), os.path.join(base, "server"), os.path.join(base, "installed")


def prepare(say):
    """Packages and CPython 3.15, where they are not there yet; what cannot be had is told, and missing."""
    if os.geteuid() != 0:
        say("not root: what `tools/setup bench` and `tools/pythons fetch 3.15` install is used only where it is there")
        return
    for script, *words in (("setup", "bench"), ("pythons", "fetch", "3.15")):
        status = _run_script([os.path.join(ROOT, "tools", script)] + words)
        if status != 0:
            say("tools/%s failed (exit status %d); going on without" % (" ".join([script] + words), status))


def _run_script(command):
    """Its exit status. It tells its progress itself, and ends what it has started when it is told to end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait(30)
        raise


def install(say):
    """Makes what is not there yet; what cannot be had (no network) is told, and what was there before is used."""
    recipe = "\n".join(("1", *WANTED, *SERVER))
    if _content(_paths()[2]) == recipe:
        return
    say("installing %s in %s" % (", ".join(WANTED + SERVER), directory()))
    # Made beside its place: its programs are no scripts, which would name the place they were made in.
    new = directory() + ".new"
    venv, server, installed = _paths(new)
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    try:
        run([sys.executable, "-m", "venv", venv], timeout=300)
        pip = [os.path.join(venv, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"]
        run(pip + list(WANTED), timeout=600)
        run(pip + ["--no-deps", "--target", server] + list(SERVER), timeout=600)
    except Failed as failure:
        say("cannot install the peers: %s" % failure)
        shutil.rmtree(new, ignore_errors=True)
        return
    with open(installed, "w") as file:
        file.write(recipe)
    shutil.rmtree(directory(), ignore_errors=True)
    os.rename(new, directory())


def server_path():
    """What PYTHONPATH needs for gunicorn."""
    return _paths()[1]


def _content(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def py_spy():
    """The words that run py-spy."""
    return [os.path.join(_paths()[0], "bin", "py-spy")]


def austin():
    """The words that run austin; its program needs glibc 2.38, and where that is newer than ours, Debian unstable's."""
    program = os.path.join(_paths()[0], "bin", "austin")
    root = os.path.join(pythons.cache(), "debian-sid")
    loader = os.path.join(root, "lib64", "ld-linux-x86-64.so.2")
    if _runs([program]) or not os.path.exists(loader):
        return [program]
    return [loader, "--library-path", os.path.join(root, "usr", "lib", "x86_64-linux-gnu"), program]


def _runs(command):
    try:
        return subprocess.run(command + ["--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, timeout=20).returncode == 0
    except OSError:
        return False


def version_of(command):
    """The first line that a program says of its version, or why there is none."""
    try:
        ended = run(command, timeout=20)
    except Failed as failure:
        return "none (%s)" % failure
    lines = (ended.output + ended.errors).splitlines()
    return lines[0].strip() if lines else "(says nothing)"


def date():
    """Now, for the page."""
    return time.strftime("%Y-%m-%d %H:%M %Z")
