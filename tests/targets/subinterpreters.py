"""Threads that are inside subinterpreters: `subinterpreters.py same|isolated|other|api wait|spin COUNT [LIBRARY]`.

`same`: each thread makes the interpreter that it runs; `isolated`: with a GIL of its own wherever it can have one; `other`: the
main thread has made it; `api`: as `same`, by the C API, with the library made from new_interpreter.c. `wait`: the inner code
says where it is and blocks there; `spin`: it alternates between two call chains, a1..a20 and b1..b20.
"""
import ctypes
import json
import os
import sys
import threading
import warnings

import control
from chain_source import source

try:
    import _interpreters
except ImportError:
    try:
        import _xxsubinterpreters as _interpreters
    except ImportError:
        _interpreters = None  # before 3.8

WAIT = """
import json, os, sys
def stack(frame):
    frames = []
    while frame:
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return frames[::-1]
class Waiter:
    def wait(self):
        os.write(%(out)d, json.dumps(stack(sys._getframe())).encode() + b"\\n"), os.read(%(stay)d, 1)
def begin():
    for waiter in (Waiter() for _ in range(1)):
        waiter.wait()
begin()
"""


def spin_script(interpreter, out):
    sources = ["exec(compile(%r, '%s-%d.py', 'exec'))" % (source(letter), letter, interpreter) for letter in "ab"]
    # In 3.9 to 3.11 a thread that waits for the GIL asks its own interpreter only to let go of it, and takes longer to wake
    # up than a sleep of nothing lasts: whoever starts second would wait for ever.
    loop = ["while True:", "    time.sleep(0.0002)", "    for _ in range(500):", "        a1(1)", "        b1(1)"]
    return "\n".join(sources + ["import os, time", "os.write(%d, b'[]\\n')" % out] + loop)


def read_line(fd):
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(fd, 1)
    return json.loads(line.decode())


run_script = getattr(_interpreters, "exec", None) or getattr(_interpreters, "run_string", None)


def run(interpreter, script):
    if how == "api":
        library.run_in_new_interpreter(script.encode())
    else:
        run_script(interpreter, script)


def create():
    if how == "isolated":
        return _interpreters.create()
    # 3.12.1, 3.13.0 and musl's 3.13.15 crash by themselves (half of 40 runs without a sampler) where two interpreters with
    # GILs of their own compute at the same time; 3.13.18, 3.14 and 3.15 did not in 40.
    if what == "spin" and sys.version_info[:2] == (3, 12):
        return _interpreters.create(isolated=False)
    if what == "spin" and (3, 13) <= sys.version_info[:3] < (3, 13, 18):
        return _interpreters.create("legacy")
    return _interpreters.create()


# enter0(), enter1() and so on: the outer stack tells which thread it is.
ENTER = """
def enter%(index)d(made, out, stay, facts):
    interpreter = %(index)d + 1 if how == "api" else made if made is not None else create()
    facts["tid"], facts["interpreter"] = control.gettid(), int(interpreter)
    script = WAIT %% dict(out=out, stay=stay) if what == "wait" else spin_script(int(interpreter), out)
    run(interpreter, script)
"""


def start(index, made):
    read_end, write_end = os.pipe()
    stay, _ = os.pipe()
    facts = {"index": index}
    exec(compile(ENTER % {"index": index}, "enter.py", "exec"), globals())
    thread = threading.Thread(target=globals()["enter%d" % index], args=(made, write_end, stay, facts))
    thread.daemon = True
    thread.start()
    facts["inner"] = read_line(read_end)
    facts["outer"] = control.stack_of(sys._current_frames()[thread.ident])
    return facts


warnings.simplefilter("ignore")
how, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
library = ctypes.PyDLL(sys.argv[4]) if how == "api" else None
interpreters = [create() if how == "other" else None for _ in range(count)]
started = [start(index, made) for index, made in enumerate(interpreters)]
control.ready(threads=started)
control.listen()
