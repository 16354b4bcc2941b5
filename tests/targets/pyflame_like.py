"""`busy`: computes. `sleeping`: 0.1 s of sleep, 0.1 s of work, in turn. `threaded`: two busy threads.
`unicode`: busy in a function that is not ASCII. Python 2.7 names it in bytes."""
import sys
import threading
import time

import control


def sleep_for(seconds):
    time.sleep(seconds)


def work_until(end):
    while time.time() < end:
        pass


def busy():
    while True:
        work_until(time.time() + 0.1)


def sleeping():
    while True:
        sleep_for(0.1)
        work_until(time.time() + 0.1)


def first():
    while True:
        pass


def second():
    while True:
        pass


def threaded():
    for function in (first, second):
        thread = threading.Thread(target=function)
        thread.daemon = True
        thread.start()
    control.ready()
    thread.join(1000000)


def unicode_name():
    namespace = {}
    source = u"def \u8b8a\u6578():\n    while True: pass\n"
    if sys.version_info[0] > 2:
        exec(compile(source, "unicode.py", "exec"), namespace)
        namespace[u"\u8b8a\u6578"]()
    import names
    names.renamed(u"\u8b8a\u6578".encode("utf-8"), "unicode.py")(busy)


if sys.argv[1] != "threaded":
    control.ready()
{"busy": busy, "sleeping": sleeping, "threaded": threaded, "unicode": unicode_name}[sys.argv[1]]()
