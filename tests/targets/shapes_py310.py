"""Shapes that need Python 3.10."""
import types


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


class Watched:
    def __init__(self, park):
        self.park = park

    @property
    def x(self):
        return self.park()


def match_body(park):
    match Point(1, 2):
        case Point(1, 3):
            pass
        case Point(
            x=1,
            y=2
        ):
            park()


def match_guard(park):
    match [1, 2]:
        case [1, *rest] if (
            park(rest)
        ):
            pass


def match_pattern(park):
    match Watched(park):
        case Watched(
            x=1
        ):
            pass


def with_parentheses(park):
    with (
        open("/dev/null") as first,
        open("/dev/null") as second,
    ):
        park(first, second)


def no_line(park):
    """A function none of whose instructions belongs to a line."""
    def lineless():
        park()
    code = lineless.__code__
    if hasattr(code, "co_qualname"):
        # Entries of kind 15 (no location), each for eight code units.
        table = b"\xff" * (len(code.co_code) // 16 + 1)
    else:
        table = b"\xfe\x80" * (len(code.co_code) // 254 + 1)
    made = types.FunctionType(code.replace(co_linetable=table), globals(), "lineless", None, lineless.__closure__)
    return made()


SHAPES = [match_body, match_guard, match_pattern, with_parentheses, no_line]
