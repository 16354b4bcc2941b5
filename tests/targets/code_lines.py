"""Which of the (file, name, line) in a JSON file no code object of that source file has, as this interpreter compiles
it. Prints {"checked": N, "unknown": [[file, name, line], ...]}. Runs on 2.7 and 3.6 on."""
import dis
import json
import sys
import types


def lines_of(code):
    if hasattr(code, "co_lines"):
        found = set(line for _, _, line in code.co_lines())
    else:
        found = set(line for _, line in dis.findlinestarts(code))
    # Before its first instruction a frame stands on the first line; line 0 is shown as none.
    return (found | set([code.co_firstlineno])) - set([0]) | (set([None]) if 0 in found else set())


def collect(code, lines):
    name = getattr(code, "co_qualname", code.co_name)
    lines.setdefault(name, set()).update(lines_of(code))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            collect(constant, lines)


def lines_by_name(path):
    with open(path, "rb") as file:
        source = file.read()
    lines = {}
    collect(compile(source, path, "exec", dont_inherit=True), lines)
    return lines


def main():
    with open(sys.argv[1]) as file:
        places = json.load(file)
    known, unknown = {}, []
    for path, name, line in places:
        if path not in known:
            known[path] = lines_by_name(path)
        if line not in known[path].get(str(name), ()):
            unknown.append([path, name, line])
    print(json.dumps({"checked": len(places), "unknown": unknown}))


main()
