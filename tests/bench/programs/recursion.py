"""One thread computes Fibonacci numbers by recursion, all the time, while the main thread listens."""
import threading

import bench_target


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def spin():
    started.set()
    while True:
        fib(20)


started = threading.Event()
thread = threading.Thread(target=spin)
thread.daemon = True
thread.start()
started.wait()
bench_target.ready()
bench_target.listen()
