#!/usr/bin/env python3
"""Writes the layout file of one CPython, from that CPython's headers.

A small C program whose only data is the offsets is compiled against the headers and its object file is read:
nothing of the target Python is linked or run, so the headers of a foreign machine will do.
"""

import argparse
import collections
import difflib
import os
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECTIONS = ("trait", "runtime", "interpreter", "gil", "thread", "cframe", "frame", "code", "object", "bytes", "unicode")

# --- What is where in which CPython: data only --------------------------------------------------------------------
#
# AT(type, member)      the member's offset
# SIZE(type)            the size of the type
# COVER(type, a,b,c,d)  the bytes from the type's start that hold these four members (one may be repeated)
# BIT(member)           the lowest bit of that bit field in PyASCIIObject.state
# VALUE(constant)       the constant itself

FRAME_OBJECTS_TRAITS = {"trait.frame_chain": "frame_objects"}
CFRAME_TRAITS = {"trait.frame_chain": "through_cframe", "trait.line_table": "pep657", "trait.instruction": "pointer"}

NO_TRAMPOLINES = {"trait.first_trampoline_owner": "VALUE(255)", "trait.executable_tag_mask": "VALUE(0)"}
C_STACK_TRAMPOLINES = {
    "trait.first_trampoline_owner": "VALUE(FRAME_OWNED_BY_CSTACK)",
    "trait.executable_tag_mask": "VALUE(0)",
}

RUNTIME = {"runtime.interpreters_head": "AT(_PyRuntimeState, interpreters.head)"}
GIL_IN_RUNTIME = {"runtime.gil": "AT(_PyRuntimeState, ceval.gil)"}
GIL_IN_INTERPRETER = {"interpreter.gil": "AT(PyInterpreterState, ceval.gil)"}
GIL_STRUCT = {
    "gil.size": "SIZE(struct _gil_runtime_state)",
    "gil.last_holder": "AT(struct _gil_runtime_state, last_holder)",
    "gil.locked": "AT(struct _gil_runtime_state, locked)",
    "gil.switch_number": "AT(struct _gil_runtime_state, switch_number)",
    "gil.cond": "AT(struct _gil_runtime_state, cond)",
    "gil.switch_cond": "AT(struct _gil_runtime_state, switch_cond)",
}

INTERPRETER_TSTATE_HEAD = {
    "interpreter.next": "AT(PyInterpreterState, next)",
    "interpreter.threads_head": "AT(PyInterpreterState, tstate_head)",
}
INTERPRETER_THREADS_HEAD = {
    "interpreter.next": "AT(PyInterpreterState, next)",
    "interpreter.threads_head": "AT(PyInterpreterState, threads.head)",
}

THREAD = {
    "thread.next": "AT(PyThreadState, next)",
    "thread.interpreter": "AT(PyThreadState, interp)",
    "thread.thread_id": "AT(PyThreadState, thread_id)",
}
THREAD_WITH_FRAME = {
    "thread.size": "COVER(PyThreadState, next, interp, frame, thread_id)",
    "thread.frame": "AT(PyThreadState, frame)",
}
THREAD_WITH_CFRAME = {
    "thread.size": "COVER(PyThreadState, next, interp, cframe, native_thread_id)",
    "thread.cframe": "AT(PyThreadState, cframe)",
    "thread.native_thread_id": "AT(PyThreadState, native_thread_id)",
}

FRAME_OBJECT = {
    "frame.size": "COVER(PyFrameObject, f_back, f_code, f_lasti, f_lasti)",
    "frame.previous": "AT(PyFrameObject, f_back)",
    "frame.executable": "AT(PyFrameObject, f_code)",
    "frame.instruction": "AT(PyFrameObject, f_lasti)",
}
INTERPRETER_FRAME = {
    "cframe.current_frame": "AT(_PyCFrame, current_frame)",
    "cframe.previous": "AT(_PyCFrame, previous)",
    "frame.size": "COVER(_PyInterpreterFrame, previous, f_code, prev_instr, owner)",
    "frame.previous": "AT(_PyInterpreterFrame, previous)",
    "frame.executable": "AT(_PyInterpreterFrame, f_code)",
    "frame.instruction": "AT(_PyInterpreterFrame, prev_instr)",
    "frame.owner": "AT(_PyInterpreterFrame, owner)",
}

CODE = {
    "code.size": "SIZE(PyCodeObject)",
    "code.filename": "AT(PyCodeObject, co_filename)",
    "code.name": "AT(PyCodeObject, co_name)",
    "code.first_line": "AT(PyCodeObject, co_firstlineno)",
}
CODE_LNOTAB = {"code.line_table": "AT(PyCodeObject, co_lnotab)"}
CODE_LINETABLE = {"code.line_table": "AT(PyCodeObject, co_linetable)"}
CODE_WITH_BYTECODE = {
    "code.qualname": "AT(PyCodeObject, co_qualname)",
    "code.bytecode": "AT(PyCodeObject, co_code_adaptive)",
    "code.unit_count": "AT(PyCodeObject, ob_base.ob_size)",
}
# Every new code object takes the next number of one counter (3.11 numbers functions only).
CODE_VERSION = {"code.version": "AT(PyCodeObject, co_version)"}

OBJECT = {"object.type": "AT(PyObject, ob_type)", "object.var_size": "AT(PyVarObject, ob_size)"}
STRING_BYTES = {"bytes.data": "AT(PyStringObject, ob_sval)"}
BYTES = {"bytes.data": "AT(PyBytesObject, ob_sval)"}
UNICODE = {
    "unicode.length": "AT(PyASCIIObject, length)",
    "unicode.state": "AT(PyASCIIObject, state)",
    "unicode.ascii_data": "SIZE(PyASCIIObject)",
    "unicode.compact_data": "SIZE(PyCompactUnicodeObject)",
    "unicode.legacy_data": "AT(PyUnicodeObject, data)",
    "unicode.kind_shift": "BIT(kind)",
    "unicode.compact_shift": "BIT(compact)",
    "unicode.ascii_shift": "BIT(ascii)",
}

PUBLIC_HEADERS = ("Python.h", "frameobject.h")
INTERNAL_37 = ("Python.h", "frameobject.h", "internal/pystate.h")
INTERNAL_38 = ("Python.h", "frameobject.h", "internal/pycore_pystate.h")
INTERNAL_39 = ("Python.h", "frameobject.h", "internal/pycore_interp.h", "internal/pycore_runtime.h")
INTERNAL_311 = INTERNAL_39 + ("internal/pycore_frame.h",)

Version = collections.namedtuple("Version", "headers core traits fields")


def merged(*groups):
    """One dict of several; a key given twice is a mistake in the tables above."""
    result = {}
    for group in groups:
        assert not set(group) & set(result), set(group) & set(result)
        result.update(group)
    return result


def frame_objects(headers, core, line_table, instruction, strings, gil, *groups):
    """A CPython whose frames are heap objects."""
    traits = {"trait.line_table": line_table, "trait.instruction": instruction,
              "trait.strings": strings, "trait.gil": gil}
    fields = (NO_TRAMPOLINES, INTERPRETER_TSTATE_HEAD, THREAD, THREAD_WITH_FRAME, FRAME_OBJECT, CODE, OBJECT)
    return Version(headers, core, merged(FRAME_OBJECTS_TRAITS, traits), merged(*(fields + groups)))


def through_cframe(headers, gil, *groups):
    """A CPython whose frames live on the data stack and are reached through a _PyCFrame."""
    traits = {"trait.strings": "unicode", "trait.gil": gil}
    fields = (RUNTIME, GIL_STRUCT, INTERPRETER_THREADS_HEAD, THREAD, THREAD_WITH_CFRAME, INTERPRETER_FRAME, CODE,
              CODE_LINETABLE, CODE_WITH_BYTECODE, OBJECT, BYTES, UNICODE)
    return Version(headers, True, merged(CFRAME_TRAITS, traits), merged(*(fields + groups)))


MODERN_STRINGS = (BYTES, UNICODE)
RUNTIME_GIL = (RUNTIME, GIL_IN_RUNTIME, GIL_STRUCT)

VERSIONS = {
    "2.7": frame_objects(PUBLIC_HEADERS, False, "lnotab_unsigned", "byte_offset", "byte_string", "current_thread",
                         CODE_LNOTAB, STRING_BYTES),
    "3.6": frame_objects(PUBLIC_HEADERS, False, "lnotab_signed", "byte_offset", "unicode", "static_variables",
                         CODE_LNOTAB, *MODERN_STRINGS),
    "3.7": frame_objects(INTERNAL_37, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime",
                         CODE_LNOTAB, *(MODERN_STRINGS + RUNTIME_GIL)),
    "3.8": frame_objects(INTERNAL_38, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime",
                         CODE_LNOTAB, *(MODERN_STRINGS + RUNTIME_GIL)),
    "3.9": frame_objects(INTERNAL_39, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime",
                         CODE_LNOTAB, *(MODERN_STRINGS + RUNTIME_GIL)),
    "3.10": frame_objects(INTERNAL_39, True, "pep626", "code_unit", "unicode", "in_runtime",
                          CODE_LINETABLE, *(MODERN_STRINGS + RUNTIME_GIL)),
    "3.11": through_cframe(INTERNAL_311, "in_runtime", NO_TRAMPOLINES, GIL_IN_RUNTIME),
    "3.12": through_cframe(INTERNAL_311, "in_interpreter", C_STACK_TRAMPOLINES, GIL_IN_INTERPRETER, CODE_VERSION),
}

# --- The C program and what its object file holds -----------------------------------------------------------------

MARKER = b"sampler-layout:\0"

PROGRAM = """\
%(core)s
#include <stddef.h>
%(includes)s
#define AT(type, member) {.word = offsetof(type, member)}
#define SIZE(type) {.word = sizeof(type)}
#define VALUE(constant) {.word = (constant)}
#define BIT(member) {.state = {.member = ~0u}}
#define END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define COVER(type, a, b, c, d) \\
  {.word = MAX(MAX(END(type, a), END(type, b)), MAX(END(type, c), END(type, d)))}
union entry { unsigned long long word; %(state_type)s state; };
const struct { char marker[16]; union entry entries[%(count)d]; } sampler_layout = {"%(marker)s", {
%(entries)s
}};
"""


class Refused(Exception):
    """What the user has to be told, without a traceback."""


def c_program(version):
    """The text of the program whose data is the values of version.fields, in sorted order."""
    names = sorted(version.fields)
    has_state = any(expression.startswith("BIT") for expression in version.fields.values())
    return PROGRAM % {
        "core": "#define Py_BUILD_CORE 1" if version.core else "",
        "includes": "\n".join('#include "%s"' % header for header in version.headers),
        "state_type": "__typeof__(((PyASCIIObject *)0)->state)" if has_state else "char",
        "count": len(names),
        "marker": MARKER[:-1].decode(),
        "entries": "\n".join("  %s," % version.fields[name] for name in names),
    }


def compiled(program, include):
    """The bytes of the object file that the C compiler ($CC, or cc) makes of the program."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "layout.c"), os.path.join(folder, "layout.o")
        with open(source, "w") as file:
            file.write(program)
        command = os.environ.get("CC", "cc").split() + ["-w", "-fno-lto", "-I", include, "-c", source, "-o", target]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode != 0:
            raise Refused("the headers in %s do not compile as expected:\n%s" % (include, done.stdout))
        with open(target, "rb") as file:
            return file.read()


def lowest_bit(word):
    return (word & -word).bit_length() - 1


def field_values(version, include):
    """Key -> number, for every field of this version."""
    names = sorted(version.fields)
    data = compiled(c_program(version), include)
    if data.count(MARKER) != 1:
        raise Refused("the compiler's object file does not hold the table in the clear")
    words = struct.unpack_from("=%dQ" % len(names), data, data.index(MARKER) + len(MARKER))
    return {name: lowest_bit(word) if version.fields[name].startswith("BIT") else word
            for name, word in zip(names, words)}


# --- The layout file ----------------------------------------------------------------------------------------------


def version_of(include):
    """"3.12", from the headers themselves."""
    try:
        with open(os.path.join(include, "patchlevel.h")) as file:
            text = file.read()
    except OSError as error:
        raise Refused("no CPython headers in %s: %s" % (include, error.strerror))
    return "%s.%s" % tuple(re.search(r"#define PY_%s_VERSION\s+(\d+)" % part, text).group(1)
                           for part in ("MAJOR", "MINOR"))


def layout_text(include):
    """The whole layout file for the CPython whose headers are in `include`."""
    name = version_of(include)
    if name not in VERSIONS:
        raise Refused("CPython %s is not in this tool's table, which has %s; add a row to VERSIONS"
                      % (name, ", ".join(VERSIONS)))
    rows = merged(VERSIONS[name].traits, field_values(VERSIONS[name], include))
    lines = ["# CPython %s, Linux 64-bit. Generated by tools/gen_layout.py; do not edit." % name,
             row("python", name), row("source", "static")]
    for section in SECTIONS:
        keys = [key for key in rows if key.split(".")[0] == section]
        if section != "trait":
            # Sizes first, then the order in which the fields lie in memory.
            keys.sort(key=lambda key: (not key.endswith(".size"), rows[key], key))
        lines += [""] * bool(keys) + [row(key, rows[key]) for key in keys]
    return "\n".join(lines) + "\n"


def row(key, value):
    return "%-30s%s" % (key, value)


def committed_path(include):
    return os.path.join(ROOT, "cpython_offsets", version_of(include) + ".layout")


def check(text, path):
    """Whether the file at `path` is exactly `text`; prints the difference if not."""
    committed = ""
    if os.path.exists(path):
        with open(path) as file:
            committed = file.read()
    diff = difflib.unified_diff(committed.splitlines(True), text.splitlines(True), path, "generated from the headers")
    sys.stdout.writelines(diff)
    return committed == text


def arguments():
    parser = argparse.ArgumentParser(description="Write the layout file of one CPython, from that CPython's headers.")
    parser.add_argument("--include", required=True, metavar="DIR", help="the folder with that CPython's Python.h")
    parser.add_argument("--output", metavar="FILE", help="where to write; standard output by default")
    parser.add_argument("--check", action="store_true",
                        help="compare with FILE (by default the committed file of that version) and write nothing")
    return parser.parse_args()


def main():
    options = arguments()
    text = layout_text(options.include)
    if options.check:
        return 0 if check(text, options.output or committed_path(options.include)) else 1
    if not options.output:
        sys.stdout.write(text)
        return 0
    with open(options.output, "w") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refusal:
        sys.exit("gen_layout: %s" % refusal)
