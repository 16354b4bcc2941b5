"""Two alternating call chains, 20 deep: a1..a20 and b1..b20. `chains.py 0` runs them in the main thread,
`chains.py N` in N threads while the main thread listens."""
import sys
import threading

import control
from chain_source import source

chains = {}
exec(compile(source("a"), "a.py", "exec"), chains)
exec(compile(source("b"), "b.py", "exec"), chains)


def spin():
    a, b = chains["a1"], chains["b1"]
    while True:
        a(1)
        b(1)


def start(count):
    started = []
    for _ in range(count):
        event = threading.Event()
        thread = threading.Thread(target=lambda event=event: (event.set(), spin()))
        thread.daemon = True
        thread.start()
        started.append(event)
    for event in started:
        event.wait()


def main():
    count = int(sys.argv[1])
    start(count)
    control.ready()
    if count == 0:
        spin()
    control.listen()


main()
