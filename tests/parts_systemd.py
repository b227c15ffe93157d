"""A systemd unit read, and a program run under as many of its limits as can be had without systemd.

    python -m tests.parts_systemd UNIT STATE_FOLDER COMMAND...      as root; COMMAND runs as nobody

Had: the system call filter and address families (seccomp), no writable code (PR_SET_MDWE), no capabilities, no new
privileges, nobody's uid, limits of files and core, a read-only system but for what is named, a /tmp of its own, no
homes, a /dev of little. Not had: MemoryMax, TasksMax, IPAddressAllow (cgroups), PrivateUsers, ProtectProc.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

NOBODY = 65534
CLONE_NEWNS, CLONE_NEWIPC = 0x20000, 0x8000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 38, 65
REFUSE, ALLOW = 0x00050000 | 1, 0x7FFF0000  # SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ALLOW
EQUAL = 4  # SCMP_CMP_EQ
NEEDED = (sys.base_prefix, sys.prefix, Path.cwd())
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "shm")


def settings(unit: Path) -> dict[str, list[str]]:
    """Every setting of a unit, by name, in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            found[name].append(value)
    return dict(found)


def system_calls(filters: list[str]) -> set[str]:
    """The names of the calls that `SystemCallFilter=` lines leave."""
    allowed = _calls_of("@default")
    for line in filters:
        names = set().union(*map(_calls_of, line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _calls_of(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return set().union(*(_calls_of(line) for line in lines if line and not line.startswith("#")))


class _Compared(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _filter_calls(names: set[str], families: list[str]) -> None:
    seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp"), use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(REFUSE))
    for name in names - {"socket"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and seccomp.seccomp_rule_add(context, ALLOW, number, 0):
            raise OSError(f"no rule for {name}")
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        wanted = _Compared(0, EQUAL, int(getattr(socket, family)), 0)
        if seccomp.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(wanted)):
            raise OSError(f"no rule for {family}")
    if seccomp.seccomp_load(context):
        raise OSError("the filter can't be loaded")


def _prctl(*arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*arguments, *[0] * (5 - len(arguments))):
        raise OSError(ctypes.get_errno(), f"prctl{arguments}")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _set_up_files(writable: list[Path]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWIPC):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")  # what is made here is gone with us
    kept = {folder: Path(f"/run/labelwatch-kept-{n}") for n, folder in enumerate(writable)}
    for folder, place in kept.items():
        place.mkdir(exist_ok=True)
        _mount("--bind", str(folder), str(place))
    devices = Path("/run/labelwatch-dev")
    devices.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=755,noexec", "dev", str(devices))
    for name in DEVICES:
        (devices / name).mkdir() if Path("/dev", name).is_dir() else (devices / name).touch()
        _mount("--bind", f"/dev/{name}", str(devices / name))
    (devices / "fd").symlink_to("/proc/self/fd")
    _mount("--rbind", str(devices), "/dev")
    # Some machines keep the interpreter in a home, or the program among temporary files.
    needed = {Path(one).resolve(): Path(f"/run/labelwatch-{n}") for n, one in enumerate(NEEDED)}
    here = Path.cwd()
    for folder, elsewhere in needed.items():
        elsewhere.mkdir(exist_ok=True)
        _mount("--bind", str(folder), str(elsewhere))
    for hidden, mode in (("/root", "755"), ("/home", "755"), ("/tmp", "1777")):
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "none", hidden)
    for folder, elsewhere in sorted(needed.items()):  # what lies in another comes with it
        if not folder.exists():
            folder.mkdir(parents=True)
            _mount("--bind", str(elsewhere), str(folder))
    os.chdir(here)
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
    _mount("-o", "remount,bind,ro", "/")
    for folder, place in kept.items():
        _mount("--bind", str(place), str(folder))


def run_under(unit: Path, state: Path, command: list[str]) -> None:
    """Become `command`, within what the unit allows."""
    found = settings(unit)
    names = system_calls(found["SystemCallFilter"])
    os.chown(state, NOBODY, NOBODY)
    for path in state.rglob("*"):
        os.chown(path, NOBODY, NOBODY)
    named = (Path(path.removeprefix("-")) for path in found.get("ReadWritePaths", []))
    _set_up_files([state, *(path for path in named if path.exists())])
    files = int(found["LimitNOFILE"][0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(int(found["UMask"][0], 8))
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(PR_CAPBSET_DROP, number)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if found.get("MemoryDenyWriteExecute") == ["yes"]:
        _prctl(PR_SET_MDWE, 1)
    os.environ["HOME"] = "/"
    _filter_calls(names, found["RestrictAddressFamilies"][0].split())
    os.execv(command[0], command)


if __name__ == "__main__":
    run_under(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
