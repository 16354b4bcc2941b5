"""Threads that come and go: `churn.py python`, or `churn.py native LIBRARY` with the library made from churn.c.

Every thread runs outer -> middle -> inner. The command `count` answers how many there were.
"""
import ctypes
import sys
import threading

import control

made = [0]


def inner(number):
    return sum(range(3000 + number % 50))


def middle(number):
    return inner(number) + inner(number)


def outer(number):
    made[0] += 1
    middle(number)
    return 0


def python_threads():
    while True:
        threads = [threading.Thread(target=outer, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def native_threads():
    library = ctypes.CDLL(sys.argv[2])
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(outer)
    while True:
        library.churn(callback, 100, 8)


def serve():
    while True:
        control.listen()
        control.say(made[0])


server = threading.Thread(target=serve)
server.daemon = True
server.start()
control.ready()
{"python": python_threads, "native": native_threads}[sys.argv[1]]()
