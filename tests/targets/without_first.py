"""Its first thread ends when told so, by pthread_exit; another spins, and the process goes on."""
import ctypes
import threading

import control


def spin():
    tids["spin"] = control.gettid()
    started.set()
    while True:
        pass


tids = {}
started = threading.Event()
threading.Thread(target=spin).start()
started.wait()
control.ready(tids=tids)
control.listen()
ctypes.CDLL(None).pthread_exit(None)
