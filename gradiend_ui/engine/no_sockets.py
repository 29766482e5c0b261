"""A process without sockets: the part of the network that Landlock has no rule for.

A filter of system calls (Linux's seccomp, x86-64 and aarch64): whoever asks for a socket of any kind is refused, and so
is io_uring, which opens sockets behind a filter's back. It binds the calling thread and what that thread starts, for
good. Knows system calls; no paths, and not what runs inside.
Source: the kernel's documentation of seccomp filters and of the classic packet filter's instructions.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import sys

_SET_SECCOMP, _FILTER, _NO_NEW_PRIVS = 22, 2, 38
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _PROCESSOR_AT = 0, 4
"""Where the filter finds the call's number, and by which processor's table it is meant."""
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_PROCESSORS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""{machine: (its name in a filter, its number of the call `socket`)}."""
_IO_URING_SETUP = 425
_OTHER_TABLE = 0x40000000
"""From here on x86-64 counts the same calls once more, for programs with short pointers."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("hit", ctypes.c_uint8), ("miss", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def refuse_sockets() -> bool:
    """From now on the calling thread and what it starts open no socket; False where the system cannot see to that."""
    processor, socket_number = _PROCESSORS.get(platform.machine(), (0, 0))
    if not sys.platform.startswith("linux") or not processor or sys.maxsize < 2**32:
        return False
    steps = (
        (_LOAD, 0, 0, _PROCESSOR_AT),
        (_EQUAL, 0, 5, processor),  # the calls of another processor, which this one may know too: refused
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 3, 0, _OTHER_TABLE),
        (_EQUAL, 2, 0, socket_number),
        (_EQUAL, 1, 0, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    long = ctypes.c_ulong
    if libc.prctl(_NO_NEW_PRIVS, long(1), long(0), long(0), long(0)):
        return False
    return bool(libc.prctl(_SET_SECCOMP, long(_FILTER), ctypes.byref(program), long(0), long(0)) == 0)
