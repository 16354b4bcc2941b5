"""The command: what is measured, in which order, and where it is written."""
import argparse
import functools
import json
import os
import shlex
import shutil
import sys
import tempfile

from bench import (ROOT, harness, machine, part_churn, part_cost, part_pause, part_peak, part_slowdown, part_start, part_truth,
                   peers, processes, profilers, pythons, report, rounds)

PARTS = {"peak": part_peak, "pause": part_pause, "slowdown": part_slowdown, "cost": part_cost, "start": part_start,
         "truth": part_truth, "churn": part_churn}
EXPLAINED = """parts:
  peak      thread-stacks per second at full speed, the kernel's floor, calls per tick
  pause     time lost and pause per sample, from the target's own view; an idle process
  slowdown  of a CPU-bound and of a gunicorn target
  cost      CPU and memory of the profilers
  start     start to first sample; delivered of asked samples
  truth     impossible stacks, depths of a recursion
  churn     throughput of a target whose threads and children come and go

First it runs `tools/setup bench` and `tools/pythons fetch 3.15`, where it is root, and installs the peers (py-spy, austin,
gunicorn) into $SAMPLER_CACHE/bench (~/.cache/sampler/bench). The machine should do nothing else meanwhile: the load before
and after is in the page."""


def say(text):
    """One line for who waits."""
    print("tools/bench: " + text, file=sys.stderr, flush=True)


def options(words):
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="Measures the sampler and its peers, alternating in one run.", epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="some 15 minutes for everything: few rounds, and only cells that the bars need")
    parser.add_argument("--only", action="append", choices=sorted(PARTS), metavar="PART", help="this part; may be repeated")
    parser.add_argument("--versions", default="", metavar="V,V", help="these Pythons only, such as 3.12,3.15")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds of each cell")
    parser.add_argument("--sampler", default=harness.sampler_binary(), metavar="PATH",
                        help="the program (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", default=os.path.join(ROOT, "build", "bench.json"),
                        help="write all rounds there, after each cell; what was there becomes FILE.before (default: %(default)s)")
    parser.add_argument("--markdown", metavar="FILE", help="write the page there (default: standard output)")
    parser.add_argument("--from-json", action="append", metavar="FILE",
                        help="measure nothing, make the page; of several files, a later one's parts replace an earlier one's")
    return parser.parse_args(words)


def find_pythons():
    """{version: Python} of the first of each version, oldest first; none with musl, which the peers do not support."""
    found = {}
    for executable in pythons.candidates():
        try:
            python = pythons.ask(executable) if os.path.exists(executable) else None
        except (OSError, ValueError, processes.subprocess.SubprocessError) as error:
            say("%s does not run: %s" % (executable, error))
            continue
        if python and not python.musl and not python.free_threaded:
            found.setdefault(python.version, python)
    return dict(sorted(found.items(), key=lambda pair: tuple(map(int, pair[0].split(".")))))


def measure(asked, command):
    """All data of a run; written after each cell, so that no end of the run loses much."""
    peers.prepare(say)
    peers.install(say)
    found = find_pythons()
    known, missing = profilers.find(asked.sampler, found.get("3.15"))
    known = [each for each in known if each.in_quick_runs or not asked.quick]
    data = {"machine": machine.facts(), "versions": machine.versions(asked.sampler, found),
            "profilers": profilers.explained(known), "parts": {}, "missing": missing, "rows": []}
    for what in missing:
        say("missing: " + what)
    before = machine.load()
    if before[0] > report.QUIET:
        say("the machine is busy (load %s): the numbers will not count" % before[0])
    directory = tempfile.mkdtemp(prefix="sampler-bench-")
    os.chmod(directory, 0o755)
    try:
        for name in asked.only or PARTS:
            versions = [version for version in asked.versions.split(",") if version]
            bench = rounds.Bench(known, found, directory, say, asked.quick, asked.rounds, versions)
            run = {"began": peers.date(), "load_before": before, "command": command}
            save = functools.partial(write_so_far, asked.json, data, name, run, bench)
            bench.after_cell = save
            try:
                PARTS[name].measure(bench)
            except (KeyboardInterrupt, SystemExit) as end:
                bench.lack("part %s: interrupted" % name)
                data["interrupted"] = end.code if isinstance(end, SystemExit) else 130
                say("interrupted; what was measured is kept")
                break
            finally:
                save()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return data


def write_so_far(path, data, name, run, bench):
    """Puts what a part has measured so far into the data, and writes all."""
    data["parts"][name] = {**run, "ended": peers.date(), "load_after": machine.load()}
    data["rows"] = [row for row in data["rows"] if row["of"] != name] + [{"of": name, **row} for row in bench.rows]
    data["missing"] += [what for what in bench.missing if what not in data["missing"]]
    write_json(path, data)


def write_json(path, data):
    """Writes all data, whole or not at all."""
    with open(path + ".new", "w") as file:
        # A line for each row: such a file can be compared and searched.
        head = json.dumps({key: value for key, value in data.items() if key != "rows"}, indent=1)
        rows = ",\n".join(json.dumps(row) for row in data["rows"])
        file.write("%s,\n \"rows\": [\n%s\n]}\n" % (head.rstrip()[:-1].rstrip(), rows))
    os.replace(path + ".new", path)


def make_room(path):
    """Makes the directory of the data, and keeps what an earlier run wrote there; told now, not after hours."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    if os.path.exists(path):
        os.replace(path, path + ".before")
    with open(path + ".new", "w"):
        os.unlink(path + ".new")


def merged(all_data):
    """One run's data of several: the newest machine and versions, each part from the last that has it."""
    total = {"parts": {}, "missing": [], "rows": []}
    for data in all_data:
        total["machine"] = data["machine"]
        for key in ("versions", "profilers"):
            total[key] = {**total.get(key, {}), **data[key]}
        total["parts"].update(data["parts"])
        total["missing"] += [what for what in data["missing"] if what not in total["missing"]]
        total["rows"] = [row for row in total["rows"] if row["of"] not in data["parts"]] + data["rows"]
    return total


def read_json(path):
    """The data of an earlier run."""
    with open(path) as file:
        return json.load(file)


def write_page(path, text):
    """Writes the page to a file, or to standard output."""
    if path:
        with open(path, "w") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


def main(words):
    """Runs the command; its exit status."""
    asked = options(words)
    if asked.from_json:
        data = merged([read_json(path) for path in asked.from_json])
    else:
        if not os.access(asked.sampler, os.X_OK):
            say("no program %s; tools/test builds it, --sampler names another" % asked.sampler)
            return 1
        try:
            make_room(asked.json)
        except OSError as error:
            say("cannot write there: %s" % error)
            return 1
        processes.end_on_signals()
        try:
            data = measure(asked, shlex.join(["tools/bench"] + words))
        except processes.Failed as failure:
            say(str(failure))
            return 1
    write_page(asked.markdown, report.page(data))
    return data.get("interrupted", 0)
