"""Valkey: its configuration and its process."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from mps.launcher import places, process, state


def as_process(place: places.Place, program: Path, port: int, password: str) -> process.Process:
    """Write the configuration; return the server as a process to start."""
    folder = place.home / "valkey"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        os.chown(folder, *place.owner)
    config = place.home / "valkey.conf"
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        f"bind {state.HOST}",
        f"port {port}",
        # In a file of mode 0600: everybody can read a command line.
        f"requirepass {password}",
        f'dir "{quoted}"',
        "appendonly no",
        "save 300 1 60 10000" if place.durable else 'save ""',
        # A full disk must not stop sign-in and limits.
        "stop-writes-on-bgsave-error no",
        "loglevel warning",
        "always-show-logo no",
    ]
    state.write_private(config, "\n".join(lines) + "\n", owner=place.owner)
    return process.Process(
        name="valkey",
        argv=[str(program), str(config)],
        env=process.server_environment(),
        cwd=place.home,
        account=place.account,
        umask=0o077,
        is_ready=lambda _pid: _answers(port, password),
        # Advice for the owner of a production machine; a snapshot that fails is retried.
        muted=re.compile("Memory overcommit must be enabled"),
    )


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((state.HOST, port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (part := connection.recv(256)):
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
