"""Prints the line tables of a large part of this Python's standard library, and the lines CPython makes of them.

Two lines per code object: "code <first line> <table in hex, or -> <name>", and "lines" with one number per instruction
offset (per code unit where CPython counts those), -1 for no line. Runs on 2.7 and on 3.6 and later.
"""
from __future__ import print_function

import ast
import ctypes
import dis
import os
import sys
import types

ENOUGH_OFFSETS = 1000000
MOST_BYTES_OF_ONE = 20000
PACKAGES = ("", "json", "asyncio", "email", "unittest", "logging", "importlib", "xml/dom", "distutils", "ctypes",
            "test")

HAS_RANGES = hasattr(types.CodeType, "co_lines")
HAS_LINETABLE = hasattr(types.CodeType, "co_linetable")

addr_to_line = ctypes.pythonapi.PyCode_Addr2Line
addr_to_line.argtypes = [ctypes.py_object, ctypes.c_int]
addr_to_line.restype = ctypes.c_int


def far_apart(gap, direction):
    """A function whose lines lie far apart, in one direction or back and forth: big and negative deltas."""
    calls = ["f(%d,%s1)" % (number, "\n" * (gap if number % direction else 1)) for number in range(40)]
    return "def g(f):\n    return [%s]\n" % ("," + "\n" * gap).join(calls)


def without_line_changes():
    """A line with far more code than one entry of a table can cover."""
    return "def g(a):\n    return [%s]\n" % ",".join("a.x%d + a[%d]" % (number, number) for number in range(600))


def clean_up_code():
    """Code that the compiler adds and that belongs to no line, or to an earlier one."""
    return """
def g(a):
    for x in a:
        try:
            with a as b, b as c:
                if x:
                    continue
                yield x
        except ValueError as error:
            a(error,

              x)
        finally:
            del x
    while True:
        if (a and

            x or
            b):
            break
"""


def back_and_forth(step):
    """A function whose statements change places: older compilers go back in no other way."""
    tree = ast.parse("def g(f):\n" + "    f(1)\n" * 60)
    for number, statement in enumerate(tree.body[0].body):
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = 100000 + number % 3 * step
    return tree


def synthetic_sources():
    for gap in (1, 3, 126, 127, 128, 129, 254, 255, 256, 257, 1000, 5000, 40000):
        for direction in (1, 2, 3):
            yield far_apart(gap, direction)
        yield back_and_forth(gap)
    yield without_line_changes()
    yield clean_up_code()


def library_sources():
    root = os.path.dirname(os.__file__)
    for package in PACKAGES:
        folder = os.path.join(root, *package.split("/"))
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    yield file.read()


def compiled(source):
    try:
        return compile(source, "dumped", "exec", 0, True)
    except (SyntaxError, ValueError):  # the tests' own bad examples
        return None


def nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for inner in nested(constant):
                yield inner


def lines_of_ranges(code, count):
    """What co_lines() says, per code unit."""
    lines = [-1] * count
    for start, end, line in code.co_lines():
        lines[start // 2:end // 2] = [-1 if line is None else line] * (end // 2 - start // 2)
    return lines


def lines_of_starts(code, count):
    """What dis.findlinestarts() says, per byte."""
    lines = [code.co_firstlineno] * count
    for start, line in dis.findlinestarts(code):
        lines[start:] = [line] * (count - start)
    return lines


def lines_of(code):
    """The line of each offset; CPython's two ways to tell must agree."""
    step = 2 if HAS_RANGES else 1
    count = len(code.co_code) // step
    lines = [addr_to_line(code, offset * step) for offset in range(count)]
    others = lines_of_ranges(code, count) if HAS_RANGES else lines_of_starts(code, count)
    if lines != others:
        sys.exit("%s: PyCode_Addr2Line and the Python level disagree" % code.co_name)
    return lines


def dump(code):
    table = bytearray(code.co_linetable if HAS_LINETABLE else code.co_lnotab)
    lines = lines_of(code)
    print("code %d %s %s" % (code.co_firstlineno, "".join("%02x" % byte for byte in table) or "-", code.co_name))
    print("lines " + " ".join(map(str, lines)))
    return len(lines)


def sources():
    for source in synthetic_sources():
        yield source
    for source in library_sources():
        yield source


def main():
    total = 0
    for source in sources():
        if total > ENOUGH_OFFSETS:
            break
        module = compiled(source)
        for code in nested(module) if module else ():
            # Asking for every offset takes time that grows with the square of the table.
            if len(code.co_code) < MOST_BYTES_OF_ONE:
                total += dump(code)


if __name__ == "__main__":
    main()
