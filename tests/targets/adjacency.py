"""A random program whose call graph is known: `adjacency.py SEED THREADS`.

Functions in levels, each with a frame of random size, call those of lower levels in every way there is, each call on a
line of its own. What calls what, the process says itself: sys.setprofile sees two rounds of the program before it is ready.
With 0 threads the main thread calls, else that many do, and the main thread listens. On 2.7 and 3.6 on.
"""
import functools
import itertools
import random
import re
import sys
import threading

import control

LEVELS, WIDTH = 7, 6
FILE = "calls.py"
IS_PYTHON_3 = sys.version_info >= (3,)

# How a function is defined, and how it can be called. {n} is its number. All take nothing, or one or two numbers, and
# return a number, but for those that say otherwise.
FUNCTION = ["def f{n}(a=0, b=0):", "{body}", "    return a"]
METHODS = ["class C{n}(object):", "    def {name}(self, a=0, b=0):", "    {body}", "        return 1", "o{n} = C{n}()",
           "b{n} = o{n}.{name}"]
KINDS = {
    "function": (FUNCTION + ["p{n} = partial(f{n}, 1)", "w{n} = wrapped(f{n})"],
                 ["f{n}(1)", "f{n}(1, 2)", "f{n}(b=1)", "f{n}(a=1, b=2)", "f{n}(b=2, a=1)", "f{n}(*T)", "f{n}(*T, **{{}})",
                  "f{n}(1, **B)", "f{n}(**D)", "list(map(f{n}, T))", "sorted(T, key=f{n})", "reduce(f{n}, T)", "p{n}(2)",
                  "p{n}(b=2)", "list(filter(f{n}, T))", "[f{n}(z) for z in T]", "{{f{n}(z): 1 for z in T}}",
                  "sum(f{n}(z) for z in T)", "max(T, key=f{n})", "(lambda *q: f{n}(*q))(1)", "w{n}(1)", "w{n}(b=1)",
                  "list(map(w{n}, T))", "list(starmap(f{n}, P))", "list(iter(f{n}, 0))"]),
    "variable": (["def f{n}(*a, **k):", "{body}", "    return 1"],
                 ["f{n}(1)", "f{n}(b=1)", "f{n}(*T)", "f{n}(**D)", "list(map(f{n}, T))", "list(map(f{n}, T, T))",
                  "sorted(T, key=f{n})", "reduce(f{n}, T)", "sorted(T, key=partial(f{n}, 1))"]),
    "lambda": (["f{n} = lambda *a: {call}"], ["f{n}(1)", "f{n}(*T)", "list(map(f{n}, T))", "sorted(T, key=f{n})"]),
    "substitute": (["def f{n}(*m):", "{body}", "    return 'c'"], ["PATTERN.sub(f{n}, 'ab')", "f{n}(1)"]),
    "raises": (["def f{n}(a=0, b=0):", "{body}", "    raise ValueError(a)"],
               ["try_to(f{n})", "with ignored: f{n}(b=1)", "with ignored: f{n}(*T)"]),
    "method": (METHODS, ["o{n}.{name}(1)", "o{n}.{name}(b=1)", "o{n}.{name}(*T)", "o{n}.{name}(**D)", "C{n}.{name}(o{n}, 1)",
                         "list(map(b{n}, T))", "b{n}(1)", "b{n}(b=1)"]),
    "property": (["class C{n}(object):", "    @property", "    def f{n}(self):", "    {body}", "        return 1", "o{n} = C{n}()"],
                 ["o{n}.f{n}"]),
    "class": (["class C{n}(object):", "    @classmethod", "    def f{n}(cls, a=0, b=0):", "    {body}", "        return 1",
               "o{n} = C{n}()"], ["C{n}.f{n}(1)", "o{n}.f{n}(b=1)"]),
    "static": (["class C{n}(object):", "    @staticmethod", "    def f{n}(a=0, b=0):", "    {body}", "        return 1",
                "o{n} = C{n}()"], ["C{n}.f{n}(1)", "o{n}.f{n}(b=1)", "list(map(C{n}.f{n}, T))"]),
    "init": (["class C{n}(object):", "    def __init__(self, a=0, b=0):", "    {body}", "        self.a = a"],
             ["C{n}(1)", "C{n}(b=1)", "C{n}(*T)", "C{n}(**D)", "list(map(C{n}, T))"]),
    "new": (["class C{n}(object):", "    def __new__(cls, *a, **k):", "    {body}", "        return object.__new__(cls)"],
            ["C{n}(1)", "C{n}(b=1)"]),
    "generator": (["def f{n}(a=0, b=0):", "{body}", "    yield 1", "{body}", "    yield 2"],
                  ["for z in f{n}(): pass", "for z in f{n}(b=1): pass", "list(f{n}(1))", "next(f{n}())", "[z for z in f{n}()]",
                   "sum(f{n}())", "sum(z for z in f{n}())", "dict.fromkeys(f{n}())", "for z in map(f{m}, f{n}()): pass"]),
    "iterable": (["class C{n}(object):", "    def __iter__(self):", "    {body}", "        return iter(T)", "o{n} = C{n}()"],
                 ["for z in o{n}: pass", "list(o{n})"]),
    "context": (["class C{n}(object):", "    def __enter__(self):", "    {body}", "        return 1",
                 "    def __exit__(self, *a):", "    {body}", "        return True", "o{n} = C{n}()"],
                ["with o{n}: z = 1", "with o{n} as z: raise ValueError(z)"]),
}
# What the interpreter itself calls, by name.
for special, call in (("__getitem__", "o{n}[1]"), ("__getattr__", "o{n}.zzz"), ("__call__", "o{n}(1)"), ("__call__", "o{n}(b=1)"),
                      ("__add__", "o{n} + 1"), ("__lt__", "o{n} < 1"), ("__contains__", "1 in o{n}"), ("__call__", "o{n}(*T)"),
                      ("__len__", "len(o{n})"), ("__setattr__", "o{n}.y = 1"), ("__setitem__", "o{n}[1] = 2")):
    KINDS[call] = ([line.replace("{name}", special) for line in METHODS], [call])
if IS_PYTHON_3:
    KINDS["generator"][1].append("[*f{n}()]")
    KINDS["delegating"] = (["def f{n}():", "{body}", "    yield from g{m}()"],
                           ["for z in f{n}(): pass", "list(f{n}())", "next(f{n}())"])
    KINDS["coroutine"] = (["async def f{n}(a=0):", "{body}", "    await k{m}()", "{body}"],
                          ["list(f{n}().__await__())", "drive(f{n}(1))"])
    KINDS["keyword"] = (["def f{n}(*, a=0, b=0):", "{body}", "    return 1"], ["f{n}(a=1)", "f{n}(**D)", "f{n}(b=1)"])

START = """
def wrapped(function):
    @functools.wraps(function)
    def inner(*a, **k):
        return function(*a, **k)
    return inner

def try_to(function):
    try:
        function(1)
    except ValueError:
        return 1

class Ignored(object):
    def __enter__(self):
        return self
    def __exit__(self, *a):
        return True
ignored = Ignored()

def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return 1
""".strip("\n").split("\n")


class Program:
    """The source of a random program; its function `top` is a round."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = list(START)
        self.calls = []  # of each function made so far, as they may be written
        self.plain = []  # the numbers of those that take one number
        self.sites = 0
        for self.level in range(LEVELS):
            lower, next_lower = list(self.calls), self.calls[-WIDTH:]
            for _ in range(WIDTH):
                self.add_function(lower + 4 * next_lower)
        self.lines += ["def top():"] + self.body(self.calls[-WIDTH:], 2 * WIDTH)

    def text(self):
        return "\n".join(self.lines) + "\n"

    def body(self, callees, calls):
        """A frame of random size that calls some of these, or computes."""
        locals_ = ["v%d = " % number for number in range(self.random.randrange(9))]
        depth = self.random.randrange(7)
        lines = ["    %su = %s1%s" % ("".join(locals_), "(len(T), " * depth, ")" * depth)]
        for _ in range(calls if callees else 0):
            lines.append("    " + self.call(callees))
        return lines

    def call(self, callees):
        call = self.random.choice(self.random.choice(callees))
        if "{turn}" not in call:
            return call
        self.sites += 1  # each site alternates by itself: two rounds show all that it calls
        self.lines.insert(0, "turn%d = itertools.count()" % self.sites)
        return call.replace("{turn}", "turn%d" % self.sites)

    def expression(self, callees):
        """A call that is no statement."""
        call = self.call(callees)
        return self.expression(callees) if call.startswith(("for ", "with ")) or " = " in call else call

    def add_function(self, callees):
        n = len(self.calls)
        kind = self.random.choice(sorted(KINDS)) if callees else "function"
        if kind == "lambda" and n % WIDTH == 0:
            kind = "function"  # each level has one that others can use
        lines, calls = KINDS[kind]
        m = self.random.choice(self.plain) if self.plain else 0
        names = {"n": n, "m": m, "name": "f%d" % n}
        for inner, start, end in (("g", "def g%d():" % m, "    yield 1"), ("k", "async def k%d():" % m, "    return 1")):
            if inner + "{m}" in "".join(lines) and start not in self.lines:  # what this one delegates to
                self.lines += [start] + self.body(callees, 1) + [end]
        if len(self.plain) > 1 and self.random.random() < 0.3:
            callees = callees + [["(f%d, f%d)[next({turn}) & 1](1)" % tuple(self.random.sample(self.plain, 2))]] * 2
        for line in lines:
            if "{body}" not in line:
                self.lines.append(line.format(call=self.expression(callees) if "{call}" in line else "", **names))
                continue
            for each in self.body(callees, self.random.choice((1, 2, 2, 3))):
                self.lines.append(line.replace("{body}", each))
        if kind in ("function", "variable"):
            self.plain.append(n)
        self.calls.append([call.format(**names) for call in calls])


def name_of(code):
    return getattr(code, "co_qualname", code.co_name)


def places_of(code):
    """[name, line, first line] of every line of a code object and those inside of it."""
    import dis
    lines = {line for _, line in dis.findlinestarts(code) if line is not None} | {code.co_firstlineno}
    places = [[name_of(code), line, code.co_firstlineno] for line in lines]
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            places += places_of(constant)
    return places


GENERATORS = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR


def generators_of(code):
    """{name: [its full name, first line]} of the functions of a module whose call makes a generator or coroutine."""
    return {each.co_name: [name_of(each), each.co_firstlineno] for each in code.co_consts
            if hasattr(each, "co_code") and each.co_flags & GENERATORS}


def creations(text, code, places):
    """[caller, its line, callee, its first line] where a generator is made: that is a call too, which no profiler is told of."""
    generators = generators_of(code)
    lines = text.split("\n")
    return [[name, line] + generators[made] for name, line, _ in places if line
            for made in re.findall(r"\w+(?=\()", lines[line - 1]) if made in generators]


def observed_calls(function):
    """[caller, its line, callee, its first line] of every call that is seen in two rounds."""
    calls = set()

    def note(frame, event, argument):
        caller = frame.f_back
        if event == "call" and caller is not None and frame.f_code.co_filename == FILE:
            calls.add((name_of(caller.f_code), caller.f_lineno, name_of(frame.f_code), frame.f_code.co_firstlineno))

    sys.setprofile(note)
    function()
    function()
    sys.setprofile(None)
    return sorted(call for call in calls if call[0] != "observed_calls")


def spin(top, said):
    said([frame[0] for frame in control.stack_of(sys._getframe())])
    while True:
        top()


def main():
    seed, threads = int(sys.argv[1]), int(sys.argv[2])
    text = Program(seed).text()
    code = compile(text, FILE, "exec")
    namespace = dict(functools=functools, itertools=itertools, partial=functools.partial, reduce=functools.reduce,
                     starmap=itertools.starmap, PATTERN=re.compile("[ab]"), T=(1, 2), P=((1, 2), (3, 4)), B={"b": 2},
                     D={"a": 1, "b": 2})
    exec(code, namespace)
    top = namespace["top"]
    places = places_of(code)
    facts = {"places": places, "calls": observed_calls(top), "creations": creations(text, code, places)}
    if threads == 0:
        spin(top, lambda root: control.ready(root=root, **facts))
    roots = []
    begun = threading.Semaphore(0)
    for _ in range(threads):
        thread = threading.Thread(target=spin, args=(top, lambda root: (roots.append(root), begun.release())))
        thread.daemon = True
        thread.start()
    for _ in range(threads):
        begun.acquire()
    control.ready(root=roots[0], **facts)
    control.listen()


main()
