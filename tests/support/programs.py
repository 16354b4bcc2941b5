"""Programs that are, embed or resemble a Python: copied, compiled, started."""
import functools
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import not_run  # noqa: E402
import pythons  # noqa: E402

SYSTEM_PYTHON = "/usr/bin/python3"
# Enough for the library's modules that a target imports, a tenth of the whole.
_LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "test", "tests", "__pycache__", "config-*", "idlelib",
                                   "tkinter", "ensurepip", "lib2to3", "turtledemo", "pydoc_data", "*.a")


def run_tool(*command, timeout=120, **options):
    """What a tool says on its stdout; one that is missing or fails, fails by name."""
    try:
        return subprocess.run(command, check=True, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **options).stdout.decode()
    except FileNotFoundError:
        raise AssertionError("%s is missing; tools/setup test installs it" % command[0]) from None
    except subprocess.CalledProcessError as error:
        raise AssertionError("%s failed: %s" % (command[0], error.stderr.decode("utf-8", "replace"))) from None


def compile_program(test, path, *words, source="embed.c"):
    """Compiles C source from tests/targets; returns the program's path."""
    run_tool("gcc", "-O1", "-w", "-o", path, os.path.join(harness.TARGETS, source), *words)
    return path


def embedder(test, name, *options):
    """A program that embeds Debian's Python under a name that tells nothing of it."""
    includes = run_tool("python3-config", "--includes")
    path = os.path.join(harness.scratch(test), name)
    return compile_program(test, path, *includes.split(), *options)


def static_library():
    """What links all of Debian's Python into a program."""
    version = run_tool(SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    return ["-l:libpython%s.a" % version.strip(), "-lexpat", "-lz", "-lm"]


def shared_library():
    """What links Debian's shared libpython to a program."""
    return run_tool("python3-config", "--ldflags", "--embed").split()


def python_without_thread_numbers(test):
    """One of 3.8 to 3.10, whose threads only glibc can number, and which can be linked into a program."""
    found = [interpreter for interpreter in harness.interpreters() if (3, 8) <= interpreter.version < (3, 11)]
    if not found:
        not_run.no_python(test, ["3.8", "3.9", "3.10"], "no Python of 3.8 to 3.10 was found", not_run.BY_PYENV % "3.10")
    return found[0]


def static_embedder(test, interpreter, name):
    """A program without any library that embeds this interpreter; needs PYTHONHOME."""
    question = "import sysconfig; v = sysconfig.get_config_vars(); " \
               "print(v['LIBPL'] + '/' + v['LIBRARY']); print(sysconfig.get_paths()['include'])"
    library, include = run_tool(interpreter.executable, "-c", question).splitlines()
    path = os.path.join(harness.scratch(test), name)
    return compile_program(test, path, "-static", "-I" + include, library, "-lm", "-lutil", "-ldl", "-lpthread")


class Tree:
    """A copy of an interpreter's files in a directory of another name: bin/, lib/libpythonX.Y.so.1.0, lib/pythonX.Y/."""

    def __init__(self, interpreter, prefix, program=None):
        question = "import json, sys, sysconfig; print(json.dumps([sys.executable, sysconfig.get_paths()['stdlib']]))"
        executable, modules = json.loads(run_tool(interpreter.executable, "-c", question))
        library = harness.python_library(interpreter)
        self.prefix = prefix
        self.version = interpreter.version
        self.executable = os.path.join(prefix, "bin", program or os.path.basename(executable))
        self.library = os.path.join(prefix, "lib", os.path.basename(library))
        os.makedirs(os.path.dirname(self.executable))
        shutil.copytree(modules, os.path.join(prefix, "lib", os.path.basename(modules)), ignore=_LEFT_OUT)
        shutil.copy(executable, self.executable)
        shutil.copy(library, self.library)

    @property
    def environment(self):
        """Its program looks for its library where it was built for."""
        return {"LD_LIBRARY_PATH": os.path.dirname(self.library)}


@functools.lru_cache(maxsize=None)
def shared_pythons():
    """{version: interpreter} of those from 3.8 on that are in a shared library."""
    found = {}
    for interpreter in harness.interpreters():
        is_plain = not interpreter.musl and not interpreter.free_threaded and interpreter.version >= (3, 8)
        if is_plain and interpreter.version not in found and harness.python_library(interpreter):
            found[interpreter.version] = interpreter
    return found


def shared_python(test):
    """The newest that is in a shared library; where none was found, one made of Debian's libpython."""
    found = shared_pythons()
    if found:
        return found[max(found)]
    return harness.Interpreter(pythons.ask(embedder(test, "python3", *shared_library())))


def two_pythons(test):
    """The newest two of different versions that are in a shared library, ascending; any two where there are not so many."""
    shared = shared_pythons()
    found = {interpreter.version: interpreter for interpreter in harness.interpreters()
             if not interpreter.musl and not interpreter.free_threaded and interpreter.version >= (3, 8)}
    chosen = shared if len(shared) >= 2 else {**found, **shared}
    if len(chosen) < 2:
        not_run.no_python(test, harness.SUPPORTED, "no Python of a second version was found", "tools/pythons fetch 3.14")
    return [chosen[version] for version in sorted(chosen)[-2:]]


# The names that tell a CPython, and what they stand for in no process.
_NAMES_OF_A_PYTHON = """
#include <stdint.h>
const uint32_t Py_Version = %#x;
long PyCode_Type[64] = {1}, PyFrame_Type[64] = {1};
char _PyRuntime[1 << 18] = {1};
"""


def file_of_another_version(test, version):
    """A file with a CPython of another version in it, never to be run; made where no such Python was found."""
    others = {interpreter.version: interpreter for interpreter in harness.interpreters()
              if interpreter.version >= (3, 8) and interpreter.version != version}
    shared = {other: shared_pythons()[other] for other in others if other in shared_pythons()}
    if others:
        other = (shared or others)[max(shared or others)]
        return harness.python_library(other) or os.path.realpath(other.executable)
    path = os.path.join(harness.scratch(test), "libpython.so")
    source = _NAMES_OF_A_PYTHON % (version[0] << 24 | version[1] + 1 << 16)
    run_tool("gcc", "-shared", "-fPIC", "-x", "c", "-o", path, "-", input=source.encode())
    return path


def start_ready(test, *command, **options):
    """A program that says a line when it is where it should be, and stays there."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    except FileNotFoundError:
        raise AssertionError("%s is missing; tools/setup test installs it" % command[0]) from None
    test.addCleanup(harness.end, process)
    harness.LineReader(process.stdout.fileno(), command[0]).line()
    return process


_WAITING_32_BIT = """
.globl _start
_start: mov $4, %eax
        mov $1, %ebx
        mov $line, %ecx
        mov $6, %edx
        int $0x80
wait:   mov $29, %eax
        int $0x80
        jmp wait
line:   .ascii "READY\\n"
"""


def start_32_bit(test, name):
    """A program of 32 bits that waits; no compiler for them is needed."""
    path = os.path.join(harness.scratch(test), name)
    run_tool("as", "--32", "-o", path + ".o", "-", input=_WAITING_32_BIT.encode())
    run_tool("ld", "-m", "elf_i386", "-o", path, path + ".o")
    return start_ready(test, path)


_WITH_LIBRARY = """
#include <stdio.h>
#include <unistd.h>
extern long part;
int main(void) { part = 1; puts("READY"); fflush(stdout); pause(); return 0; }
"""


def start_with_library(test, name, library, source="long part;"):
    """A program that has a library of this name loaded, made of this C source."""
    directory = harness.scratch(test)
    path = os.path.join(directory, name)
    loaded = os.path.join(directory, library)
    run_tool("gcc", "-shared", "-fPIC", "-x", "c", "-o", loaded, "-", input=source.encode())
    run_tool("gcc", "-x", "c", "-o", path, "-", "-x", "none", loaded, input=_WITH_LIBRARY.encode())
    return start_ready(test, path)
