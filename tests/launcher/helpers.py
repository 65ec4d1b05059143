"""Run launchers as the operator does: as processes of their own, seen through what they print."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# What a start takes is not judged here; only what will never come is given up.
TIMEOUT_SECONDS = 120


def _clean_environment() -> dict[str, str]:
    """Return our environment without the servers and secrets of this test run."""
    ours = ("DATABASE_", "MPS_", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "DEBUG")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Launched:
    """A launcher under test and the lines it has printed so far."""

    def __init__(self, argv: list[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**_clean_environment(), "PYTHONPATH": str(cwd), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # This run itself may be under nohup, whose wish its children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str, *, times: int = 1) -> str:
        """Return the line that holds `words` for the given time."""
        wait_until(
            lambda: len(self._with(words)) >= times or self.process.poll() is not None,
            lambda: f"no {words!r} in:\n{self.text}",
        )
        self._reader.join(0 if self.process.poll() is None else TIMEOUT_SECONDS)
        found = self._with(words)
        assert len(found) >= times, f"no {words!r} in:\n{self.text}"
        return found[times - 1]

    def _with(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def finish(self, *signals: signal.Signals) -> int:
        """Send `signals`, wait for the end, return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        try:
            code = self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running; it said:\n{self.text}") from None
        self._reader.join(TIMEOUT_SECONDS)
        return code


@contextlib.contextmanager
def launched(*argv: str, cwd: Path = CHECKOUT, **env: str) -> Iterator[Launched]:
    """Run this Python with `argv`; nothing of it is left after the block."""
    launcher = Launched([sys.executable, "-u", *argv], cwd, env)
    try:
        yield launcher
    finally:
        if launcher.process.poll() is None:
            launcher.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.process.wait(TIMEOUT_SECONDS)
            launcher.process.kill()
        launcher.finish()


def wait_until(condition: Callable[[], bool], what: Callable[[], str] = lambda: "") -> None:
    """Wait for `condition`; fail with the words of `what` when it does not come."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Tell whether `pid` runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def descendants(pid: int) -> list[int]:
    """Return the process ids of all children of `pid`, and theirs."""
    parents: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(file.read_text(errors="replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(file.parent.name))
    found, rest = [], [pid]
    while rest:
        children = parents.get(rest.pop(), [])
        found += children
        rest += children
    return found
