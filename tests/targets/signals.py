"""Counts signals in Python handlers and tells each over the pipe, while it computes. Arguments: the handled numbers."""
import os
import signal
import sys

import control


def handler(number, _frame):
    os.write(1, ("%d\n" % number).encode("ascii"))


def compute(number):
    total = 0
    for index in range(number):
        total += index * index % 7
    return total


for argument in sys.argv[1:]:
    signal.signal(int(argument), handler)
control.ready()
while True:
    compute(200)
