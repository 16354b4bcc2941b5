"""HOW [THREADS]: a child of a fork that CPython was not told of (`libc`), nor glibc (`syscall`); `told` is one that it was.

The parent has so many more threads, which the child does not have. The child is ready, and does what it is told: `spin`,
or `threads`, which has it make two threads, `spin_new` and `wait_new`, and wait.
"""
import ctypes
import os
import signal
import sys
import threading

import control

forever, never = os.pipe()
how, count = sys.argv[1], int(sys.argv[2])
libc = ctypes.PyDLL(None)  # holds the GIL, as a C program's own call does


def wait_old(started):
    started.set()
    os.read(forever, 1)


def wait_new():
    tids["wait_new"] = control.gettid()
    os.read(forever, 1)


def spin_new():
    tids["spin_new"] = control.gettid()
    while True:
        pass


def spin():
    while True:
        pass


def child():
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    control.ready(pid=os.getpid(), pipe=forever)
    if control.listen() == "spin":
        spin()
    for function in (wait_new, spin_new):
        thread = threading.Thread(target=function)
        thread.daemon = True
        thread.start()
    while len(tids) < 2:
        pass
    control.say(tids)
    os.read(forever, 1)


tids = {}
for _ in range(count):
    event = threading.Event()
    old = threading.Thread(target=wait_old, args=(event,))
    old.daemon = True
    old.start()
    event.wait()
pid = {"libc": libc.fork, "syscall": lambda: libc.syscall(57), "told": os.fork}[how]()
if pid == 0:
    child()
else:
    os.waitpid(pid, 0)
