"""A program for command mode. `exit N`, `signal N`, `busy SECONDS N`, `arguments ...`, `wait` (a line on stdin, then
exit 9), `handle N...` (says each handled signal and exits with it)."""
import os
import signal
import sys
import time

import control


def spin_until(end):
    while time.time() < end:
        pass


def end(number, _frame):
    control.say({"handled": number})
    os._exit(number)


what, arguments = sys.argv[1], sys.argv[2:]
if what == "exit":
    sys.exit(int(arguments[0]))
if what == "signal":
    if int(arguments[0]) != signal.SIGKILL:
        signal.signal(int(arguments[0]), signal.SIG_DFL)
    os.kill(os.getpid(), int(arguments[0]))
if what == "busy":
    spin_until(time.time() + float(arguments[0]))
    sys.exit(int(arguments[1]))
if what == "arguments":
    control.say(arguments)
if what == "wait":
    control.ready(pid=os.getpid())
    control.listen()
    sys.exit(9)
if what == "handle":
    for argument in arguments:
        signal.signal(int(argument), end)
    control.ready(pid=os.getpid())
    while True:
        spin_until(time.time() + 0.01)
