"""As many threads as the argument says, each in a read that does not end."""
import os
import sys
import threading
import time

import control

try:
    from _thread import start_new_thread
except ImportError:
    from thread import start_new_thread

forever, never = os.pipe()
started = []


def sleep():
    started.append(None)
    os.read(forever, 1)


threading.stack_size(256 * 1024)
for _ in range(int(sys.argv[1])):
    start_new_thread(sleep, ())
while len(started) < int(sys.argv[1]):
    time.sleep(0.01)
control.ready()
control.listen()
