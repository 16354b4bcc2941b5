"""The source of a call chain: a1 calls a2, and so on. On 2.7 and 3.6 on."""

DEPTH = 20


def source(letter):
    """Functions of three lines: the leaf part of each stands on lines 1 to 3, a call on line 3."""
    lines = []
    for level in range(1, DEPTH + 1):
        call = "%s%d(y)" % (letter, level + 1) if level < DEPTH else "y"
        lines += ["def %s%d(x):" % (letter, level), "    y = x + 1", "    return " + call]
    return "\n".join(lines) + "\n"
