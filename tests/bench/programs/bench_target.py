"""The benchmark's side of a target: like tests/targets/control.py, and it ends with the benchmark. Runs on 2.7 too."""
import ctypes
import os
import sys
import threading
import time

from control import gettid, listen, ready, say  # noqa: F401

# PR_SET_PDEATHSIG, SIGKILL: a target that spins would not see its closed pipe.
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == 1:
    os._exit(0)

waiting = []


def frames_here():
    """The number of Python frames of the caller."""
    frame, count = sys._getframe(1), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


def block():
    """Waits for ever, and is counted as waiting just before."""
    lock = threading.Lock()
    lock.acquire()
    waiting.append(gettid())
    lock.acquire()


def start(count, function, *arguments):
    """Starts threads that end in block(), and returns when all of them wait."""
    for _ in range(count):
        thread = threading.Thread(target=function, args=arguments)
        thread.daemon = True
        thread.start()
    while len(waiting) < count:
        time.sleep(0.001)
    time.sleep(0.05)  # the last one may still be on its way into its lock


def descend(kind, depth):
    """A function of no arguments and one argument: calls its argument at a stack of `depth` frames."""
    if kind == "recursion":
        return lambda leaf: recurse(depth - frames_here() - 1, leaf)
    functions = distinct(depth)
    return lambda leaf: functions[depth - frames_here() - 1](leaf)


def recurse(left, leaf):
    if left > 1:
        return recurse(left - 1, leaf)
    return leaf()


def distinct(count):
    """Functions of their own names: the one at N calls the one at N - 1, down to the leaf. Number 0 is not used."""
    lines = []
    for number in range(count + 1):
        callee = "level%d(leaf)" % (number - 1) if number > 1 else "leaf()"
        lines += ["def level%d(leaf):" % number, "    name = leaf", "    return " + callee]
    namespace = {}
    exec(compile("\n".join(lines) + "\n", "distinct.py", "exec"), namespace)
    return [namespace["level%d" % number] for number in range(count + 1)]
