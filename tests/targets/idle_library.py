"""Has another Python's library loaded, which runs nothing: `idle_library.py LIBRARY [deep]`. Says READY and spins in
outer();hot(). `deep`: the library uses its own names."""
import ctypes
import os
import sys


def hot():
    os.write(1, b"READY\n")
    while True:
        for turn in range(1000):
            pass


def outer():
    hot()


ctypes.CDLL(sys.argv[1], mode=os.RTLD_LOCAL | (os.RTLD_DEEPBIND if "deep" in sys.argv else 0))
outer()
