"""Works while 1,000 threads and 300 processes a second come and go and 500 native threads stand.

A command is a number of seconds; the answer is how many turns of work the main thread did in what the churn left it, and
how much churn there was.
"""
import ctypes
import os
import threading
import time

import bench_target

STANDING, SLOT, THREADS, CHILDREN = 500, 0.01, 10, 3
libc = ctypes.CDLL(None)


def turn(number=0):
    return sum(part * part % 97 for part in range(number, number + 200))


def stand():
    for _ in range(STANDING):
        thread = ctypes.c_ulong()
        if libc.pthread_create(ctypes.byref(thread), None, libc.pause, None) != 0:
            raise OSError("cannot start %d native threads" % STANDING)


def churn():
    threads = [threading.Thread(target=turn) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # By vfork, as subprocess does: a fork would copy the 1,000 mappings of the standing threads' stacks each time.
    for _ in range(CHILDREN):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def work(seconds):
    turns = slots = 0
    begin = slot = time.perf_counter()
    while slot < begin + seconds:
        churn()
        slots += 1
        slot += SLOT
        while time.perf_counter() < slot:
            turn()
            turns += 1
    elapsed = time.perf_counter() - begin
    return {"turns": turns / elapsed, "threads": slots * THREADS / elapsed, "children": slots * CHILDREN / elapsed}


stand()
bench_target.ready()
while True:
    bench_target.say(work(bench_target.listen()))
