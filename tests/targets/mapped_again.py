"""Maps its own library once more, below where it runs, as data or a part of it: `mapped_again.py KIND`. Says READY and spins
in outer();hot()."""
import ctypes
import mmap
import os
import sys

import spinning

PAGE = mmap.PAGESIZE
READ, RUN = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC
MAP_FIXED_NOREPLACE = 0x100000

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def library_parts():
    """(start, permissions, offset in the file, path) of each part of the library."""
    lines = (line.split(None, 5) for line in open("/proc/self/maps"))
    return [(int(words[0].split("-")[0], 16), words[1], int(words[2], 16), words[5].strip())
            for words in lines if "/libpython" in words[-1]]


def map_below(end, offset, length, protection):
    for distance in range(1, 4000):
        flags = mmap.MAP_PRIVATE | MAP_FIXED_NOREPLACE
        at = libc.mmap(end - length - distance * 0x10000, length, protection, flags, file, offset)
        if at != ctypes.c_void_p(-1).value:
            return
    sys.exit("there is no room for it")


parts = library_parts()
start, path = parts[0][0], parts[0][3]
text = next(offset for _, permissions, offset, _ in parts if "x" in permissions)
whole = os.path.getsize(path) // PAGE * PAGE
KINDS = {
    "whole": [(0, whole, READ)],
    "executable": [(0, whole, RUN)],
    "start": [(0, PAGE, READ)],
    "text": [(text, PAGE, RUN)],
    "slice": [(text + 5 * PAGE, PAGE, RUN)],
    "all": [(0, whole, READ), (0, whole, RUN), (text, PAGE, RUN), (text + 5 * PAGE, PAGE, RUN), (PAGE, whole - PAGE, READ)],
}
file = os.open(path, os.O_RDONLY)
for kind in KINDS[sys.argv[1]]:
    map_below(start, *kind)
if library_parts()[0][0] == start:
    sys.exit("it is not below")
spinning.outer()
