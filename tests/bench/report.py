"""The page of a run, from its data alone."""
from bench import bars

# Of each part: the keys that make a line, the value of a column, its form, and what has to be known of it.
TABLES = [
    ("peak", "Peak speed", ("kind", "depth", "threads", "activity"), "stacks_per_second", "%.0f", 1, "version",
     "Thread-stacks per second at full speed, of windows of one second; every thread is at the depth that is named, all its "
     "Python frames counted. `recursion` is one function, `distinct` as many functions as frames. `busy`: one thread "
     "spins in its leaf and the others wait; `idle`: all wait. The stacks stand still, which is the best case of whoever "
     "remembers the last one. `floor`: one bare process_vm_readv, repeated, of what our sampler (`none`) reads in a usual "
     "tick at this speed, as strace shows it, times the number of threads; `one piece` reads as many bytes from one place."),
    ("calls", "Calls per tick", ("version", "activity", "tool"),
     ("calls_per_tick", "mean_calls", "most_calls", "bytes_per_tick"), "%.4g", 1, None,
     "process_vm_readv calls and bytes of ours per tick at 100 Hz, as strace counts them; 8 threads, 10 frames each. Calls "
     "that follow each other within 2 ms are one tick."),
    ("pause", "Time lost by a busy thread", ("version", "threads", "hz"), "lost_share", "%.2f", 100, None,
     "Per cent of the time, as the target sees it: a thread reads a clock all the time, and its gaps above 5 us are added "
     "up, in windows with and without the profiler on one target. The difference is shown, so noise can make it "
     "negative. The other threads wait. `bare stop` seizes, interrupts and detaches the same thread at the same rate and "
     "reads nothing; as our sampler it has nice -20 where it may, spins for the stop for at most 50 us, and not at all "
     "where the thread was last on its own CPU. A profiler that cannot keep up with the rate loses less than it would at the rate (see the ticks below)."),
    ("pause", "Pause per sample, median", ("version", "threads", "hz"), "pause_median_us", "%.1f", 1, None,
     "Microseconds, as the target sees it: the median of what the windows with the profiler have in gaps more than those "
     "without. Empty where most samples cause no gap above 5 us."),
    ("pause", "Pause per sample, 99th percentile", ("version", "threads", "hz"), "pause_p99_us", "%.0f", 1, None,
     "Microseconds. At 100 Hz these are three pauses a window: only an indication."),
    ("pause", "Ticks per second reached meanwhile", ("version", "threads", "hz"), "ticks_per_second", "%.0f", 1, None,
     "Where a profiler counts stacks only (py-spy, austin), one tick is as many stacks as there are threads."),
    ("idle", "Context switches of an idle process", ("version", "threads", "hz"), "switches", "%d", 1, None,
     "Of all its threads within a recording of 2 s; 0 is a process that is never woken."),
    ("slowdown", "Slow-down", ("workload", "version", "threads", "hz"), "slowdown", "%.1f", 100, None,
     "Per cent longer, of pairs of runs of the same work with and without the profiler. `gunicorn`: one gthread worker with 32 "
     "threads under 8 clients on the same machine; what is lost to the profiler's own CPU time is in it."),
    ("cpu", "The profiler's own CPU", ("targets", "version", "threads", "activity"), "cpu_share", "%.2f", 100, None,
     "Per cent of one CPU at 100 Hz (user and system, of the whole program, its start included). 64 targets: 64 profilers, "
     "each of a process of one thread."),
    ("cpu", "The profiler's memory", ("targets", "version", "threads", "activity"), "peak_kib", "%.1f", 1024 / 1e6, None,
     "Most resident memory in MB; 64 targets: the sum."),
    ("memory", "Memory of a long recording", ("version", "depth", "stacks_are", "length"), "peak_kib", "%.1f", 1024 / 1e6,
     None,
     "Most resident memory in MB at 100 Hz, within `length` seconds. `few`: 8 different call paths; `many`: hardly a stack "
     "comes twice, the worst case of a profile that is kept in memory. All profilers ran at once, each on a target of its own."),
    ("memory", "Memory after a tenth of it", ("version", "depth", "stacks_are", "length"), "early_kib", "%.1f", 1024 / 1e6,
     None, "Resident memory in MB of the same recordings."),
    ("memory", "Memory at its end", ("version", "depth", "stacks_are", "length"), "late_kib", "%.1f", 1024 / 1e6, None,
     "The same, shortly before the end: what is flat in time has not grown."),
    ("memory", "CPU of a long recording", ("version", "depth", "stacks_are", "length"), "cpu_share", "%.2f", 100, None,
     "Per cent of one CPU, of the same."),
    ("start", "Start to first sample", ("version", "threads", "activity"), "first_ms", "%.1f", 1, None,
     "Milliseconds from the start of the program until its output of one moment's stacks names a function (`sampler -s 0`, "
     "`py-spy dump`, `austin --where`, `profiling.sampling dump`)."),
    ("start", "Start to end", ("version", "threads", "activity"), "end_ms", "%.1f", 1, None,
     "Milliseconds of the same runs to their end."),
    ("churn", "Throughput under churn", ("version", "hz"), "throughput", "%.1f", 100, None,
     "Per cent of the work that the main thread does without the profiler, windows with and without it alternating on one "
     "target: 1,000 threads a second are made and end, 300 children a second are started by vfork, and 500 native threads stand. It "
     "works in what this leaves it of the time, so what the churn loses is in it too."),
    ("churn", "Stops under churn, 99th percentile", ("version", "hz"), "stop_p99_us", "%.0f", 1, None,
     "Microseconds, as our sampler sees them."),
    ("churn", "Threads a second meanwhile", ("version", "hz"), "threads_per_second", "%.0f", 1, None,
     "Below 1,000 the target did not keep up."),
    ("delivery", "Delivered of asked", ("version", "threads", "hz"), "delivered", "%.2f", 100, None,
     "Per cent of the ticks that the rate asks for. 4 busy threads and one that waits. Ours: taken, not late, of its own count "
     "of those asked (one whose thread stopped only after the spin, at most 100 ms late, is taken); the others: what they "
     "counted, by rate and time."),
    ("delivery", "Stops that came late", ("version", "threads", "hz"), "late_stops", "%.0f", 1, None,
     "Of the same recordings, a round: ticks that count as taken, at a moment after the one asked for."),
    ("chains", "Impossible stacks", ("version",), "impossible_share", "%.3f", 100, None,
     "Per cent of the stacks of a thread that alternates between two chains of 20 calls, at full speed. A stack is impossible "
     "where its function names are not a beginning of one of the chains, below the thread's own frames; lines are not "
     "looked at. Stacks that the profiler itself marks as damaged are not counted as impossible."),
    ("chains", "Stacks that were judged", ("version",), "stacks", "%.0f", 1, None, "A round of one second."),
    ("chains", "Dropped", ("version",), "dropped_share", "%.1f", 100, None,
     "Per cent of the moments at which the main thread, which waits, is in the profile and the thread of the chains is not: a "
     "profiler that throws away what it could not read has few impossible stacks, and shows less of what runs."),
    ("chains", "Errors that it tells of itself", ("version",), "errors", "%.2f", 100, None,
     "Per cent of its samples (ours: of its ticks)."),
    ("chains", "Marked as damaged", ("version",), "marked", "%.0f", 1, None, "By the profiler itself, a round."),
    ("recursion", "Torn leaves of a recursion", ("version",), "torn_share", "%.2f", 100, None,
     "Per cent of all stacks of a thread that computes Fibonacci numbers, at 5 kHz: those that end in `<torn>`."),
    ("recursion", "Impossible stacks of a recursion", ("version",), "impossible_share", "%.3f", 100, None,
     "Per cent of the same: frames of the recursion without the thread's own above them, or none at all, and no mark "
     "says so."),
    ("recursion", "Stacks of a recursion marked as damaged", ("version",), "marked_share", "%.3f", 100, None,
     "Per cent of the same, by the profiler itself and other than `<torn>`."),
]
QUIET = 0.7  # load average of the last minute; a measurement wants an idle machine
HOLD_NOTE = ("`sampler` is the default way to hold a running thread; `sampler ptrace`, `preempt` and `none` are `--hold`. "
             "Its limit of overhead is off (`--max-overhead 0`), but for `sampler, overhead limited`. A quick run leaves out the "
             "one that is the default.")


def page(data):
    """The Markdown of one or more runs."""
    rows = data["rows"]
    lines = ["# Performance", "", "Made by `tools/bench`; do not edit.", ""]
    lines += ["## Machine", ""] + machine(data) + ["## Bars", ""] + bars_table(rows)
    lines += ["", "Each number is a median with its spread (least..most) over the rounds. " + HOLD_NOTE,
              "Ratios are taken round by round, each round having alternated between all profilers on one target.", ""]
    for part, title, keys, value, form, scale, by, text in TABLES:
        lines += section(rows, part, title, keys, value, form, scale, by, text)
    lines += distances(rows) + failures(data)
    return "\n".join(lines).rstrip() + "\n"


def machine(data):
    """The machine, the versions, the parts and how each profiler was run."""
    facts = data["machine"]
    lines = ["| | |", "|---|---|"]
    lines += ["| %s | %s |" % pair for pair in (
        ("CPU", "%s, %d cores%s" % (facts["cpu"], facts["cores"], ", virtual" if facts["virtual"] else "")),
        ("memory", "%s GiB" % facts["memory_gib"]), ("kernel", facts["kernel"]), ("system", facts["system"]),
        ("rights", "root" if facts["root"] else "not root"))]
    measured = {"CPython %s" % row.get("version") for row in data["rows"]}
    lines += ["| %s | %s |" % (what, version) for what, version in data["versions"].items()
              if not what.startswith("CPython") or what in measured]
    lines += ["| part %s | %s to %s, load %s before the run, %s after the part; `%s` |" % (
        name, run["began"], run["ended"], run["load_before"][0], run["load_after"][0], run["command"])
        for name, run in data["parts"].items()]
    busy = [name for name, run in data["parts"].items() if run["load_before"][0] > QUIET]
    if busy:
        lines += ["", "**The machine was busy with other things before %s: these numbers do not count.**" % ", ".join(busy)]
    lines += ["", "Run as (at 100 Hz, for 10 seconds; at full speed `--hz max`, a rate of 1,000,000, an interval of 1 us):",
              "", "| profiler | counts | command |", "|---|---|---|"]
    lines += ["| %s | %s | `%s` |" % (name, how["counts"], how["command"]) for name, how in data["profilers"].items()]
    return lines + [""]


def bars_table(rows):
    """The bars, as a table."""
    lines = ["| measure | case | measured | bar | met |", "|---|---|---|---|---|"]
    words = {True: "yes", False: "**no**", None: "-"}
    return lines + ["| %s | %s | %s | %s | %s |" % (bar.measure, bar.case, bar.value, bar.bar, words[bar.met])
                    for bar in bars.all_bars(rows)]


def section(rows, part, title, keys, value, form, scale, by, text):
    """One table; split by a key into several where `by` is given. Nothing where the part was not measured."""
    rows = [row for row in rows if row["part"] == part]
    if not rows:
        return []
    lines = ["## " + title, "", text, ""]
    for group in dict.fromkeys(row.get(by) for row in rows) if by else [None]:
        chosen = [row for row in rows if by is None or row.get(by) == group]
        if by:
            lines += ["### CPython " + group, ""]
        lines += (wide if isinstance(value, tuple) else table)(chosen, keys, value, form, scale) + [""]
    return lines


def wide(rows, keys, values, form, scale):
    """A line for each row, a column for each of several values."""
    lines = ["| %s |" % " | ".join((*keys, *(value.replace("_", " ") for value in values))),
             "|" + "---|" * (len(keys) + len(values))]
    for row in rows:
        shown = ["failed" if "error" in row else form % (scale * row[value]) for value in values]
        lines.append("| %s |" % " | ".join([str(row.get(key)) for key in keys] + shown))
    return lines


def table(rows, keys, value, form, scale):
    """A line for each cell, a column for each tool; median and spread."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    tools.sort(key=lambda tool: (not tool.startswith("sampler"), "floor" in tool or "bare" in tool))
    cells = list(dict.fromkeys(tuple(row.get(key) for key in keys) for row in rows))
    lines = ["| %s |" % " | ".join([key.replace("_", " ") for key in keys] + tools), "|" + "---|" * (len(keys) + len(tools))]
    for cell in cells:
        of_cell = [row for row in rows if tuple(row.get(key) for key in keys) == cell]
        shown = [entry([row for row in of_cell if row["tool"] == tool], value, form, scale) for tool in tools]
        lines.append("| %s |" % " | ".join([str(part) for part in cell] + shown))
    return lines


def entry(rows, value, form, scale):
    """What a table says of one tool in one cell."""
    values = [scale * row[value] for row in rows if row.get(value) is not None]
    if values:
        return bars.shown(values, form) + (" (then failed)" if any("error" in row for row in rows) else "")
    return "failed" if any("error" in row for row in rows) else ""


def distances(rows):
    """How far everybody's depths of the recursion are from the stopped truth."""
    of_recursion = bars.Rows([row for row in rows if row["part"] == "recursion"])
    if not of_recursion.rows:
        return []
    truth_name = of_recursion.ours("ptrace")
    tools = list(dict.fromkeys(row["tool"] for row in of_recursion.rows))
    lines = ["## Depths of a recursion", "",
             "Total variation, in per cent, between a profiler's histogram of the number of frames and that of `%s`, all "
             "rounds together, at 5 kHz. Few samples make a distance of their own. For `%s` itself it is the distance of its "
             "even rounds from its odd ones: what chance makes. Torn, impossible and marked stacks are left out; `, torn "
             "too` counts torn ones at the depth that was left of them." % (truth_name, truth_name),
             "", "| version | %s |" % " | ".join(tools + ["sampler none, torn too"]), "|" + "---|" * (len(tools) + 2)]
    for version, in of_recursion.cells("recursion", "version"):
        truth = of_recursion.of("recursion", truth_name, version=version)
        found = {tool: of_recursion.of("recursion", tool, version=version) for tool in tools}
        values = [bars.self_distance(truth) if tool == truth_name else
                  bars.figures.total_variation(bars.pooled(found[tool]), bars.pooled(truth)) for tool in tools]
        of_none = found.get("sampler none", [])
        with_torn = bars.figures.added([bars.pooled(of_none), bars.pooled(of_none, "torn_depths")])
        values.append(bars.figures.total_variation(with_torn, bars.pooled(truth)))
        shown = ["%.2f" % (100 * value) if value is not None else "" for value in values]
        lines.append("| %s | %s |" % (version, " | ".join(shown)))
    return lines + [""]


def failures(data):
    """What is missing, and what failed with which words."""
    lines = ["## Missing and failed", ""]
    lines += ["- missing: " + what for what in data["missing"]]
    seen = {}
    for row in data["rows"]:
        if "error" in row:
            seen.setdefault((row["part"], row["tool"], row.get("version"), row["error"]), []).append(row)
    for (part, tool, version, error), failed in seen.items():
        lines.append("- %s, %s on %s, %d %s: %s" % (part, tool, version, len(failed), "times" if len(failed) > 1 else "time",
                                                     error.replace("|", "\\|")))
    uncovered = [row for row in data["rows"] if row.get("covered") is False]
    if uncovered:
        lines.append("- in %d runs of the slow-down the work took longer than the recording: these understate it"
                     % len(uncovered))
    return lines if len(lines) > 2 else lines + ["Nothing."]
