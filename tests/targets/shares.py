"""Spends known shares of its time in three functions and says, on a command, what it measured itself.

`shares.py mix`: 70/20/10 in turns of about 10 ms. `shares.py periodic MS`: 30 % of every MS milliseconds of the clock.
"""
import os
import select
import sys
import time

import control

now = getattr(time, "perf_counter", time.time)
spent = {}


def heavy(end):
    while now() < end:
        pass


def medium(end):
    while now() < end:
        pass


def light(end):
    while now() < end:
        pass


def timed(function, seconds):
    begin = now()
    function(begin + seconds)
    spent[function.__name__] = spent.get(function.__name__, 0.0) + now() - begin


def mix(_):
    timed(heavy, 0.007)
    timed(medium, 0.002)
    timed(light, 0.001)


def periodic(period):
    begin = now()
    timed(light, 0.3 * period)
    timed(heavy, period - (now() % period))  # to the next multiple of the period: the phase never drifts
    return begin


work = {"mix": mix, "periodic": periodic}[sys.argv[1]]
argument = float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0
control.ready()
while True:
    work(argument)
    if select.select([0], [], [], 0)[0]:
        command = control.listen()
        if command == "reset":
            spent.clear()
        control.say(spent)
