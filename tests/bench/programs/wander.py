"""A stack of DEPTH frames that changes some 200 times a second: `wander.py DEPTH few|many`.

few: one of 8 stacks at a time. many: each of the last 20 levels is one of two functions, so hardly a stack comes twice.
"""
import random
import sys
import time

import bench_target

depth, variety = int(sys.argv[1]), sys.argv[2]
LEVELS = 20 if variety == "many" else 3


def rest():
    time.sleep(0.005)


def left(levels):
    return wander(levels)


def right(levels):
    return wander(levels)


def wander(levels):
    if levels == 0:
        return rest()
    return (left if random.random() < 0.5 else right)(levels - 1)


def forever():
    while True:
        wander(LEVELS)


sys.setrecursionlimit(depth + 200)
bench_target.ready()
bench_target.descend("distinct", depth - 2 * LEVELS - 2)(forever)
