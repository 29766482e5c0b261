"""Fences of the system around a process that reads strangers' files: Landlock, and a filter of system calls.

Linux's Landlock (kernels from 5.13): what is not listed can be neither read nor written, whatever code runs inside, and
no later call takes the fence down. It does not hide whether a path exists. Of the network it knows TCP only: who may
reach nobody is kept from sockets altogether by a filter of system calls (seccomp, x86-64 and aarch64), which refuses a
socket of any kind, and io_uring, which opens sockets behind a filter's back. Both bind the calling thread and what that
thread starts, for good, so they are put up before any other thread. Knows paths and system calls; not what is read.
Source: the kernel's documentation of Landlock, ABI 1 to 6, of seccomp filters, and of the classic packet filter's
instructions.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import platform
import stat
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)
_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The numbers of the three system calls, the same on every processor."""
_VERSION_FLAG, _PATH_BENEATH, _NO_NEW_PRIVS = 1, 1, 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPES = 0b11
"""Abstract sockets and signals of processes outside."""
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
"""What can be allowed for a plain file; the rest is for folders."""
_READS = _EXECUTE | _READ_FILE | _READ_DIR
FACTS_OF_THE_SYSTEM = (
    "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/localtime",
    "/etc/alternatives", "/usr", "/lib", "/lib32", "/lib64", "/opt/rocm", "/sys/devices/system", "/sys/fs/cgroup",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/sys/kernel", "/proc/self",
)  # fmt: skip
"""Read by the C library, Python, PyTorch and the Hub's client: libraries, names of hosts, the machine."""
CERTIFICATES = (
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/tls/openssl.d", "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted", "/etc/crypto-policies", "/var/lib/ca-certificates",
)  # fmt: skip
"""Whom to trust, and how OpenSSL is set up, on the usual systems; not the private keys that lie beside them."""
NAMED_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables in which an owner names others; for who may reach others."""
DEVICES = ("/dev/null", "/dev/urandom")
"""PyTorch reads /dev/urandom when it is imported. Not among them: /dev/zero, which gives bytes without end, and
/dev/shm, where other programs keep what they share."""
GPU_DEVICES, GPUS = ("/dev/kfd", "/dev/dri"), "nvidia*"


@dataclass(frozen=True)
class Fence:
    """reads: files and folders that may be read, with all below them; writes: folders that may be read and written in.

    network: whether others may be reached; without, no socket is opened where the system can refuse them. gpus: whether
    these may be used. Python, its packages and the system's libraries may always be read.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    network: bool = False
    gpus: bool = False


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


@cache
def fence_version() -> int:
    """The system's version of Landlock, 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _call(_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG))


def put_up(fence: Fence) -> bool:
    """Confine the calling thread, and whatever it starts from now on, for good; False where the system has no fence.

    Raises OSError where it has one that cannot be put up: then nothing of a stranger may be read.
    """
    if not fence.network:
        refuse_sockets()
    version = fence_version()
    if not version:
        return False
    handled = (1 << 13) - 1
    handled |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled |= _IOCTL_DEVICE if version >= 5 else 0
    net = (_BIND_TCP | _CONNECT_TCP) if version >= 4 and not fence.network else 0
    rules = _RulesetAttributes(handled, net, _SCOPES if version >= 6 and not fence.network else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "the fence around the process could not be made")
    try:
        for path in (*system_places(fence.network), *python_places(), *fence.reads):
            _allow(ruleset, path, _READS & handled)
        for path in (*devices(fence.gpus), *fence.writes):
            _allow(ruleset, path, handled)
        if _libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or _call(_RESTRICT, ruleset, 0) < 0:
            raise OSError(ctypes.get_errno(), "the fence around the process could not be put up")
    finally:
        os.close(ruleset)
    return True


def system_places(network: bool) -> tuple[Path, ...]:
    """What of the system may be read; with the network also the certificates that the environment names."""
    named = filter(None, map(os.environ.get, NAMED_CERTIFICATES)) if network else ()
    return tuple(map(Path, (*FACTS_OF_THE_SYSTEM, *CERTIFICATES, *named)))


def devices(gpus: bool) -> tuple[Path, ...]:
    """Those that may be used."""
    return (*map(Path, DEVICES), *((*map(Path, GPU_DEVICES), *Path("/dev").glob(GPUS)) if gpus else ()))


def python_places() -> tuple[Path, ...]:
    """Where this Python, its packages and this one lie; not the folder that this package merely lies in."""
    own = Path(__file__).resolve().parents[2]
    named = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sysconfig.get_paths().values()}
    packages = {place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")}
    searched = {place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place != str(own.parent)}
    real = {os.path.realpath(sys.executable), str(own)}
    places = named | packages | searched | real
    return tuple(sorted({Path(place) for place in places if place not in ("", "/", "/usr")}))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """A path that is not there needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if stat.S_ISDIR(os.fstat(descriptor).st_mode) else rights & _OF_FILES
        rule = _PathRule(allowed, descriptor)
        if _call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"the fence around the process could not be made ({errno.errorcode.get(code, code)})")
    finally:
        os.close(descriptor)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *values: object) -> int:
    return int(_libc().syscall(ctypes.c_long(number), *values))


_SET_SECCOMP, _FILTER = 22, 2
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
