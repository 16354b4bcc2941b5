"""Waits on a pipe for commands; arguments name what other threads do: `spin`, `sleep`, `none`.

Every thread runs a function of its own name: spin1, spin2, ..., sleep1, ...
"""
import os
import sys
import threading

import control

forever, never = os.pipe()
tids = {}


def make(kind, number):
    name = "%s%d" % (kind, number)
    source = {"spin": "def %s():\n    while True: pass\n", "sleep": "def %s():\n    os.read(forever, 1)\n"}[kind]
    namespace = {"os": os, "forever": forever}
    exec(compile(source % name, "made.py", "exec"), namespace)
    started = threading.Event()

    def run():
        tids[name] = control.gettid()
        started.set()
        namespace[name]()
    thread = threading.Thread(target=run)
    thread.daemon = True
    thread.start()
    started.wait()


def wait_for_commands():
    while True:
        control.listen()
        control.say("here")


for count, each in enumerate(sys.argv[1:], 1):
    make(each, count)
control.ready(tids=tids)
wait_for_commands()
