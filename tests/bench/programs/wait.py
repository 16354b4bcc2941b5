"""A process of one thread that reads its stdin, at a stack of DEPTH frames: `wait.py DEPTH`."""
import os
import sys

import bench_target


def read():
    while os.read(0, 1):
        pass
    os._exit(0)


bench_target.ready()
bench_target.descend("recursion", int(sys.argv[1]))(read)
