"""What several targets end in: outer();hot(), which says READY and spins."""
import os


def hot():
    os.write(1, b"READY\n")
    while True:
        for turn in range(1000):
            pass


def outer():
    hot()
