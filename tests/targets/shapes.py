# coding: utf-8
"""Ways for a frame to stand at a line, for every supported Python. Each shape ends in park(), which blocks."""
import contextlib
import functools
import itertools


def identity(*arguments):
    return arguments


def multi_line_call(park):
    return identity(
        1,
        park(
            "one",
            "two",
        ),
        3,
    )


def backward_line(park):
    value = (
        identity(1)
        or 2
    ) and [
        park,
        identity,
    ][
        0
    ](
        identity(
            5
        )
    )
    return value


def binary_over_lines(park):
    return (1 +
            2 +
            len(park()) +
            4)


def decorating(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)
    return inner


@decorating
@decorating
def decorated(park):
    return park()


def decorator_line(park):
    def of(_):
        park()

    @of
    def never():
        pass
    return never


def default_argument(park):
    def made(a=1,
             b=park()):
        return a, b
    return made


def list_comprehension(park):
    return [
        park(item)
        for item in (1,)
        if item
    ]


def generator_expression(park):
    return list(
        park(item)
        for item in (1,)
    )


def dict_comprehension(park):
    return {
        key: value
        for key in (1,)
        for value in [park()]
    }


class Manager(object):
    def __init__(self, park_in, park):
        self.park_in, self.park = park_in, park

    def __enter__(self):
        return self.park() if self.park_in == "enter" else self

    def __exit__(self, *what):
        if self.park_in == "exit":
            self.park()


def with_body(park):
    with Manager("", park), \
            Manager("", park) as manager:
        manager.park()


def with_enter(park):
    with Manager("enter", park):
        pass


def with_exit(park):
    with Manager("exit", park):
        identity()


def with_exit_on_error(park):
    try:
        with Manager("exit", park):
            raise ValueError()
    except ValueError:
        pass


@contextlib.contextmanager
def managed(park):
    try:
        yield park
    finally:
        park()


def context_generator(park):
    with managed(park):
        identity()


def try_finally(park):
    try:
        identity()
    finally:
        park()


def try_finally_return(park):
    try:
        return identity()
    finally:
        park()


def try_except(park):
    try:
        raise KeyError(1)
    except (ValueError,
            KeyError):
        park()
    else:
        identity()


def try_else(park):
    try:
        identity()
    except ValueError:
        pass
    else:
        park()


def loops(park):
    for index in range(3):
        while True:
            if index == 2:
                park()
            break
    else:
        identity()


def generator(park):
    yield 1
    yield park()


def in_generator(park):
    for value in generator(park):
        identity(value)


def nested_generators(park):
    def inner():
        for value in generator(park):
            yield value

    def outer():
        for value in inner():
            yield (value,
                   1)
    return list(
        outer())


def a_lambda(park):
    function = (lambda:
                park())
    return function()


def lambdas(park):
    return (lambda f: (lambda g:
                       g())(f))(park)


def closure(park):
    held = [park]

    def inner():
        def innermost():
            return held[0]()
        return innermost()
    return inner()


def class_body(park):
    class Body(object):
        first = 1

        second = park()
    return Body


class Methods(object):
    park = None

    def __init__(self, park):
        self.park = park

    def method(self):
        return self.park()

    @classmethod
    def of_class(cls, park):
        return cls(park).method()

    @staticmethod
    def of_nobody(park):
        return Methods.of_class(park)

    @property
    def attribute(self):
        return self.park()

    def __getitem__(self, item):
        return self.attribute

    def __lt__(self, other):
        self[0]
        return True

    def __call__(self):
        return self < 1


def methods(park):
    return Methods.of_nobody(park)


def operators(park):
    return Methods(park)()


class Constructed(object):
    def __init__(self, park):
        park()


def constructor(park):
    return Constructed(
        park)


def through_c(park):
    def key(item):
        return sorted([item], key=other)

    def other(item):
        return functools.partial(park, item)()
    return max([1], key=key)


def through_map(park):
    return list(map(lambda item: list(map(park, [item])), [1]))


def big_gap(park):
    """park() comes more than 255 lines below its statement's start and its code's first line."""
    namespace = {"park": park, "identity": identity}
    source = "def gap():\n    identity()\n" + "\n" * 300 + "    identity(1,\n" + "\n" * 400 + "    park())\n"
    exec(compile(source, "/made/up/big_gap.py", "exec"), namespace)
    return namespace["gap"]()


def backward_gap(park):
    namespace = {"park": park, "identity": identity}
    source = "def back():\n    return park(\n" + "\n" * 300 + "    identity(1))\n"
    exec(compile(source, "/made/up/backward_gap.py", "exec"), namespace)
    return namespace["back"]()


def long_function(park):
    """A function of 3,000 lines, parked in its line 2,901."""
    namespace = {"park": park}
    body = ["    x = %d" % number if number != 2900 else "    park()" for number in range(3000)]
    exec(compile("def long(x):\n" + "\n".join(body) + "\n", "/made/up/long_function.py", "exec"), namespace)
    return namespace["long"](0)


def wide_expression(park):
    """A call that stands behind more than 65,536 bytes of instructions on one line."""
    namespace = {"park": park}
    source = "def wide(x):\n    return ([" + "x, " * 40000 + "],\n park())\n"
    exec(compile(source, "/made/up/wide_expression.py", "exec"), namespace)
    return namespace["wide"](0)


def from_string(park):
    exec(compile("\n\npark()\n", "<string>", "exec"), {"park": park})


def by_eval(park):
    return eval("[\npark()]", {"park": park})


def unstarted_lines(park):
    """The code says that it starts at line 70,000."""
    exec(compile("\n" * 70000 + "park()\n", "/made/up/far.py", "exec"), {"park": park})


def recursion(depth):
    def recurse(park, left):
        if left > 0:
            return recurse(park, left - 1)
        return park()

    def shape(park):
        return recurse(park, depth)
    return shape


def recursion_through_c(depth):
    def recurse(park, left):
        if left > 0:
            return max([left - 1], key=functools.partial(recurse, park))
        park()
        return 0

    def shape(park):
        return recurse(park, depth)
    return shape


def spinning(park):
    """Never blocks: stays on one line, busy."""
    for _ in itertools.chain([park.announce()], itertools.count()): pass  # noqa: E701


SHAPES = [
    multi_line_call, backward_line, binary_over_lines, decorated, decorator_line, default_argument, list_comprehension,
    generator_expression, dict_comprehension, with_body, with_enter, with_exit, with_exit_on_error, context_generator,
    try_finally, try_finally_return, try_except, try_else, loops, in_generator, nested_generators, a_lambda, lambdas,
    closure, class_body, methods, operators, constructor, through_c, through_map, big_gap, backward_gap, long_function,
    wide_expression, from_string, by_eval, unstarted_lines, spinning,
    recursion(10), recursion(100), recursion(1000), recursion(10000), recursion_through_c(100),
]
