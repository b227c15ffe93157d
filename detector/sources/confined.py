"""What a process that reads gives up before it meets a stranger's bytes.

Limits hold on any Linux; where the kernel has Landlock, the file system is shut as well. Runs in that process only.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

# A live camera's reader. 4K H.265 with 10 bits takes 210 MB, 8K H.264 takes 205 MB (measured); FFmpeg lives with being
# refused more. Private pages only: shared memory of pictures and mapped libraries don't count. Root isn't held to
# having no further process.
READER = MappingProxyType(
    {
        resource.RLIMIT_DATA: 512 << 20, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 32, resource.RLIMIT_NPROC: 0,
    }
)  # fmt: skip

_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38  # prctl(2)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # landlock(7)
LANDLOCK_PORTS = 4  # the version from which on ports can be shut
_BENEATH, _NET_PORT = 1, 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_O_PATH = getattr(os, "O_PATH", 0)
# What looking up a name and checking a certificate need: never a home, a data folder or a configuration.
READABLE = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf", "/etc/services",
    "/etc/ssl", "/etc/pki", "/etc/ld.so.cache", "/usr/lib", "/usr/lib64", "/lib", "/lib64",
    "/usr/share/ca-certificates", "/run/systemd/resolve", "/dev/urandom", "/dev/null",
)  # fmt: skip


def confine(limits: Mapping[int, int], readable: Sequence[str] = ()) -> bool:
    """Give up everything that reading doesn't need; tells whether the file system could be shut, too.

    With Landlock no file is written or run. Nobody looks into this process, and it doesn't outlive the worker.

    Args:
        limits: Of resources, by `resource.RLIMIT_*`; stricter ones stay.
        readable: Files and folders that can still be opened, beside `READABLE`.
    """
    call = ctypes.CDLL(None, use_errno=True)
    call.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    call.prctl(_DUMPABLE, 0, 0, 0, 0)  # nor may others of this user look into it: it knows a password
    call.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, most in limits.items():
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    return _shut_files(call, (*READABLE, *readable))


def code_folders() -> list[str]:
    """Where Python's library, packages and this program are: parts of them are loaded only when they are wanted."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [Path(sysconfig.get_path(kind)) for kind in kinds] + [Path(__file__).parents[1]]
    return sorted({str(folder.resolve()) for folder in folders})


def only_ports(*ports: int) -> bool:
    """Give up TCP but for connections to these ports; tells whether that was possible (Landlock of Linux 6.7).

    FFmpeg follows a camera's redirection to any RTSP address, and has no option not to. So a camera can at most send
    its reader to others that listen on the camera's own port, not to the services of the network it stands in.
    """
    call = ctypes.CDLL(None, use_errno=True)
    if landlock_version() < LANDLOCK_PORTS:
        return False
    ruled = (ctypes.c_uint64 * 2)(0, _BIND_TCP | _CONNECT_TCP)
    rules = call.syscall(_CREATE_RULESET, ctypes.byref(ruled), ctypes.sizeof(ruled), 0)
    if rules < 0:
        return False
    try:
        for port in ports:
            rule = (ctypes.c_uint64 * 2)(_CONNECT_TCP, port)
            if call.syscall(_ADD_RULE, rules, _NET_PORT, ctypes.byref(rule), 0) != 0:
                return False
        return bool(call.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def landlock_version() -> int:
    """Of this kernel's Landlock; below 1 if it has none."""
    return int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, 1))


def _shut_files(call: ctypes.CDLL, readable: Sequence[str]) -> bool:
    """Landlock: nothing can be written, run or made, and little can be read."""
    version = landlock_version()
    if version < 1:
        return False
    # Rights that a kernel doesn't know would be refused: 13 at first, then one or two more with each version.
    known = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    ruled = ctypes.c_uint64((1 << known) - 1)
    rules = call.syscall(_CREATE_RULESET, ctypes.byref(ruled), ctypes.sizeof(ruled), 0)
    if rules < 0:
        return False
    try:
        for path in readable:
            _allow(call, rules, path)
        return bool(call.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(call: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        place = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system
    rights = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
    rule = ctypes.create_string_buffer(rights.to_bytes(8, "little") + place.to_bytes(4, "little"), 12)
    try:
        call.syscall(_ADD_RULE, rules, _BENEATH, rule, 0)
    finally:
        os.close(place)
