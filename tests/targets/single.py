"""A process that never made a thread: on 2.7 and 3.6 it has no GIL yet. `single.py spin` or `single.py sleep`.

Imports nothing that makes one.
"""
import os
import sys


def spin():
    while True:
        pass


def sleep():
    os.read(0, 1)


os.write(1, b'{"ready": true}\n')
{"spin": spin, "sleep": sleep}[sys.argv[1]]()
