"""Busy threads: `busy.py THREADS`, each in a short chain of calls; the main thread listens."""
import sys
import threading

import bench_target


def leaf(number):
    return sum(range(number % 50))


def inner(number):
    return leaf(number) + leaf(number + 1)


def spin(started):
    started.set()
    number = 0
    while True:
        number += inner(number) % 7 + 1


for _ in range(int(sys.argv[1])):
    event = threading.Event()
    thread = threading.Thread(target=spin, args=(event,))
    thread.daemon = True
    thread.start()
    event.wait()
bench_target.ready()
bench_target.listen()
