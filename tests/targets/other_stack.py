"""LIBRARY WHERE WHAT: the main thread (`main`) or another (`thread`) runs on a stack that is not its own.

burn, held_burn: C computes there, without and with the GIL. block: C sleeps there, with the GIL. call: Python runs
there. leave: Python was called there, and C computes on the thread's own stack.
"""
import ctypes
import sys
import threading

import control

library, where, what = sys.argv[1:]
free, held = ctypes.CDLL(library), ctypes.PyDLL(library)
FUNCTION = ctypes.CFUNCTYPE(None)


def spin():
    while True:
        pass


def leave():
    held.leave()


callbacks = {"call": FUNCTION(spin), "leave": FUNCTION(leave)}


def outer():
    control.ready()
    if what == "burn":
        free.burn()
    elif what == "held_burn":
        held.burn()
    elif what == "block":
        held.block()
    elif what == "call":
        held.call(callbacks[what])
    else:
        held.call_and_burn(callbacks[what])


if where == "main":
    outer()
else:
    threading.Thread(target=outer).start()
