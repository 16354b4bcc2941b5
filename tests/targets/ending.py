"""Waits in the last moments of its interpreter: its modules are being taken down."""
import os
import sys


class Last(object):
    def __del__(self, write=os.write, read=os.read):
        write(1, b"READY\n")
        read(0, 1)


sys.modules["last"] = Last()
