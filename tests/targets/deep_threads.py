"""`deep_threads.py COUNT DEPTH`: threads that wait DEPTH calls deep each."""
import os
import sys
import threading

import control

forever, never = os.pipe()


def f(depth):
    if depth:
        return f(depth - 1)
    started.set()
    return os.read(forever, 1)


count, depth = int(sys.argv[1]), int(sys.argv[2])
sys.setrecursionlimit(depth + 1000)
for _ in range(count):
    started = threading.Event()
    thread = threading.Thread(target=f, args=(depth,))
    thread.daemon = True
    thread.start()
    started.wait()
control.ready()
control.listen()
