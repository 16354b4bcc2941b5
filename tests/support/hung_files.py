"""A filesystem that does not answer, as the sampler sees it: its reads of some files wait until we let them go.

A seccomp filter hands each of its pread64 to us (SECCOMP_RET_USER_NOTIF), and those of its command. We let them pass, but
for those of the sampler that are of the files asked for: these wait, as for a server of FUSE or NFS that has gone.
"""
import array
import ctypes
import fcntl
import os
import resource
import select
import socket
import struct
import threading

import harness

_PR_SET_NO_NEW_PRIVS, _SYS_SECCOMP, _SYS_PREAD64 = 38, 317, 17
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _USER_NOTIF = 0x7FFF0000, 0x7FC00000
_CONTINUE = 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, and of the call: number, architecture, address, arguments
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags


def _ioctl(number, size):
    return 3 << 30 | size << 16 | ord("!") << 8 | number


def _filter_reads():
    """Puts the filter on this process; the descriptor that hears of its reads."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, _SYS_PREAD64, 0x06, 0, 0, _USER_NOTIF, 0x06, 0, 0, _ALLOW)
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("=H6xQ", 4, ctypes.addressof(buffer)))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


class HungFiles:
    """Starts a sampler whose reads of files hang where `hangs(path)` says so, from the start or from hang() on."""

    def __init__(self, test, hangs, *arguments, at_once=False, **popen):
        self.hangs, self.is_hanging, self.has_hung = hangs, at_once, threading.Event()
        ours, theirs = socket.socketpair()
        self.ended, self.end = os.pipe()

        def filter_reads():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # SIGQUIT may end it
            listener = _filter_reads()
            theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
        # Popen returns after the exec, and nothing before that is a pread64 that somebody has to answer.
        self.sampler = harness.Sampler(test, *arguments, preexec_fn=filter_reads, **popen)
        self.listener = socket.recv_fds(ours, 1, 1)[1][0]
        ours.close()
        theirs.close()
        self.thread = threading.Thread(target=self._answer)
        self.thread.start()
        test.addCleanup(self._close)

    def hang(self):
        self.is_hanging = True

    def wait_hung(self, timeout=20):
        if not self.has_hung.wait(timeout):
            raise AssertionError("no file was read: %s" % self.sampler.wait(1))

    def _answer(self):
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(self.ended, select.POLLIN)
        while True:
            for fd, event in poll.poll():
                if fd == self.ended or not event & select.POLLIN:
                    return
                self._answer_one()

    def _answer_one(self):
        call = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.listener, _ioctl(0, len(call)), call)  # SECCOMP_IOCTL_NOTIF_RECV
            number, pid, _, _, _, _, file = _NOTIFICATION.unpack(call)[:7]
            is_ours = os.path.exists("/proc/%d/task/%d" % (self.sampler.pid, pid))
            if self.is_hanging and is_ours and self.hangs(os.readlink("/proc/%d/fd/%d" % (pid, file))):
                self.has_hung.set()
                return
            answer = bytearray(_RESPONSE.pack(number, 0, 0, _CONTINUE))
            fcntl.ioctl(self.listener, _ioctl(1, len(answer)), answer)  # SECCOMP_IOCTL_NOTIF_SEND
        except OSError:
            pass  # whoever called was ended meanwhile

    def _close(self):
        self.sampler.close()
        os.write(self.end, b"x")
        self.thread.join(10)
        for fd in (self.listener, self.ended, self.end):
            os.close(fd)
