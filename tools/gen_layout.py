#!/usr/bin/env python3
"""Writes the layout file of one CPython, from that CPython's headers.

From 3.13 on a CPython publishes a table of its own offsets, _Py_DebugOffsets: there the layout file names the table's
word (`@thread_state.next`), a schema file lists the table's words in their order, and only what the table lacks is a
number.

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
#
# A pair is an expression, and the word of _Py_DebugOffsets that holds it in the target.

FRAME_OBJECTS_TRAITS = {"trait.frame_chain": "frame_objects"}
CFRAME_TRAITS = {"trait.frame_chain": "through_cframe", "trait.line_table": "pep657", "trait.instruction": "pointer"}

DIRECT_TRAITS = {"trait.frame_chain": "direct", "trait.line_table": "pep657", "trait.instruction": "pointer"}

NO_TRAMPOLINES = {"trait.first_trampoline_owner": "VALUE(255)", "trait.executable_tag_mask": "VALUE(0)"}
C_STACK_TRAMPOLINES = {
    "trait.first_trampoline_owner": "VALUE(FRAME_OWNED_BY_CSTACK)",
    "trait.executable_tag_mask": "VALUE(0)",
}
# Pointers to objects carry two bits of tag: _PyStackRef (3.14 on).
INTERPRETER_TRAMPOLINES = {
    "trait.first_trampoline_owner": "VALUE(FRAME_OWNED_BY_INTERPRETER)",
    "trait.executable_tag_mask": "VALUE(3)",
}

# Where releases of one version differ in it: the size tells a build that the layout is not for.
RUNTIME_SIZE = {"runtime.size": "SIZE(_PyRuntimeState)"}
RUNTIME = {"runtime.interpreters_head": "AT(_PyRuntimeState, interpreters.head)"}
FINALIZING_37 = {"runtime.finalizing": "AT(_PyRuntimeState, finalizing)"}
FINALIZING_39 = {"runtime.finalizing": "AT(_PyRuntimeState, _finalizing)"}
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

INTERPRETER_ID = {"interpreter.id": "AT(PyInterpreterState, id)"}
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
DATA_STACK = {
    "thread.data_stack_top": "AT(PyThreadState, datastack_top)",
    "thread.data_stack_chunk": "AT(PyThreadState, datastack_chunk)",
}
CFRAME_OF_THREAD = {"thread.cframe": "AT(PyThreadState, cframe)"}
THREAD_WITH_CFRAME = {
    "thread.size": "COVER(PyThreadState, cframe, native_thread_id, datastack_chunk, datastack_top)",
    "thread.native_thread_id": "AT(PyThreadState, native_thread_id)",
}

FRAME_OBJECT = {
    "frame.previous": "AT(PyFrameObject, f_back)",
    "frame.executable": "AT(PyFrameObject, f_code)",
    "frame.instruction": "AT(PyFrameObject, f_lasti)",
}
FRAME_OBJECT_27 = {
    "frame.size": "COVER(PyFrameObject, f_back, f_code, f_lasti, f_lasti)",
    "frame.references": "AT(PyFrameObject, ob_refcnt)",
}
FRAME_OBJECT_36 = {
    "frame.size": "COVER(PyFrameObject, f_back, f_code, f_lasti, f_executing)",
    "frame.state": "AT(PyFrameObject, f_executing)",
    "frame.running_state": "VALUE(1)",
}
FRAME_OBJECT_310 = {
    "frame.size": "COVER(PyFrameObject, f_back, f_code, f_lasti, f_state)",
    "frame.state": "AT(PyFrameObject, f_state)",
    "frame.running_state": "VALUE(FRAME_EXECUTING)",
}
# A call from Python to Python leaves the caller's stack top, and the function in the slot there.
STACK_TOP = {"frame.stack_top": "AT(_PyInterpreterFrame, stacktop)"}
FUNCTION_311 = {
    "frame.function": "AT(_PyInterpreterFrame, f_func)",
    "frame.is_entry": "AT(_PyInterpreterFrame, is_entry)",
}
FUNCTION_312 = {"frame.function": "AT(_PyInterpreterFrame, f_funcobj)"}
# The stack pointer stays as it is after the call; a frame that has called nothing yet has no return offset.
TABLE_STACK_POINTER = {
    "frame.stack_pointer": ("AT(_PyInterpreterFrame, stackpointer)", "interpreter_frame.stackpointer"),
    "frame.return_offset": "AT(_PyInterpreterFrame, return_offset)",
}
INTERPRETER_FRAME = {
    "cframe.current_frame": "AT(_PyCFrame, current_frame)",
    "cframe.previous": "AT(_PyCFrame, previous)",
    "frame.size": "COVER(_PyInterpreterFrame, previous, f_code, prev_instr, localsplus)",
    "frame.locals": "AT(_PyInterpreterFrame, localsplus)",
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
# How long a frame on the data stack is: its locals begin where its fields end.
FRAME_LENGTH = {
    "code.local_count": "AT(PyCodeObject, co_nlocalsplus)",
    "code.stack_size": "AT(PyCodeObject, co_stacksize)",
    "code.flags": "AT(PyCodeObject, co_flags)",
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

# From 3.13 on.
TABLE_RUNTIME = {
    "runtime.interpreters_head": ("AT(_PyRuntimeState, interpreters.head)", "runtime_state.interpreters_head"),
    "runtime.finalizing": ("AT(_PyRuntimeState, _finalizing)", "runtime_state.finalizing"),
}
TABLE_INTERPRETER = {
    "interpreter.next": ("AT(PyInterpreterState, next)", "interpreter_state.next"),
    "interpreter.id": ("AT(PyInterpreterState, id)", "interpreter_state.id"),
    "interpreter.threads_head": ("AT(PyInterpreterState, threads.head)", "interpreter_state.threads_head"),
}
TABLE_GIL = {"interpreter.gil": ("AT(PyInterpreterState, ceval.gil)", "interpreter_state.ceval_gil")}
ATTACHMENT = {"thread.attachment": "AT(PyThreadState, state)"}
TABLE_THREAD = {
    "thread.size": ("SIZE(PyThreadState)", "thread_state.size"),
    "thread.next": ("AT(PyThreadState, next)", "thread_state.next"),
    "thread.interpreter": ("AT(PyThreadState, interp)", "thread_state.interp"),
    "thread.current_frame": ("AT(PyThreadState, current_frame)", "thread_state.current_frame"),
    "thread.thread_id": ("AT(PyThreadState, thread_id)", "thread_state.thread_id"),
    "thread.native_thread_id": ("AT(PyThreadState, native_thread_id)", "thread_state.native_thread_id"),
}
TABLE_FRAME = {
    "frame.size": ("SIZE(_PyInterpreterFrame)", "interpreter_frame.size"),
    "frame.previous": ("AT(_PyInterpreterFrame, previous)", "interpreter_frame.previous"),
    "frame.executable": ("AT(_PyInterpreterFrame, f_executable)", "interpreter_frame.executable"),
    "frame.instruction": ("AT(_PyInterpreterFrame, instr_ptr)", "interpreter_frame.instr_ptr"),
    "frame.owner": ("AT(_PyInterpreterFrame, owner)", "interpreter_frame.owner"),
    "frame.locals": ("AT(_PyInterpreterFrame, localsplus)", "interpreter_frame.localsplus"),
}
TABLE_CODE = {
    "code.size": ("SIZE(PyCodeObject)", "code_object.size"),
    "code.filename": ("AT(PyCodeObject, co_filename)", "code_object.filename"),
    "code.name": ("AT(PyCodeObject, co_name)", "code_object.name"),
    "code.qualname": ("AT(PyCodeObject, co_qualname)", "code_object.qualname"),
    "code.line_table": ("AT(PyCodeObject, co_linetable)", "code_object.linetable"),
    "code.first_line": ("AT(PyCodeObject, co_firstlineno)", "code_object.firstlineno"),
    "code.bytecode": ("AT(PyCodeObject, co_code_adaptive)", "code_object.co_code_adaptive"),
    "code.unit_count": "AT(PyCodeObject, ob_base.ob_size)",
}
# Each thread of a free-threaded CPython (3.14 on) runs copies of the bytecode of its own.
TABLE_THREAD_BYTECODE = {
    "frame.bytecode_index": ("AT(_PyInterpreterFrame, tlbc_index)", "interpreter_frame.tlbc_index"),
    "code.thread_bytecode": ("AT(PyCodeObject, co_tlbc)", "code_object.co_tlbc"),
    "code.thread_bytecode_entries": "AT(_PyCodeArray, entries)",
}
TABLE_OBJECTS = {
    "object.type": ("AT(PyObject, ob_type)", "pyobject.ob_type"),
    "object.var_size": ("AT(PyVarObject, ob_size)", "bytes_object.ob_size"),
    "bytes.data": ("AT(PyBytesObject, ob_sval)", "bytes_object.ob_sval"),
}
TABLE_UNICODE = {
    "unicode.length": ("AT(PyASCIIObject, length)", "unicode_object.length"),
    "unicode.state": ("AT(PyASCIIObject, state)", "unicode_object.state"),
    "unicode.ascii_data": ("SIZE(PyASCIIObject)", "unicode_object.asciiobject_size"),
}

PUBLIC_HEADERS = ("Python.h", "frameobject.h")
INTERNAL_37 = ("Python.h", "frameobject.h", "internal/pystate.h")
INTERNAL_38 = ("Python.h", "frameobject.h", "internal/pycore_pystate.h")
INTERNAL_39 = ("Python.h", "frameobject.h", "internal/pycore_interp.h", "internal/pycore_runtime.h")
INTERNAL_311 = INTERNAL_39 + ("internal/pycore_frame.h",)
INTERNAL_313 = INTERNAL_311 + ("internal/pycore_code.h",)

Version = collections.namedtuple("Version", "headers core traits fields")


def merged(*groups):
    """One dict of several; a key given twice is a mistake in the tables above."""
    result = {}
    for group in groups:
        assert not set(group) & set(result), set(group) & set(result)
        result.update(group)
    return result


def frame_objects(headers, core, line_table, instruction, strings, gil, state_thread, *groups):
    """A CPython whose frames are heap objects."""
    traits = {"trait.line_table": line_table, "trait.instruction": instruction,
              "trait.strings": strings, "trait.gil": gil, "trait.state_thread": state_thread}
    fields = (NO_TRAMPOLINES, INTERPRETER_TSTATE_HEAD, THREAD, THREAD_WITH_FRAME, FRAME_OBJECT, CODE, OBJECT)
    return Version(headers, core, merged(FRAME_OBJECTS_TRAITS, traits), merged(*(fields + groups)))


def through_cframe(headers, gil, *groups):
    """A CPython whose frames live on the data stack and are reached through a _PyCFrame."""
    traits = {"trait.strings": "unicode", "trait.gil": gil, "trait.state_thread": "by_cframe"}
    fields = (RUNTIME, FINALIZING_39, INTERPRETER_ID, GIL_STRUCT, INTERPRETER_THREADS_HEAD, THREAD,
              THREAD_WITH_CFRAME, DATA_STACK, CFRAME_OF_THREAD, INTERPRETER_FRAME, STACK_TOP, CODE, CODE_LINETABLE,
              CODE_WITH_BYTECODE, FRAME_LENGTH, OBJECT, BYTES, UNICODE)
    return Version(headers, True, merged(CFRAME_TRAITS, traits), merged(*(fields + groups)))


def by_table(trampolines, free_threaded, *groups):
    """A CPython that publishes its own offsets."""
    traits = {"trait.strings": "unicode", "trait.gil": "none" if free_threaded else "in_interpreter",
              "trait.state_thread": "named"}
    unicode = {key: TABLE_UNICODE.get(key, expression) for key, expression in UNICODE.items()}
    gil = (ATTACHMENT,) if free_threaded else (TABLE_GIL, GIL_STRUCT)
    fields = (TABLE_RUNTIME, TABLE_INTERPRETER, TABLE_THREAD, TABLE_FRAME, TABLE_CODE, CODE_VERSION, FRAME_LENGTH,
              TABLE_OBJECTS, unicode, trampolines)
    return Version(INTERNAL_313, True, merged(DIRECT_TRAITS, traits), merged(*(fields + gil + groups)))


MODERN_STRINGS = (BYTES, UNICODE)
RUNTIME_37 = (RUNTIME, FINALIZING_37, INTERPRETER_ID, GIL_IN_RUNTIME, GIL_STRUCT)
RUNTIME_39 = (RUNTIME, FINALIZING_39, INTERPRETER_ID, GIL_IN_RUNTIME, GIL_STRUCT)

VERSIONS = {
    "2.7": frame_objects(PUBLIC_HEADERS, False, "lnotab_unsigned", "byte_offset", "byte_string", "current_thread",
                         "named", FRAME_OBJECT_27, CODE_LNOTAB, STRING_BYTES),
    "3.6": frame_objects(PUBLIC_HEADERS, False, "lnotab_signed", "byte_offset", "unicode", "static_variables",
                         "named", FRAME_OBJECT_36, CODE_LNOTAB, *MODERN_STRINGS),
    # 3.7.4 aligned PyGC_Head like a long double, which moved the GIL.
    "3.7": frame_objects(INTERNAL_37, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime", "named",
                         FRAME_OBJECT_36, CODE_LNOTAB, RUNTIME_SIZE, *(MODERN_STRINGS + RUNTIME_37)),
    "3.8": frame_objects(INTERNAL_38, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime", "untold",
                         FRAME_OBJECT_36, CODE_LNOTAB, *(MODERN_STRINGS + RUNTIME_37)),
    "3.9": frame_objects(INTERNAL_39, True, "lnotab_signed", "byte_offset", "unicode", "in_runtime", "untold",
                         FRAME_OBJECT_36, CODE_LNOTAB, *(MODERN_STRINGS + RUNTIME_39)),
    "3.10": frame_objects(INTERNAL_39, True, "pep626", "code_unit", "unicode", "in_runtime", "by_cframe",
                          FRAME_OBJECT_310, CODE_LINETABLE, CFRAME_OF_THREAD, *(MODERN_STRINGS + RUNTIME_39)),
    "3.11": through_cframe(INTERNAL_311, "in_runtime", NO_TRAMPOLINES, FUNCTION_311, GIL_IN_RUNTIME),
    "3.12": through_cframe(INTERNAL_311, "in_interpreter", C_STACK_TRAMPOLINES, FUNCTION_312, GIL_IN_INTERPRETER,
                           CODE_VERSION),
    "3.13": by_table(C_STACK_TRAMPOLINES, False, STACK_TOP, FUNCTION_312),
    "3.13t": by_table(C_STACK_TRAMPOLINES, True, STACK_TOP, FUNCTION_312),
    "3.14": by_table(INTERPRETER_TRAMPOLINES, False, TABLE_STACK_POINTER, FUNCTION_312),
    "3.14t": by_table(INTERPRETER_TRAMPOLINES, True, TABLE_STACK_POINTER, FUNCTION_312, TABLE_THREAD_BYTECODE),
    "3.15": by_table(INTERPRETER_TRAMPOLINES, False, TABLE_STACK_POINTER, FUNCTION_312),
    "3.15t": by_table(INTERPRETER_TRAMPOLINES, True, TABLE_STACK_POINTER, FUNCTION_312, TABLE_THREAD_BYTECODE),
}

# --- The C program and what its object file holds -----------------------------------------------------------------

MARKER = b"sampler-layout:\0"

PROGRAM = """\
%(defines)s
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


def expression_of(version, name):
    """What the compiler is to work out for a field."""
    field = version.fields[name]
    return field if isinstance(field, str) else field[0]


def c_program(version, free_threaded):
    """The text of the program whose data is the values of version.fields, in sorted order."""
    names = sorted(version.fields)
    has_state = any(expression_of(version, name).startswith("BIT") for name in names)
    defines = ["#define Py_BUILD_CORE 1"] * version.core + ["#define Py_GIL_DISABLED 1"] * free_threaded
    return PROGRAM % {
        "defines": "\n".join(defines),
        "includes": "\n".join('#include "%s"' % header for header in version.headers),
        "state_type": "__typeof__(((PyASCIIObject *)0)->state)" if has_state else "char",
        "count": len(names),
        "marker": MARKER[:-1].decode(),
        "entries": "\n".join("  %s," % expression_of(version, name) for name in names),
    }


def compiled(program, include):
    """The bytes of the object file that the C compiler ($CC, or cc) makes of the program."""
    # Debian's pyconfig.h includes another one by its place below the folder above. That folder comes last: it may have
    # the C library's headers of another system.
    includes = ["-I", include, "-idirafter", os.path.dirname(os.path.abspath(include))]
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "layout.c"), os.path.join(folder, "layout.o")
        with open(source, "w") as file:
            file.write(program)
        command = os.environ.get("CC", "cc").split() + ["-w", "-fno-lto"] + includes + ["-c", source, "-o", target]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode != 0:
            raise Refused("the headers in %s do not compile as expected:\n%s" % (include, done.stdout))
        with open(target, "rb") as file:
            return file.read()


def lowest_bit(word):
    return (word & -word).bit_length() - 1


def field_values(name, include):
    """Key -> number, for every field of the version of that name."""
    version = VERSIONS[name]
    names = sorted(version.fields)
    data = compiled(c_program(version, name.endswith("t")), include)
    if data.count(MARKER) != 1:
        raise Refused("the compiler's object file does not hold the table in the clear")
    words = struct.unpack_from("=%dQ" % len(names), data, data.index(MARKER) + len(MARKER))
    return {name: lowest_bit(word) if expression_of(version, name).startswith("BIT") else word
            for name, word in zip(names, words)}


# --- The target's own table ---------------------------------------------------------------------------------------

TABLE_HEADERS = ("internal/pycore_debug_offsets.h", "internal/pycore_runtime.h")


def table_words(include):
    """The names of the words of _Py_DebugOffsets in their order: "cookie", "runtime_state.size" and so on."""
    for header in TABLE_HEADERS:
        path = os.path.join(include, header)
        if not os.path.exists(path):
            continue
        with open(path) as file:
            struct_text = re.search(r"typedef struct _Py_DebugOffsets \{(.*?)\} _Py_DebugOffsets;", file.read(), re.S)
        if struct_text:
            return words_of(re.sub(r"//[^\n]*|/\*.*?\*/", "", struct_text.group(1), flags=re.S))
    raise Refused("the headers in %s have no _Py_DebugOffsets" % include)


def words_of(struct_text):
    """The names of the 8-byte members, those of an inner struct as "struct.member"."""
    words = []
    members = re.findall(r"struct(?: \w+)?\s*\{(.*?)\}\s*(\w+);|(?:uint64_t|char) (\w+)[^;]*;", struct_text, re.S)
    for inner, group, member in members:
        words += [member] if member else ["%s.%s" % (group, name) for name in re.findall(r"uint64_t (\w+);", inner)]
    return words


# --- The layout file ----------------------------------------------------------------------------------------------


def version_of(include, free_threaded=False):
    """"3.12", or "3.13t" for a free-threaded one, from the headers themselves."""
    try:
        with open(os.path.join(include, "patchlevel.h")) as file:
            text = file.read()
        with open(os.path.join(include, "pyconfig.h")) as file:
            free_threaded = free_threaded or bool(re.search(r"^#define Py_GIL_DISABLED 1", file.read(), re.M))
    except OSError as error:
        raise Refused("no CPython headers in %s: %s" % (include, error.strerror))
    major, minor = (re.search(r"#define PY_%s_VERSION\s+(\d+)" % part, text).group(1) for part in ("MAJOR", "MINOR"))
    return "%s.%s%s" % (major, minor, "t" * free_threaded)


def schema_name(version):
    """The schema of a version's table; a free-threaded build has the same words."""
    return "debug_offsets-" + version.rstrip("t")


def layout_text(include, name, only_headers=False):
    """The whole layout file of the version `name` with these headers; on wish without the target's table."""
    if name not in VERSIONS:
        raise Refused("CPython %s is not in this tool's table, which has %s; add a row to VERSIONS"
                      % (name, ", ".join(VERSIONS)))
    version = VERSIONS[name]
    numbers = field_values(name, include)
    words = {key: "@" + field[1] for key, field in version.fields.items() if isinstance(field, tuple)}
    if only_headers:
        words = {}
    unknown = {word[1:] for word in words.values()} - set(table_words(include) if words else ())
    if unknown:
        raise Refused("_Py_DebugOffsets of CPython %s has no %s" % (name, ", ".join(sorted(unknown))))
    rows = merged(version.traits, dict(numbers, **words))
    source = [row("source", "debug_offsets"), row("schema", schema_name(name))] if words else [row("source", "static")]
    lines = ["# CPython %s, Linux 64-bit. Generated by tools/gen_layout.py; do not edit." % name, row("python", name)]
    lines += source
    for section in SECTIONS:
        keys = [key for key in rows if key.split(".")[0] == section]
        if section != "trait":
            # Sizes first, then the order in which the fields lie in memory.
            keys.sort(key=lambda key: (not key.endswith(".size"), numbers.get(key, 0), key))
        lines += [""] * bool(keys) + [row(key, rows[key]) for key in keys]
    return "\n".join(lines) + "\n"


def schema_text(include, name):
    """The whole schema file of the table that the version `name` publishes."""
    head = ["# The words of _Py_DebugOffsets of CPython %s, 8 bytes each, in their order." % name.rstrip("t"),
            "# Generated by tools/gen_layout.py; do not edit."]
    return "\n".join(head + table_words(include)) + "\n"


def row(key, value):
    return "%-30s%s" % (key, value)


def committed_path(name):
    return os.path.join(ROOT, "cpython_offsets", name)


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
    parser.add_argument("--free-threaded", action="store_true",
                        help="of the free-threaded build, where the headers serve both")
    parser.add_argument("--schema", action="store_true",
                        help="write the schema of its _Py_DebugOffsets instead of its layout (3.13 on)")
    parser.add_argument("--only-headers", action="store_true",
                        help="every offset from the headers, none from the target's table")
    parser.add_argument("--output", metavar="FILE", help="where to write; standard output by default")
    parser.add_argument("--check", action="store_true",
                        help="compare with FILE (by default the committed file of that version) and write nothing")
    return parser.parse_args()


def main():
    options = arguments()
    name = version_of(options.include, options.free_threaded)
    if options.schema:
        text, committed = schema_text(options.include, name), schema_name(name) + ".schema"
    else:
        text, committed = layout_text(options.include, name, options.only_headers), name + ".layout"
    if options.check:
        return 0 if check(text, options.output or committed_path(committed)) else 1
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
