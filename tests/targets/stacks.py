"""Threads parked in every shape; the command `stacks` answers what the interpreter says of each thread.

The main thread is parked at module level inside a class body; a helper thread answers.
"""
import os
import sys
import threading
import time
import traceback

import control
import names
import shapes

SHAPES = shapes.SHAPES + names.SHAPES
if sys.version_info >= (3, 6):
    import shapes_py3
    SHAPES += shapes_py3.SHAPES
if sys.version_info >= (3, 8):
    import shapes_py38
    SHAPES += shapes_py38.SHAPES
if sys.version_info >= (3, 10):
    import shapes_py310
    SHAPES += shapes_py310.SHAPES
if sys.argv[1:] == ["quiet"]:
    SHAPES = [shape for shape in SHAPES if shape is not shapes.spinning]

parked_read, parked_write = os.pipe()
forever, never = os.pipe()
tids = {}


class Park(object):
    """Blocks its thread. Telling the helper and blocking share a line, so that the line is never in doubt."""

    def __call__(self, *arguments, **keywords):
        return self.announce(), os.read(forever, 1)

    def announce(self):
        os.write(parked_write, b".")


announcing = Park.announce.__code__


class ParkInLock(Park):
    def __init__(self):
        self.lock = threading.Lock()
        self.lock.acquire()

    def __call__(self, *arguments, **keywords):
        return self.announce(), self.lock.acquire()


def run(shape, park):
    tids[threading.current_thread().ident] = control.gettid()
    try:
        shape(park)
    except BaseException:
        control.say({"failed": traceback.format_exc()})


def answer(command):
    frames = sys._current_frames()
    control.say([[tids[ident], control.stack_of(frame)] for ident, frame in sorted(frames.items()) if ident in tids])


def serve(count):
    tids[threading.current_thread().ident] = control.gettid()
    while count > 0:
        count -= len(os.read(parked_read, count))
    # A thread that announced itself may still wait for the GIL inside announce().
    while any(frame.f_code is announcing for frame in sys._current_frames().values()):
        time.sleep(0.001)
    control.ready(threads=len(tids), helper=control.gettid(), cwd=os.getcwd(), library=os.__file__)
    while True:
        answer(control.listen())


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.daemon = True
    thread.start()


sys.setrecursionlimit(12000)
for number, each in enumerate(SHAPES):
    # 10,000 frames of the older Pythons need some 6 MB of C stack; only one thread is that deep.
    threading.stack_size(256 << 20 if getattr(each, "__name__", "") == "shape" else 1 << 20)
    start(run, each, Park() if number % 2 else ParkInLock())
start(serve, len(SHAPES) + 1)


class Main(object):
    tids[threading.current_thread().ident] = control.gettid()
    parked = (
        1,
        Park()())
