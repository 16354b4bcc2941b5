"""A thread that waits 25,000 calls deep, below an exec: deeper than the sampler follows."""
import os
import sys
import threading

sys.setrecursionlimit(1000000)
threading.stack_size(1 << 30)


def f(depth):
    if depth:
        return f(depth - 1)
    os.write(1, b'{"ready": true}\n')
    return os.read(0, 1)


def start():
    exec("f(25000)")


thread = threading.Thread(target=start)
thread.start()
thread.join()
