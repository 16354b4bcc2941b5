"""The main thread starts threads and joins them, all the time."""
import threading

import control


def nothing():
    pass


control.ready()
while True:
    thread = threading.Thread(target=nothing)
    thread.start()
    thread.join()
