"""Two greenlets that switch at the leaf of a chain of 20 calls each, a1..a20 below run_a and b1..b20 below run_b."""
import greenlet

import control
from chain_source import source


def switch(y):
    other_of[greenlet.getcurrent()].switch()
    return y


def chain(letter):
    functions = {"switch": switch}
    exec(compile(source(letter).replace("return y\n", "return switch(y)\n"), letter + ".py", "exec"), functions)
    return functions[letter + "1"]


a1, b1 = chain("a"), chain("b")


def run_a():
    while True:
        a1(1)


def run_b():
    while True:
        b1(1)


a, b = greenlet.greenlet(run_a), greenlet.greenlet(run_b)
other_of = {a: b, b: a}
control.ready()
a.switch()
