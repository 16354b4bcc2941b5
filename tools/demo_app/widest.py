"""Says which functions of a folded profile are the widest: python3 widest.py FILE"""

import collections
import re
import sys

SHOWN = 5


def function_of(frame):
    """A frame without its line, so that the lines of one function add up."""
    return re.sub(r":\d+\)$", ")", frame)


def widths(lines):
    own, total, samples = collections.Counter(), collections.Counter(), 0
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        functions = [function_of(frame) for frame in stack.split(";")]
        own[functions[-1]] += int(count)
        for function in set(functions):
            total[function] += int(count)
        samples += int(count)
    return own, total, samples


def show(heading, counts, samples):
    print(heading)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for function, count in ranked[:SHOWN]:
        print(f"  {100 * count / samples:5.1f} %  {function}")


def main(path):
    with open(path, encoding="utf-8") as file:
        own, total, samples = widths(file)
    if samples == 0:
        print(f"{path} holds no samples", file=sys.stderr)
        return 1
    print(f"{samples} samples")
    # The outermost functions hold nearly every sample; those that tell something are below them.
    telling = {name: count for name, count in total.items() if count < 0.95 * samples}
    show("widest by their own time:", own, samples)
    show("widest with all they call:", telling or total, samples)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
