"""Threads whose stacks stand: `stand.py KIND DEPTH THREADS busy|idle`, all of them DEPTH frames deep.

The main thread is one of them. It spins in its leaf (busy) or reads its stdin (idle); the others wait for a lock.
"""
import ctypes
import os
import sys

import bench_target

kind, depth, threads, activity = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sys.setrecursionlimit(depth + 200)
# Memory that is there, for a bare read of as many bytes.
SIZE = 32 << 20
region = ctypes.create_string_buffer(SIZE)
ctypes.memset(region, 1, SIZE)


def spin():
    while True:
        pass


def read():
    while os.read(0, 1):
        pass
    os._exit(0)


bench_target.start(threads - 1, lambda: bench_target.descend(kind, depth)(bench_target.block))
bench_target.ready(region=ctypes.addressof(region), size=SIZE)
bench_target.descend(kind, depth)(spin if activity == "busy" else read)
