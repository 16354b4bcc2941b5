"""A thread that reads a clock all the time, among others that wait: `watch.py THREADS`.

The command {"seconds": S, "file": PATH} lets the main thread read the clock for so long and write the gaps above 5 us
there, as 64-bit nanoseconds.
"""
import array
import sys
import time

import bench_target

LEAST = 5000
ROOM = 1 << 20
DEPTH = 10
gaps = array.array("q", [0]) * ROOM


def watch(seconds):
    clock, kept, least, room = time.perf_counter_ns, gaps, LEAST, ROOM - 1
    count = 0
    begin = last = clock()
    end = begin + int(seconds * 1e9)
    while last < end:
        now = clock()
        if now - last > least and count < room:
            kept[count] = now - last
            count += 1
        last = now
    return count, last - begin


def serve():
    while True:
        command = bench_target.listen()
        count, elapsed = watch(command["seconds"])
        with open(command["file"], "wb") as file:
            gaps[:count].tofile(file)
        bench_target.say({"gaps": count, "elapsed": elapsed, "full": count == ROOM - 1})


bench_target.start(int(sys.argv[1]) - 1, lambda: bench_target.descend("recursion", DEPTH)(bench_target.block))
bench_target.ready()
bench_target.descend("recursion", DEPTH)(serve)
