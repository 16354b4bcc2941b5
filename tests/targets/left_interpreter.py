"""What subinterpreters leave behind: `left_interpreter.py keep|destroy|other|jobs`.

A script blocks once in a subinterpreter, and then the thread that ran it alternates between two call chains in the main
interpreter: `keep` it, `destroy` it before, `other`: a thread ran it that had not made it. `jobs`: each job100, job101, ...
runs fun100, fun101, ... in an interpreter of its own, which then goes.
"""
import sys
import threading
import warnings

import control
from chain_source import source

try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters

run_script = getattr(_interpreters, "exec", None) or _interpreters.run_string
SLEEP = "import time; time.sleep(0.001)"
FUN = """
import time
def fun%(number)d():
    end = time.monotonic() + 0.02
    while time.monotonic() < end: pass
fun%(number)d()
"""


def spin(then):
    chains = {}
    for letter in "ab":
        exec(compile(source(letter), "%s-0.py" % letter, "exec"), chains)
    a, b = chains["a1"], chains["b1"]
    then()
    while True:
        a(1)
        b(1)


def jobs():
    namespace = {"run_script": run_script}
    control.ready()
    number = 100
    while True:
        made = _interpreters.create()
        exec(compile("def job%d(made, script):\n    run_script(made, script)\n" % number, "job.py", "exec"), namespace)
        namespace["job%d" % number](made, FUN % {"number": number})
        _interpreters.destroy(made)
        number = 100 + (number - 99) % 100


def run_and_spin(made):
    run_script(made, SLEEP)
    if how == "destroy":
        _interpreters.destroy(made)
    spin(control.ready)


warnings.simplefilter("ignore")
how = sys.argv[1]
if how == "jobs":
    jobs()
elif how == "other":
    thread = threading.Thread(target=run_and_spin, args=(_interpreters.create(),))
    thread.daemon = True
    thread.start()
    thread.join()
else:
    run_and_spin(_interpreters.create())
