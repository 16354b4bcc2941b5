#!/usr/bin/env python3
"""Holds the source tree against the design: layers, third-party libraries, version logic.

Reads every .h and .cpp of src/ and include/ and names each line that breaks a rule:
  - a layer includes only itself and what stands to its left in LAYERS, export only base and model;
  - each third-party library is included in its one place;
  - nothing compares Python versions but the files that pick a layout;
  - standard output and error are written by say() and print() only, which do not throw where a terminal has gone.
Exit status: 0 nothing found, 1 something found, 2 wrong use.
"""

import argparse
import pathlib
import re
import sys

LAYERS = ["base", "model", "process", "memory", "elf", "cpython", "native", "sampler", "export", "cli"]
SEES = {layer: set(LAYERS[: number + 1]) for number, layer in enumerate(LAYERS)}
SEES["export"] = {"base", "model", "export"}
PROGRAM = "src/main.cpp"  # links everything together, so it may include every layer

THIRD_PARTY = {  # how its headers begin: where they may be included (a file, or a folder with a slash)
    "spdlog/": ["src/base/log.cpp"],
    "boost/": ["src/cli/options.cpp"],
    "libunwind": ["src/native/", "include/sampler/native/"],
}

PICKS_A_LAYOUT = {"src/cpython/layout_catalog.cpp", "src/cpython/version_detector.cpp"}
COMPARES = r"(?:<=>|<=|>=|==|!=|<|>)"
VERSION_LOGIC = [
    # "< 0" checks a number just read, and picks nothing.
    re.compile(rf"\b(?:minor|major)\b(?:\(\))?\s*(?!<\s*0\b){COMPARES}"),
    re.compile(rf"{COMPARES}\s*(?:[\w:]+(?:\.|->))*(?:minor|major)\b"),
    re.compile(r"\bPythonVersion\s*(?:\w+\s*)?[{(]\s*\d"),
    re.compile(rf"\bversion\w*(?:\(\))?\s*{COMPARES}\s*(?:PythonVersion\b|[23]\d{{1,2}}\b|0x)"),
    re.compile(rf"\bPythonVersion\s*[{{(][^)}}]*[)}}]\s*{COMPARES}"),
    re.compile(rf"{COMPARES}\s*0x0[23][0-9a-fA-F]{{6}}\b"),
]

WRITES_STREAMS = "src/base/standard_streams.cpp"
STREAM = re.compile(
    r"\bfmt::print\b|\bstd::(?:cout|cerr|clog)\b|\b(?:stdout|stderr)\b|\b(?:printf|puts|perror)\s*\(|\bwrite\(STD\w+_FILENO\b"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
COMMENT_OR_LITERAL = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'(?!\w)""", re.S
)


def without(pattern, text):
    """The text with each match blanked; lines keep their numbers."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def layer_of(path):
    """The layer of a path relative to the tree's root; None for the program itself and for what is in no layer."""
    parts = path.split("/")
    if parts[:2] == ["include", "sampler"] and len(parts) > 3:
        return parts[2]
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return None


def normal(path):
    """A relative path with its "." and ".." resolved; None where it leaves the tree."""
    parts = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)


def included_file(root, includer, name):
    """The file of the tree that an include names, searched as the compiler does; None where there is none."""
    for folder in (includer.rpartition("/")[0], "include", "src"):
        path = normal(f"{folder}/{name}")
        if path and (root / path).is_file():
            return path
    return None


def library_findings(path, name):
    for prefix, places in THIRD_PARTY.items():
        if name.startswith(prefix) and not any(
            path == place or (place.endswith("/") and path.startswith(place)) for place in places
        ):
            yield f"includes {name}, which belongs in {places[0]} only"


def include_findings(root, path, quote, name):
    yield from library_findings(path, name)
    target = included_file(root, path, name)
    if target is None:
        # A header with the project's own prefix that is not there would escape the check.
        if quote == '"' or name.startswith("sampler/"):
            yield f"includes {name}, which is no file of this tree"
        return
    own, other = layer_of(path), layer_of(target)
    if path != PROGRAM and other is not None and own in SEES and other not in SEES[own]:
        yield f"{own} includes {target} of the layer {other}"


def version_findings(path, line):
    if path not in PICKS_A_LAYOUT and any(pattern.search(line) for pattern in VERSION_LOGIC):
        yield f"compares Python versions: {line.strip()}"


def stream_findings(path, line):
    if path != WRITES_STREAMS and STREAM.search(line):
        yield f"writes a standard stream without say() or print(): {line.strip()}"


def file_findings(root, path):
    if path != PROGRAM and layer_of(path) not in SEES:
        yield f"{path}:1: is in no layer (there are {', '.join(LAYERS)})"
    text = (root / path).read_text(encoding="utf-8")
    # Comments go, but an include's name is a literal: it is looked for before literals go.
    code = without(COMMENT_OR_LITERAL, text)
    for number, (raw, line) in enumerate(zip(text.split("\n"), code.split("\n")), 1):
        found = INCLUDE.match(raw)
        if found and re.match(r"\s*#\s*include\b", line):
            findings = include_findings(root, path, *found.groups())
        else:
            findings = (*version_findings(path, line), *stream_findings(path, line))
        for finding in findings:
            yield f"{path}:{number}: {finding}"


def source_files(root):
    for folder in ("include", "src"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cpp") and path.is_file():
                yield path.relative_to(root).as_posix()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--root", type=pathlib.Path, default=here, help="the tree to check (default: this one)")
    root = parser.parse_args(arguments).root
    paths = list(source_files(root))
    if not paths:
        print(f"check_layers: no sources below {root}", file=sys.stderr)
        return 2
    findings = [finding for path in paths for finding in file_findings(root, path)]
    for finding in findings:
        print(finding)
    print(f"check_layers: {len(paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
