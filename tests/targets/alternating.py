"""Two code objects by turns at one address: AAAA calls only in_a(), BBBB only in_b(); both sleep for a moment."""
import marshal
import time

import control


def in_a():
    time.sleep(0.0001)


def in_b():
    time.sleep(0.0001)


def main():
    a = marshal.dumps(compile("in_a()", "AAAA", "exec"))
    b = marshal.dumps(compile("in_b()", "BBBB", "exec"))
    control.ready()
    while True:
        for code in (a, a, b, a, b, b):
            exec(marshal.loads(code))


main()
