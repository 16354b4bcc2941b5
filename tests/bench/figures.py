"""Arithmetic of the benchmark: medians with their spread, what pauses add to a clock's gaps, distances of histograms."""
import bisect
import statistics


def spread(values):
    """(median, least, most) of the values that are there; None where there is none."""
    values = [value for value in values if value is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


def quantile(values, share):
    """The value that `share` of them do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered), -int(-share * len(ordered) // 1)) - 1)] if ordered else None


def excess_quantile(with_it, without, pauses, share, weight=1.0):
    """A quantile of the pauses that one window's gaps hold more than those of quiet windows; None below all gaps.

    The gaps of quiet windows (interrupts, other programs) are in the other window too, and nothing tells there which
    are which. But the number of gaps of at least x that the pauses caused is the difference of both numbers. It is taken
    from the longest on, where quiet windows have few. A pause too short to be a gap is counted in `pauses` all the same.
    `weight` is the window's length as a share of the quiet ones'.
    """
    without = sorted(without)
    wanted = (1 - share) * pauses
    for count, gap in enumerate(sorted(with_it, reverse=True), 1):
        if count - weight * (len(without) - bisect.bisect_left(without, gap)) >= wanted:
            return gap
    return None


def total_variation(one, other):
    """Half the sum of the differences of two histograms' shares: 0 (the same) to 1; None where one is empty."""
    one_total, other_total = sum(one.values()), sum(other.values())
    if not one_total or not other_total:
        return None
    return sum(abs(one.get(key, 0) / one_total - other.get(key, 0) / other_total) for key in {*one, *other}) / 2


def added(histograms):
    """One histogram of several."""
    total = {}
    for histogram in histograms:
        for key, count in histogram.items():
            total[key] = total.get(key, 0) + count
    return total


def ratios(ours, theirs):
    """Ratios round by round: {round: value} by {round: value}; rounds that one of them lacks are left out."""
    return [ours[turn] / theirs[turn] for turn in sorted(ours) if theirs.get(turn) and ours[turn] is not None]
