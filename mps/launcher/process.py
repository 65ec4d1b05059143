"""Describe a child process, and start it so that it cannot outlive its parent."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mps.launcher.errors import LauncherError

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
# Loaded once, before any fork: nothing but a system call may happen between fork and exec.
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclasses.dataclass(frozen=True)
class Account:
    """The system account a child runs under."""

    uid: int
    gid: int


def _nothing() -> None:
    """Do nothing."""


def _always(_pid: int) -> bool:
    return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Process:
    """How to run, check and stop one child.

    `is_ready` is asked with the child's process id until it says yes; `readiness` says in words
    what is waited for. `force_signal` is sent to a child that has not stopped
    `stop_timeout_seconds` after `stop_signal`. Lines that match `muted` are not shown.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    umask: int = -1
    stop_signal: signal.Signals = signal.SIGTERM
    force_signal: signal.Signals = signal.SIGKILL
    stop_timeout_seconds: float = 15
    before_start: Callable[[], None] = _nothing
    is_ready: Callable[[int], bool] = _always
    readiness: str = ""
    muted: re.Pattern[str] | None = None


def spawn(process: Process, *, output: int) -> subprocess.Popen[bytes]:
    """Start `process` with both of its streams on the file descriptor `output`.

    The child leads its own session, so that a Ctrl-C on the terminal reaches the launcher alone,
    which stops children in order. When the launcher dies without stopping them, the kernel sends
    each its stop signal. It does so when the *thread* that started the child ends: call this from
    the main thread.

    :raises LauncherError: the program cannot be executed.
    """
    process.before_start()
    account: dict[str, Any] = {}
    if process.account is not None:
        account = {"user": process.account.uid, "group": process.account.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            process.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=process.cwd,
            env=process.env,
            umask=process.umask,
            start_new_session=True,
            # Runs after the change of account, which clears the parent-death signal.
            preexec_fn=_die_with_parent(process.stop_signal),  # noqa: PLW1509 -- one thread.
            **account,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LauncherError(f"Cannot start {process.name} ({process.argv[0]}): {error}.") from error


def end(process: Process, popen: subprocess.Popen[bytes]) -> None:
    """Stop a child that runs without the supervisor, by force if it does not stop by itself."""
    for number, seconds in (
        (process.stop_signal, process.stop_timeout_seconds),
        (process.force_signal, 5.0),
        (signal.SIGKILL, None),
    ):
        if popen.poll() is not None:
            return
        popen.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(seconds)


def server_environment() -> dict[str, str]:
    """Return the whole environment of a server: none of ours, which may hold secrets."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def adopt_orphans() -> None:
    """Make the kernel hand this process the children of its dead children (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def child_pids() -> list[int]:
    """Return the process ids of all children of this process, adopted ones included (Linux)."""
    parent = str(os.getpid())
    pids = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces; the parent is the second field after it.
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # It ended while we looked.
        if fields[1] == parent:
            pids.append(int(entry.parent.name))
    return pids


def describe_exit(code: int) -> str:
    """Say in words how a process with the return code `code` of Popen ended."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _die_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    libc, parent, number = _LIBC, os.getpid(), int(stop_signal)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the kernel was asked.
            os._exit(1)

    return ask_kernel
