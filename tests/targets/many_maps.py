"""Has a file mapped COUNT times: `many_maps.py COUNT FILE`. Says READY and spins in outer();hot()."""
import ctypes
import mmap
import os
import sys

import spinning

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
file = os.open(sys.argv[2], os.O_RDONLY)
for _ in range(int(sys.argv[1])):
    if libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE, file, 0) == ctypes.c_void_p(-1).value:
        sys.exit("cannot map it")
spinning.outer()
