# coding: utf-8
"""Functions whose names and files are hard to print. Runs on 2.7 and 3.6 on."""
import sys
import types

SOURCE = "def function(park):\n    return park()\n"


def renamed(name, file):
    """A function with that name (qualified name too) in that file."""
    namespace = {}
    exec(compile(SOURCE, "placeholder", "exec"), namespace)
    code = namespace["function"].__code__
    if hasattr(code, "co_qualname"):
        code = code.replace(co_name=name, co_qualname="Outer.<locals>." + name, co_filename=file)
    elif hasattr(code, "replace"):
        code = code.replace(co_name=name, co_filename=file)
    else:
        head = (code.co_argcount,) + ((code.co_kwonlyargcount,) if sys.version_info[0] > 2 else ())
        code = types.CodeType(*(head + (
            code.co_nlocals, code.co_stacksize, code.co_flags, code.co_code, code.co_consts, code.co_names,
            code.co_varnames, file, name, code.co_firstlineno, code.co_lnotab, code.co_freevars, code.co_cellvars)))
    return types.FunctionType(code, {})


COMMON = [
    ("plain", "/made/up/plain.py"),
    ("", ""),
    ("semi;colon", "/made/up/semi;colon.py"),
    ("with space", "/made/up/with space.py"),
    ("new\nline", "/made/up/new\nline.py"),
    ("tab\tbed", "/made/up/tab\tbed.py"),
    ("carriage\rreturn", "/made/up/carriage\rreturn.py"),
    ("trailing 12", "/made/up/trailing 12"),
    ("trailing 12 13", "/made/up/trailing 1.5"),
    (" leading", " leading"),
    ("ends in space ", "/made/up/ends in space "),
    ("back\\slash\\n\\x41\\\\", "C:\\made\\up\\x3b.py"),
    ("brackets (in) name (x.py:3)", "/made/up/(x.py:3)"),
    ("colon:name:12", "/made/up/colon:7:8.py"),
    ("nul\0byte\x01\x1b[31m\x7f", "/made/up/nul\0.py"),
    ("<too deep>", "<unreadable>"),
    ("<b>&amp;\"'", "/made/up/<b>&\"'.py"),
    ("n" * 5000, "/made/up/" + "f" * 5000),
]
TEXT = [
    (u"caf\u00e9", u"/made/up/caf\u00e9.py"),
    (u"\u8b8a\u6578", u"/made/up/\u8b8a\u6578.py"),
    (u"\U00020000\U0001f40d", u"/made/up/\U0001f40d.py"),
    (u"\u00ff" * 5000, u"/made/up/" + u"\U0001f40d" * 1250),
    (u"line\u2028separator\u0085next\u00a0space", u"/made/up/\u202e.py"),
]
SURROGATES = [
    (u"lone\ud800high", u"/made/up/lone\ud800.py"),
    (u"lone\udcfflow", u"/made/up/lone\udcff.py"),
    (u"pair\ud83d" + u"\udc0d", u"/made/up/pair.py"),
    (u"last\udfff", u"\ud800"),
]
BYTES = [(b"caf\xe9", b"/made/up/caf\xe9.py"), (b"\xff\xfe\x80", b"/made/up/\xc3"),
         (b"\xed\xa0\x80", b"/made/up/\xf4\x90\x80\x80.py"), (b"\xc0\xaf", b"/made/up/\xe0\x80\xaf.py")]


def names():
    if sys.version_info[0] > 2:
        return COMMON + TEXT + SURROGATES
    return COMMON + [(name.encode("utf-8"), file.encode("utf-8")) for name, file in TEXT] + BYTES


SHAPES = [renamed(name, file) for name, file in names()]
