"""Makes and drops code objects so that their addresses recur under other names, files and lines of equal length."""
import gc

import control

def once(number):
    # The function starts on line 1 + number % 1000, so that the line tells the number, too.
    namespace = {}
    source = "\n" * (number % 1000) + "def f%06d(n):\n    for i in range(n): n = n\n" % number
    exec(compile(source, "file%06d.py" % number, "exec"), namespace)
    namespace["f%06d" % number](1000)


def turn():
    number = 0
    while True:
        once(number)
        number = (number + 7919) % 1000000


gc.disable()
control.ready()
turn()
