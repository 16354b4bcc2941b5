"""The main thread computes, and sits in vfork for 500 ms whenever it is told to; another thread waits on a pipe.

The argument is the library made from slow_vfork.c. PyDLL keeps the GIL held, as CPython's own subprocess does.
"""
import ctypes
import os
import select
import sys
import threading

import control

slow = ctypes.PyDLL(sys.argv[1])
forever, never = os.pipe()
tids = {}


def parked(started):
    tids["parked"] = control.gettid()
    started.set()
    os.read(forever, 1)


def compute():
    sum(range(200000))


def in_vfork():
    slow.slow_vfork(500)


event = threading.Event()
thread = threading.Thread(target=parked, args=(event,))
thread.daemon = True
thread.start()
event.wait()
control.ready(parked=tids["parked"])
while True:
    compute()
    if select.select([0], [], [], 0)[0]:
        control.listen()
        in_vfork()
        control.say("back")
