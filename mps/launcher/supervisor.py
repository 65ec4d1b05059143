"""Supervise child processes: prefixed logs, readiness, restart, ordered stop.

One thread and one loop: children write into pipes, signals wake the loop, and every wait of the
launcher, however long, goes on showing logs and noticing deaths.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Final, Self, TextIO

from mps.launcher import process
from mps.launcher.errors import LauncherError

SAME_WISH_SECONDS: Final = 1.0
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESTARTS_ALLOWED: Final = 5
RESTARTS_WITHIN_SECONDS: Final = 60.0

_TICK_SECONDS: Final = 0.1
_BACKOFF_SECONDS: Final = (0.2, 1.0, 2.0, 4.0, 8.0)
_LINE_LIMIT_BYTES: Final = 64 * 1024
_COLOURS: Final = (36, 33, 32, 35, 34, 31)


class StopRequested(Exception):
    """The operator asked to stop while something was waited for."""


class _Child:
    """A process and what is known of its life."""

    def __init__(self, spec: process.Process, colour: int) -> None:
        self.spec = spec
        self.colour = colour
        self.popen: subprocess.Popen[bytes] | None = None
        self.restarts: deque[float] = deque()
        self.restart_at: float | None = None
        self.seen_ready = False
        self.ask_again_at = 0.0


class _Stream:
    """The pipe one child writes into, and the line that is not yet complete."""

    def __init__(self, child: _Child, descriptor: int) -> None:
        self.child = child
        self.descriptor = descriptor
        self.pending = b""


def _standard_output() -> TextIO:
    """Return standard output, buffered even where Python was told not to (`PYTHONUNBUFFERED`).

    Unbuffered text drops what is left of a write that a signal cut short, and ours are cut short
    whenever a child ends while our reader is slow.
    """
    out = sys.stdout
    return open(out.fileno(), "w", encoding=out.encoding, errors=out.errors, closefd=False)


class Supervisor:
    """Run children until told to stop; use as a context manager, from the main thread.

    Leaving the block stops all children, the last started first. SIGINT, SIGTERM and SIGHUP ask
    for that too; a second one, a second later or more, ends them by force.
    """

    def __init__(self) -> None:
        self._output = _standard_output()
        self._coloured = self._output.isatty() and not os.environ.get("NO_COLOR")
        self._selector = selectors.DefaultSelector()
        self._children: list[_Child] = []
        self._stop_requests = 0
        self._bytes_read = 0
        self._stop_requested_at = float("-inf")

    def __enter__(self) -> Self:
        self._wake_reader, wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(wake_writer, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._wake_writer = wake_writer
        self._old_wakeup = signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (*STOP_SIGNALS, signal.SIGCHLD)
            # nohup's wish counts.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        }
        self._strangers = set(process.child_pids())
        process.adopt_orphans()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wakeup)
            self._selector.close()
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    @property
    def was_forced(self) -> bool:
        """Tell whether the operator asked to stop twice."""
        return self._stop_requests > 1

    def say(self, text: str) -> None:
        """Print `text` as the launcher's own words."""
        for line in text.splitlines() or [""]:
            self._print("mps", line, bold=True)

    def start(self, *specs: process.Process, timeout_seconds: float = 60) -> None:
        """Start children side by side and wait until all are ready.

        :raises LauncherError: one ends before it is ready, or is not ready in time.
        :raises StopRequested: the operator asked to stop meanwhile.
        """
        children = [self._add(spec) for spec in specs]
        deadline = time.monotonic() + timeout_seconds
        for child in children:
            self._spawn(child)
        while waiting := [child for child in children if not self._is_ready(child)]:
            if time.monotonic() > deadline:
                missing = ", ".join(child.spec.readiness or child.spec.name for child in waiting)
                raise LauncherError(f"Not ready after {timeout_seconds:g} s: {missing}.")
            self._turn(starting=True)

    def run(self, spec: process.Process) -> None:
        """Run a child that ends by itself, and wait for its end.

        :raises LauncherError: it fails.
        :raises StopRequested: the operator asked to stop meanwhile.
        """
        child = self._add(spec)
        self._spawn(child)
        while child.popen is not None and (code := child.popen.poll()) is None:
            self._turn(starting=True, finite=child)
        self._buried(child)
        self._children.remove(child)
        if code != 0:
            raise LauncherError(
                f"{spec.name} {process.describe_exit(code or 0)}; what it said is above."
            )

    def wait(self) -> None:
        """Keep the children running until the operator asks to stop.

        :raises LauncherError: a child keeps dying.
        """
        with contextlib.suppress(StopRequested):
            while True:
                self._turn()

    def stop(self) -> None:
        """Stop all children, the last started first."""
        running = [child for child in self._children if child.popen is not None]
        if running:
            self.say("Stopping.")
        for child in reversed(running):
            self._stop(child)
        self._children.clear()
        self._drain()

    # The loop -----------------------------------------------------------------------------------

    def _turn(self, *, starting: bool = False, finite: _Child | None = None) -> None:
        """Wait a moment for anything to happen, and see to it."""
        self._read(_TICK_SECONDS)
        if self._stop_requests:
            raise StopRequested
        for child in self._children:
            if child is finite:
                continue
            if child.popen is not None and (code := child.popen.poll()) is not None:
                self._died(child, code, fatal=starting and not child.seen_ready)
            elif child.restart_at is not None and time.monotonic() >= child.restart_at:
                child.restart_at = None
                self._spawn(child)
            elif child.restarts and not child.seen_ready and self._is_ready(child):
                self.say(f"{child.spec.name} is ready again.")

    def _read(self, timeout_seconds: float) -> None:
        for key, _ in self._selector.select(timeout_seconds):
            if isinstance(key.data, _Stream):
                self._read_stream(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_reader, 4096)

    def _read_stream(self, stream: _Stream) -> None:
        try:
            data = os.read(stream.descriptor, _LINE_LIMIT_BYTES)
        except BlockingIOError:
            return
        self._bytes_read += len(data)
        stream.pending += data
        *lines, stream.pending = stream.pending.split(b"\n")
        if not data or len(stream.pending) > _LINE_LIMIT_BYTES:
            lines += [stream.pending] if stream.pending else []
            stream.pending = b""
        for raw in lines:
            line = raw.decode(errors="replace").rstrip("\r")
            muted = stream.child.spec.muted
            if muted is None or not muted.search(line):
                self._print(stream.child.spec.name, line, colour=stream.child.colour)
        if not data:
            self._selector.unregister(stream.descriptor)
            os.close(stream.descriptor)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # SIGCHLD only wakes the loop.
        if number not in STOP_SIGNALS:
            return
        # One wish may arrive twice: from the terminal or `timeout` to the whole group, and again
        # from make, which passes on what it got.
        now = time.monotonic()
        if now - self._stop_requested_at >= SAME_WISH_SECONDS:
            self._stop_requested_at = now
            self._stop_requests += 1

    # A child's life -----------------------------------------------------------------------------

    def _add(self, spec: process.Process) -> _Child:
        child = _Child(spec, _COLOURS[len(self._children) % len(_COLOURS)])
        self._children.append(child)
        return child

    def _spawn(self, child: _Child) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            child.popen = process.spawn(child.spec, output=writer)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._selector.register(reader, selectors.EVENT_READ, _Stream(child, reader))

    def _is_ready(self, child: _Child) -> bool:
        # Not at every turn: asking may make the child write a line, which brings the next turn.
        now = time.monotonic()
        if not child.seen_ready and child.popen is not None and now >= child.ask_again_at:
            child.ask_again_at = now + _TICK_SECONDS
            child.seen_ready = child.spec.is_ready(child.popen.pid)
        return child.seen_ready

    def _died(self, child: _Child, code: int, *, fatal: bool) -> None:
        """Report a death and plan the restart."""
        how = f"{child.spec.name} {process.describe_exit(code)}"
        self._buried(child)
        if fatal:
            raise LauncherError(f"{how} while starting; what it said is above.")
        now = time.monotonic()
        child.restarts.append(now)
        while child.restarts[0] < now - RESTARTS_WITHIN_SECONDS:
            child.restarts.popleft()
        number = len(child.restarts)
        if number > RESTARTS_ALLOWED:
            raise LauncherError(
                f"{how}; it was restarted {RESTARTS_ALLOWED} times within "
                f"{RESTARTS_WITHIN_SECONDS:.0f} s and does not stay up: giving up."
            )
        pause = _BACKOFF_SECONDS[number - 1]
        self.say(f"{how}; restarting it in {pause:g} s.")
        child.restart_at = now + pause

    def _buried(self, child: _Child) -> None:
        """Note that a child has ended, and end what it left behind."""
        pid = child.popen.pid if child.popen is not None else 0
        child.popen = None
        child.seen_ready = False
        if sys.platform != "linux":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            return
        # Its own children are ours now, as no others can be (`process.adopt_orphans`). They would
        # hold its port, its queue or its shared memory against the successor.
        known = {other.popen.pid for other in self._children if other.popen is not None}
        known |= self._strangers
        while orphans := [pid for pid in process.child_pids() if pid not in known]:
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
            for orphan in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, 0)

    # The end ------------------------------------------------------------------------------------

    def _stop(self, child: _Child) -> None:
        popen, spec = child.popen, child.spec
        assert popen is not None
        for number, seconds in self._escalation(spec):
            if popen.poll() is not None:
                break
            if number != spec.stop_signal and not self.was_forced:
                self.say(f"{spec.name} does not stop; ending it by force.")
            popen.send_signal(number)
            forced_before = self.was_forced
            deadline = time.monotonic() + seconds
            while popen.poll() is None and time.monotonic() < deadline:
                self._read(_TICK_SECONDS)
                if self.was_forced and not forced_before:
                    break
        popen.wait()
        self._buried(child)

    def _escalation(self, spec: process.Process) -> Iterator[tuple[signal.Signals, float]]:
        if not self.was_forced:
            yield spec.stop_signal, spec.stop_timeout_seconds
        yield spec.force_signal, 5.0
        yield signal.SIGKILL, 5.0

    def _drain(self) -> None:
        """Show what the children wrote last: until all of it is read, or nothing came for a second.

        The second is for a pipe that somebody outside still holds open.
        """
        quiet_since, seen = time.monotonic(), self._bytes_read
        while len(self._selector.get_map()) > 1 and time.monotonic() < quiet_since + 1:
            self._read(_TICK_SECONDS)
            if self._bytes_read > seen:
                quiet_since, seen = time.monotonic(), self._bytes_read

    # Words --------------------------------------------------------------------------------------

    def _print(self, name: str, line: str, *, colour: int = 0, bold: bool = False) -> None:
        prefix = f"{name:<8} |"
        if self._coloured:
            prefix = f"\x1b[{1 if bold else colour}m{prefix}\x1b[0m"
        try:
            self._output.write(f"{prefix} {line}\n")
            self._output.flush()
        except OSError:
            # Whoever read us has gone (`make run | head`): nobody is left to run for.
            self._stop_requests = max(self._stop_requests, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._output.fileno())
