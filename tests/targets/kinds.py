"""Two alternating call chains in a thread, of every kind of call there is; the main thread listens.

A function, a method, a property, a subscript, a call with *args, one with keywords, a generator, a class, two functions
that C calls: LEVELS in test_hold.py. All of chain a is in the file a.py, all of b in b.py.
"""
import threading

import control

SOURCE = """
class Holder(object):
    def call_method(self, x):
        return self.call_property

    @property
    def call_property(self):
        return self[4]

    def __getitem__(self, x):
        return call_with_arguments(*(x,))

def call_function(x):
    return holder.call_method(x)

def call_with_arguments(x):
    return call_with_keyword(y=x)

def call_with_keyword(y):
    total = 0
    for each in call_generator(y):
        total += each.value
    return total

def call_generator(x):
    yield Made(x)
    yield Made(x)

class Made(object):
    def __init__(self, x):
        self.value = call_sorted(x)

def call_sorted(x):
    return sorted([1, x], key=call_map)[0]

def call_map(x):
    return sum(map(call_leaf, (x, x)))

def call_leaf(x):
    return leaf(x)

def leaf(x):
    y = x + 1
    return y

holder = Holder()
"""


def chain(letter):
    namespace = {}
    exec(compile(SOURCE, letter + ".py", "exec"), namespace)
    return namespace["call_function"]


def spin(started, a=chain("a"), b=chain("b")):
    started.set()
    while True:
        a(1)
        b(1)


def main():
    started = threading.Event()
    thread = threading.Thread(target=spin, args=(started,))
    thread.daemon = True
    thread.start()
    started.wait()
    control.ready()
    control.listen()


main()
