"""Computes in two threads and ends in the way that the command names, or not at all.

Commands: exit, raise, exec, fork, crash, kill. `fork` answers the child's pid; both go on.
"""
import ctypes
import os
import signal
import sys
import threading

import control


def compute(depth):
    if depth > 0:
        return compute(depth - 1) + 1
    return sum(range(100))


def spin():
    while True:
        compute(10)


def ends(how):
    if how == "exit":
        os._exit(0)
    if how == "raise":
        raise SystemExit(0)
    if how == "exec":
        os.execv("/bin/sleep", ["sleep", "1000"])
    if how == "crash":
        ctypes.string_at(1)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "fork":
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            spin()
        control.say(child)


thread = threading.Thread(target=spin)
thread.daemon = True
thread.start()
sys.stderr = open(os.devnull, "w")
control.ready()
while True:
    ends(control.listen())
