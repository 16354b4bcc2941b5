"""Shapes that need Python 3.8."""


def walrus(park):
    while (value := [
        park()
    ]):
        return value


def positional_only(park, /, other=None):
    return park(
        other
    )


def jump_in_finally(park):
    for _ in range(2):
        try:
            continue
        finally:
            park()


SHAPES = [walrus, positional_only, jump_in_finally]
