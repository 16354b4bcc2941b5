"""Runs a command with fewer rights: confined.py refuse ERRNO|trap CALL[,CALL...] -- CMD..., where `ptrace:real` refuses
ptrace of processes that can be (as a security module does), and not the sampler's question whether it is let through.

The filter is as systemd's SystemCallFilter= and containers' profiles make them: seccomp, without a new privilege.
"""
import ctypes
import errno
import os
import struct
import sys

CALLS = {"ptrace": 101, "timer_create": 222, "signalfd4": 289, "perf_event_open": 298, "process_vm_readv": 310,
         "sched_setattr": 314, "pidfd_open": 434}
NOBODY = 0x7fffffff  # the number that no process has
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, TRAP, ERRNO = 0x7fff0000, 0x00030000, 0x00050000
NUMBER_AT, SECOND_ARGUMENT_AT = 0, 24  # of struct seccomp_data


def instructions(action, calls):
    for call in calls:
        name, _, only_real = call.partition(":")
        yield LOAD, 0, 0, NUMBER_AT
        yield EQUALS, 0, 3 if only_real else 1, CALLS[name]
        if only_real:
            yield LOAD, 0, 0, SECOND_ARGUMENT_AT
            yield EQUALS, 1, 0, NOBODY
        yield RETURN, 0, 0, action
    yield RETURN, 0, 0, ALLOW


def refuse(how, calls):
    """From now on each of these calls of ours ends with an errno (by name), or is a SIGSYS."""
    action = TRAP if how == "trap" else ERRNO | getattr(errno, how)
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions(action, calls))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privs, set_seccomp, filter_mode = 38, 22, 2
    if libc.prctl(set_no_new_privs, 1, 0, 0, 0) != 0 or libc.prctl(set_seccomp, filter_mode, program) != 0:
        sys.exit("cannot make a seccomp filter: " + os.strerror(ctypes.get_errno()))


def command_without(calls, how, *command):
    """The command that runs `command` so."""
    return [sys.executable, os.path.abspath(__file__), "refuse", how, calls, "--"] + list(command)


if __name__ == "__main__":
    _, _, how, calls, _, *command = sys.argv
    refuse(how, calls.split(","))
    os.execvp(command[0], command)
