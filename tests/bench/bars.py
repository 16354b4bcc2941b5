"""The bars that the project sets itself, from the rows of a run: each is a measured number, a bar, and whether it is met."""
import collections
import statistics

from bench import figures

Bar = collections.namedtuple("Bar", "measure case value bar met")
MISSING = "not measured"


class Rows:
    """The rows of a run, to choose from."""

    def __init__(self, rows):
        self.rows = rows
        self.tools = {row["tool"] for row in rows}

    def of(self, part, tool, **cell):
        """The rows of one tool and cell that did not fail."""
        return [row for row in self.rows if row["part"] == part and row["tool"] == tool and "error" not in row and
                all(row.get(key) == value for key, value in cell.items())]

    def cells(self, part, *keys):
        """The different values of these keys in a part, in their first order."""
        return list(dict.fromkeys(tuple(row.get(key) for key in keys) for row in self.rows if row["part"] == part))

    def by_round(self, part, tool, key, **cell):
        """{round: value} of one tool and cell."""
        return {row["round"]: row.get(key) for row in self.of(part, tool, **cell)}

    def values(self, part, tool, key, **cell):
        """The values of one tool and cell that are there."""
        return [row[key] for row in self.of(part, tool, **cell) if row.get(key) is not None]

    def ours(self, hold):
        """The name of ours with this way to hold; the default's where that is it, or the sampler had none to choose."""
        name = "sampler " + hold
        return name if name in self.tools else "sampler"


def shown(values, form):
    """Median and spread, in one form."""
    found = figures.spread(values)
    if found is None:
        return MISSING
    median, least, most = found
    if least == most:
        return form % median
    return "%s (%s..%s)" % tuple(form % value for value in (median, least, most))


def _judge(measure, case, values, form, bar_text, test):
    values = [value for value in values if value is not None]
    found = figures.spread(values)
    return Bar(measure, case, shown(values, form), bar_text, None if found is None else test(found[0]))


def at_least(measure, case, values, form, bar):
    """A bar that the median of the values has to reach."""
    return _judge(measure, case, values, form, ">= " + form % bar, lambda median: median >= bar)


def at_most(measure, case, values, form, bar):
    """A bar that the median of the values must not exceed."""
    return _judge(measure, case, values, form, "<= " + form % bar, lambda median: median <= bar)


def newer(version, than):
    """Whether a version such as 3.14 comes after (3, 13)."""
    return tuple(map(int, version.split("."))) > than


# --- the table ---------------------------------------------------------------------------------------------------

def all_bars(rows):
    """The table of bars, in their order; a bar without rows is not measured."""
    rows = Rows(rows)
    makers = (speed_against_austin, speed_against_cpython, speed_against_stoppers, against_floor, calls_a_tick, pauses,
              idle_process, time_lost, impossible, share_of_none, recursion, delivery, memory, start, churn)
    return shortened(bar for maker in makers for bar in maker(rows))


def shortened(found):
    """The bars, those that were not measured in one line for each measure."""
    kept, missing = [], collections.Counter()
    for bar in found:
        key = (bar.measure, bar.bar)
        if bar.value != MISSING:
            kept.append(bar)
        elif missing[key]:
            missing[key] += 1
        else:
            missing[key] = 1
            kept.append(key)
    return [bar if isinstance(bar, Bar) else Bar(bar[0], _cases(missing[bar]), MISSING, bar[1], None) for bar in kept]


def _cases(count):
    return "%d %s" % (count, "case" if count == 1 else "cases")


def _speed(rows, ours, theirs, bar, measure, **cell):
    mine = rows.by_round("peak", ours, "stacks_per_second", kind="recursion", activity="busy", **cell)
    other = rows.by_round("peak", theirs, "stacks_per_second", kind="recursion", activity="busy", **cell)
    case = "%s, depth %d, threads %d" % (cell["version"], cell["depth"], cell["threads"])
    return at_least("%s: %s / %s" % (measure, ours, theirs), case, figures.ratios(mine, other), "%.2fx", bar)


def speed_against_austin(rows):
    """Stacks per second of ours without a stop, by austin's."""
    for version, bar in (("3.10", 5), ("3.11", 8), ("3.12", 8), ("3.13", 8)):
        for depth in (10, 50):
            for threads in (1, 8):
                yield _speed(rows, rows.ours("none"), "austin", bar, "stacks/s", version=version, depth=depth,
                             threads=threads)


def speed_against_cpython(rows):
    """Stacks per second of ours without a stop, by those of CPython's own sampler."""
    for depth in (10, 50):
        for threads in (1, 8):
            yield _speed(rows, rows.ours("none"), "profiling.sampling", 6, "stacks/s", version="3.15", depth=depth,
                         threads=threads)


def speed_against_stoppers(rows):
    """Stacks per second of our default, by those of the profilers that stop their target."""
    versions = [version for version, in rows.cells("peak", "version")] or ["3.12"]
    for theirs, alone, among in (("py-spy", 10, 100), ("profiling.sampling --blocking", 2, 20)):
        for version in versions if theirs == "py-spy" else ["3.15"]:
            for threads, bar in ((1, alone), (33, among)):
                for depth in (10, 50):
                    yield _speed(rows, "sampler", theirs, bar, "stacks/s, default mode", version=version, depth=depth,
                                 threads=threads)


def against_floor(rows):
    """Stacks per second of ours without a stop, by those of bare reads of the same bytes."""
    name = rows.ours("none")
    for version, depth, threads, activity in rows.cells("peak", "version", "depth", "threads", "activity"):
        if depth not in (10, 50):
            continue
        for floor in ("floor, same pieces", "floor, one piece"):
            cell = {"version": version, "depth": depth, "threads": threads, "activity": activity, "kind": "recursion"}
            ratios = figures.ratios(rows.by_round("peak", name, "stacks_per_second", **cell),
                                    rows.by_round("peak", floor, "stacks_per_second", **cell))
            if ratios:
                yield at_least("stacks/s: %s / %s" % (name, floor),
                               "%s, depth %d, threads %d, %s" % (version, depth, threads, activity), ratios, "%.2fx", 0.5)


def calls_a_tick(rows):
    """process_vm_readv calls of one tick of a target in which nobody runs."""
    cells = rows.cells("calls", "version", "tool")
    if not cells:
        yield Bar("process_vm_readv calls per tick, steady, 8 threads, nobody runs", "", MISSING, "<= 2", None)
    for version, tool in cells:
        values = rows.values("calls", tool, "calls_per_tick", version=version, activity="idle")
        yield at_most("process_vm_readv calls per tick, steady, 8 threads, nobody runs: " + tool, version, values, "%g", 2)


def _holders(rows):
    return list(dict.fromkeys(("sampler", rows.ours("ptrace"), rows.ours("preempt"))))


def pauses(rows):
    """How much longer than a bare stop a sample stops the thread that holds the GIL."""
    for version, threads in rows.cells("pause", "version", "threads") or [("3.12", 33)]:
        cell = {"version": version, "threads": threads, "hz": 1000}
        bare = rows.by_round("pause", "bare stop", "pause_median_us", **cell)
        for tool in _holders(rows):
            mine = rows.by_round("pause", tool, "pause_median_us", **cell)
            # Both medians are of one round; where none of the pauses is a gap there is none to speak of.
            more = [mine[turn] - bare[turn] for turn in mine if mine[turn] is not None and bare.get(turn) is not None]
            yield at_most("pause of a running holder at 1 kHz, median, more than the bare stop: " + tool,
                          "%s, threads %d" % (version, threads), more, "%.1f us", 10)


def idle_process(rows):
    """Whether a process in which nobody runs is left alone."""
    for version, threads, tool in rows.cells("idle", "version", "threads", "tool"):
        if tool.startswith("sampler"):
            yield at_most("switches of an idle process in 2 s at 1 kHz: " + tool, "%s, threads %d" % (version, threads),
                          rows.values("idle", tool, "switches", version=version, threads=threads), "%d", 0)


def time_lost(rows):
    """The share of its time that a busy thread loses."""
    for version, threads, hz in rows.cells("pause", "version", "threads", "hz") or [("3.12", 33, 100)]:
        if hz not in (100, 1000):
            continue
        cell = {"version": version, "threads": threads, "hz": hz}
        case = "%s, threads %d, %d Hz" % (version, threads, hz)
        for tool in _holders(rows):
            lost = [100 * value for value in rows.values("pause", tool, "lost_share", **cell)]
            yield at_most("time lost by a busy thread: " + tool, case, lost, "%.2f %%", 0.5 if hz == 100 else 4)
        if rows.ours("none") != "sampler":
            noise = quiet_noise(rows, cell)
            lost = [100 * value for value in rows.values("pause", "sampler none", "lost_share", **cell)]
            yield at_most("time lost by a busy thread, within the noise (twice the median difference of a quiet window "
                          "from the next): sampler none", case, lost if noise is not None else [], "%.3f %%", noise or 0)


def quiet_noise(rows, cell):
    """Twice the median difference between the quiet windows around each profiler's, in per cent of the time.

    The number of rows does not change it, nor do a few windows that something else has disturbed.
    """
    found = [100 * abs(row["quiet_difference"]) for row in rows.rows if row["part"] == "pause" and
             "quiet_difference" in row and all(row.get(key) == value for key, value in cell.items())]
    return 2 * statistics.median(found) if found else None


def _pooled(rows, tool, version):
    found = rows.of("chains", tool, version=version)
    stacks = sum(row["stacks"] for row in found)
    return stacks, sum(row["impossible"] for row in found)


def impossible(rows):
    """Impossible stacks of the ways to hold that prove theirs."""
    for version, in rows.cells("chains", "version") or [("every version",)]:
        for tool in dict.fromkeys((rows.ours("ptrace"), rows.ours("preempt"))):
            stacks, wrong = _pooled(rows, tool, version)
            value = "%d of %d" % (wrong, stacks) if stacks else MISSING
            met = None if not stacks else wrong == 0 and stacks >= 100000
            if stacks and wrong == 0 and stacks < 100000:
                value, met = value + " (too few to tell)", None
            yield Bar("impossible stacks on the chains: " + tool, version, value, "0 in 100,000", met)


def share_of_none(rows):
    """The share of impossible stacks without a stop, and austin's."""
    for version, in rows.cells("chains", "version") or [("every version",)]:
        stacks, wrong = _pooled(rows, "sampler none", version)
        theirs, theirs_wrong = _pooled(rows, "austin", version)
        measure = "impossible stacks on the chains: sampler none, against a tenth of austin's share"
        if not stacks or not theirs:
            yield Bar(measure, version, MISSING, "", None)
            continue
        share, bar = 100 * wrong / stacks, 10 * theirs_wrong / theirs
        yield Bar(measure, version, "%.3f %% of %d" % (share, stacks), "<= %.3f %% (of %d)" % (bar, theirs), share <= bar)


def recursion(rows):
    """Torn stacks without a stop, and how far their depths are from the truth."""
    for version, in rows.cells("recursion", "version") or [("every version",)]:
        found = rows.of("recursion", "sampler none", version=version)
        truth = rows.of("recursion", rows.ours("ptrace"), version=version)
        torn = [100 * row["torn_share"] for row in found if row.get("torn_share") is not None]
        yield at_most("recursion, <torn> leaves, of all its stacks: sampler none", version, torn, "%.2f %%", 5)
        if version == "every version":
            continue
        bar = 6 if newer(version, (3, 13)) else 3
        distance = figures.total_variation(pooled(found), pooled(truth))
        noise = self_distance(truth)
        yield at_most("recursion, depths against the stopped truth, torn ones left out: sampler none%s" % (
            " (the truth against itself: %.2f %%)" % (100 * noise) if noise is not None else ""), version,
            [100 * distance] if distance is not None else [], "%.2f %%", bar)


def pooled(found, key="depths"):
    """One histogram of rounds; JSON made its keys text."""
    return figures.added([{int(depth): count for depth, count in row[key].items()} for row in found if key in row])


def self_distance(found):
    """Total variation between the even and the odd rounds of one tool: what chance alone makes."""
    return figures.total_variation(pooled([row for row in found if row["round"] % 2 == 0]),
                                   pooled([row for row in found if row["round"] % 2 == 1]))


def delivery(rows):
    """Ticks on time, of those asked for."""
    for version, in rows.cells("delivery", "version") or [("3.12",)]:
        for tool in (rows.ours("ptrace"), rows.ours("preempt")):
            found = rows.of("delivery", tool, version=version, hz=1000)
            late = [100 * row["late_stops"] / row["asked"] for row in found if row.get("asked") and "late_stops" in row]
            # A tick whose thread stops late, within 100 ms, counts as taken: how many did is said beside it.
            case = version + (", stops that came late: %s of those asked" % shown(late, "%.2f %%") if late else "")
            values = [100 * row["delivered"] for row in found if row.get("delivered") is not None]
            yield at_least("ticks delivered on time, 1 kHz, 4 busy threads: " + tool, case, values, "%.2f %%", 99)


def memory(rows):
    """Most memory of a long recording."""
    for version, length in rows.cells("memory", "version", "length") or [("3.12", 300)]:
        for tool in list(dict.fromkeys(("sampler", rows.ours("none")))):
            values = [value * 1024 / 1e6 for value in
                      rows.values("memory", tool, "peak_kib", version=version, stacks_are="few")]
            yield at_most("most memory, %d s x 100 Hz x 150 frames: %s" % (length, tool), version, values, "%.1f MB", 16)


def start(rows):
    """How soon the first sample is there."""
    for version, in rows.cells("start", "version") or [("3.12",)]:
        yield at_most("start to first sample, process of 1 thread: sampler", version,
                      rows.values("start", "sampler", "first_ms", version=version), "%.1f ms", 10)


def churn(rows):
    """What a target with churn still does, and how long it is stopped."""
    for version, in rows.cells("churn", "version") or [("3.12",)]:
        for tool in _holders(rows):
            done = [100 * value for value in rows.values("churn", tool, "throughput", version=version)]
            yield at_least("throughput under churn, 100 Hz: " + tool, version, done, "%.1f %%", 98)
            yield at_most("stops under churn, 99th percentile, as the sampler sees it: " + tool, version,
                          rows.values("churn", tool, "stop_p99_us", version=version), "%.0f us", 200)
