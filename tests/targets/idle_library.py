"""Has another Python's library loaded, which runs nothing: `idle_library.py LIBRARY [deep]`. Says READY and spins in
outer();hot(). `deep`: the library uses its own names."""
import ctypes
import os
import sys

import spinning

ctypes.CDLL(sys.argv[1], mode=os.RTLD_LOCAL | (os.RTLD_DEEPBIND if "deep" in sys.argv else 0))
spinning.outer()
