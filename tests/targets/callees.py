"""Which calls that were seen cannot have been, as far as the source tells what a line calls.

Reads a JSON list of [file, line, callee's name, samples]. Prints {"checked": samples on lines that tell, "lines": how many of
those there were, "impossible": [[file, line, callee, samples, [the names that it calls]], ...]}. Runs on 2.7 and 3.6 on.

A line tells what it calls where its statements are made of names, constants, attributes and calls, and what they call has a
name that is a function without a decorator wherever the library binds it: then its frame has that name. What is called
without being named (a finalizer, a callback, the handler of a signal) is let pass.
"""
import ast
import importlib
import json
import os
import re
import sys

# Run where an object is dropped, a block is left, an iterator goes on, an attribute is not just there, where a class's body
# binds a name, and where a test has replaced a function by an object.
ANYWHERE = {"__call__", "__del__", "__exit__", "__aexit__", "__next__", "__getattr__", "__getattribute__", "__setattr__", "__get__",
            "__getitem__", "__missing__", "__setitem__"}
# Whose arguments are called at any time.
REGISTRARS = {"signal", "ref", "proxy", "finalize", "WeakMethod", "register", "settrace", "setprofile", "addaudithook"}
TELLING = {"Expr", "Return", "Pass", "Break", "Continue", "Global", "Nonlocal", "Assign", "Name", "Load", "Store", "Constant",
           "Num", "Str", "Bytes", "NameConstant", "Tuple", "List", "keyword", "Call", "Attribute"}
NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*$")


def kind(node):
    return type(node).__name__


def text_of(node):
    value = getattr(node, "s", None) if kind(node) == "Str" else getattr(node, "value", None)
    return value if isinstance(value, str) else ""


def modules_of_c():
    found = list(sys.builtin_module_names)
    for directory in sys.path:
        if os.path.isdir(directory):
            found += [name.split(".")[0] for name in os.listdir(directory) if name.endswith(".so")]
    for name in found:
        try:
            yield importlib.import_module(name)
        except ImportError:
            continue  # a library is missing


def names_of_c():
    """What C may implement: that calls whatever it likes."""
    found = set()
    for module in modules_of_c():
        for name in dir(module):
            found.add(name)
            found.update(vars(getattr(module, name)) if isinstance(getattr(module, name), type) else ())
    kinds, seen = [object], set()
    while kinds:
        each = kinds.pop()
        if each not in seen:
            seen.add(each)
            kinds.extend(type.__subclasses__(each))
            if not each.__flags__ & 1 << 9:  # made at run time, of Python (Py_TPFLAGS_HEAPTYPE)
                found.update(vars(each))
    return found


class Bindings(ast.NodeVisitor):
    """What names are bound to in all files that are visited."""

    def __init__(self):
        self.functions = set()
        self.others = names_of_c()
        self.computed = set()  # attributes that run code when they are read
        self.anywhere = set(ANYWHERE)

    def visit_FunctionDef(self, node):
        if node.decorator_list:
            self.others.add(node.name)
            self.computed.add(node.name)
        else:
            self.functions.add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node):
        self.others.add(node.name)
        self.generic_visit(node)

    def visit_arguments(self, node):
        self.others.update(name for name in (node.vararg, node.kwarg) if isinstance(name, str))
        self.generic_visit(node)

    def visit_arg(self, node):
        self.others.add(node.arg)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node):
        if isinstance(node.name, str):
            self.others.add(node.name)
        self.generic_visit(node)

    def visit_Name(self, node):
        if kind(node.ctx) != "Load":
            self.others.add(node.id)

    def visit_Attribute(self, node):
        if kind(node.ctx) != "Load":
            self.others.add(node.attr)
        self.generic_visit(node)

    def visit_alias(self, node):
        if node.asname:
            self.others.add(node.asname)

    def visit_Call(self, node):
        # setattr(), patch() and the like bind what a text names.
        for argument in node.args:
            self.others.update(part for part in text_of(argument).split(".")[-1:] if NAME.match(part))
        if name_of(node.func) in REGISTRARS:
            self.anywhere.update(name_of(part) for argument in node.args for part in ast.walk(argument))
        self.generic_visit(node)


def name_of(node):
    return getattr(node, "id", getattr(node, "attr", None))


def callees(statement, bindings):
    """The names that a statement calls; None where it does not tell."""
    found = set()
    for node in ast.walk(statement):
        if kind(node) not in TELLING or (kind(node) == "Attribute" and node.attr in bindings.computed):
            return None
        if kind(node) != "Call":
            continue
        if getattr(node, "starargs", None) or getattr(node, "kwargs", None) or any(each.arg is None for each in node.keywords):
            return None
        name = name_of(node.func)
        if name == "super":
            continue
        if name not in bindings.functions or name in bindings.others:
            return None
        found.add(name)
    return found


def first_line(node):
    return min([node.lineno] + [each.lineno for each in getattr(node, "decorator_list", ())])


def last_line(node):
    return max(max(getattr(each, "lineno", 0), getattr(each, "end_lineno", 0) or 0) for each in ast.walk(node))


def callees_by_line(tree, bindings):
    """{line: names}, of lines that tell."""
    found, silent = {}, set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        if body:  # the head of a compound statement
            silent.update(range(first_line(node), max(first_line(body[0]), first_line(node) + 1)))
            continue
        lines = range(node.lineno, last_line(node) + 1)
        names = callees(node, bindings)
        if names is None:
            silent.update(lines)
            continue
        for line in lines:
            found.setdefault(line, set()).update(names)
    return {line: names for line, names in found.items() if line not in silent}


def parse(path):
    with open(path, "rb") as file:
        return ast.parse(file.read(), path)


def main():
    with open(sys.argv[1]) as file:
        calls = json.load(file)
    bindings, trees = Bindings(), {}
    seen = {call[0] for call in calls}
    for directory, _, names in os.walk(os.path.dirname(os.__file__)):
        for path in (os.path.join(directory, name) for name in names if name.endswith(".py")):
            try:
                tree = parse(path)
            except (SyntaxError, ValueError):
                continue  # there to be refused
            bindings.visit(tree)
            if path in seen:
                trees[path] = tree
    known, checked, lines, impossible = {}, 0, set(), []
    for path, line, callee, samples in calls:
        if path not in known:
            known[path] = callees_by_line(trees[path], bindings) if path in trees else {}
        names = known[path].get(line)
        if names is None:
            continue
        checked += samples
        lines.add((path, line))
        if callee not in names and callee not in bindings.anywhere:
            impossible.append([path, line, callee, samples, sorted(names)])
    print(json.dumps({"checked": checked, "lines": len(lines), "impossible": impossible}))


main()
