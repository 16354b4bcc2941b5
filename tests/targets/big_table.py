"""A module of so many statements that its line table has more than a megabyte (from 3.11 on), busy in its last line."""
import control

STATEMENTS = 230000


def spin():
    control.ready(line=STATEMENTS + 1)
    while True:
        sum(range(1000))


def loader():
    source = "\n".join("x = %d" % (number % 200) for number in range(STATEMENTS)) + "\nspin()\n"
    exec(compile(source, "generated.py", "exec"), {"spin": spin})


loader()
