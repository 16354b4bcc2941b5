"""Changes its user id to itself in a process of several threads: glibc sends each thread its internal signal 33
and waits for all of them. One line for every command."""
import os
import threading

import control


def spin():
    while True:
        sum(range(50))


for _ in range(3):
    thread = threading.Thread(target=spin)
    thread.daemon = True
    thread.start()
control.ready()
while True:
    control.listen()
    os.setuid(os.getuid())
    control.say("changed")
