"""Threads that stand where they say: `standing.py COUNT [spin] [fork]`. From 3.8 on; needs no extension module.

Each thread waits in functions of its own name: stand1 waits in wait1, and so on. With `spin` one more runs in spin().
With `fork` a child does all of this.
The main thread says where all of them stand, and waits for a line on stdin: the words of a command that it becomes.
"""
import json
import os
import sys
import threading
import time

forever, never = os.pipe()
standing = {}
running = {}

SOURCE = """
def wait%(index)d(stand):
    for turn in range(1):
        stand(), os.read(forever, 1)


def stand%(index)d(stand):
    return [wait%(index)d(each) for each in (stand,)]
"""


def stack(frame):
    frames = []
    while frame is not None:
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return frames[::-1]


def stand():
    standing[threading.get_native_id()] = stack(sys._getframe(1))


def spin():
    running[threading.get_native_id()] = "spin"
    while True:
        pass


def start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def all_stand(count):
    """Whether all have said where they stand, and none still waits for the GIL inside stand()."""
    inside = [frame for frame in sys._current_frames().values() if frame.f_code is stand.__code__]
    return len(standing) == count and not inside


def say():
    standing[threading.get_native_id()] = stack(sys._getframe(1))
    facts = {"pid": os.getpid(), "version": sys.version_info[:2], "standing": standing, "running": running}
    data = json.dumps(facts).encode("ascii") + b"\n"
    while data:
        data = data[os.write(1, data):]


count, options = int(sys.argv[1]), sys.argv[2:]
if "fork" in options:
    child = os.fork()
    if child:
        os._exit(os.waitpid(child, 0)[1] != 0)
for number in range(1, count + 1):
    exec(compile(SOURCE % {"index": number}, "standing-%d.py" % number, "exec"))
    start(globals()["stand%d" % number], stand)
if "spin" in options:
    start(spin)
while not all_stand(count) or len(running) < options.count("spin"):
    time.sleep(0.001)
_, command = say(), os.read(0, 1 << 16)
if command:
    words = json.loads(command.decode("ascii"))
    os.execv(words[0], words)
