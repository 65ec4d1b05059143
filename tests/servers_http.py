"""A web server of our own for tests that need real HTTP, on the test's own database.

Import the fixture where it is used: `from tests.servers_http import live_server_url  # noqa: F401`
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import url_for
from tests.servers import ROOT

START_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def serve(database: str, log: Path, *, workers: int = 1, **environment: str) -> Iterator[str]:
    """Serve `database` by granian on a free loopback port; yields the base URL.

    :param log: a file for the server's own output.
    :param environment: what differs from the tests' environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "granian", "mps.wsgi:application", "--interface", "wsgi"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-ws"),
        *("--workers", str(workers), "--blocking-threads", "1", "--workers-kill-timeout", "10"),
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": url_for(os.environ["DATABASE_URL"], database),
                "DATABASE_OWNER_URL": url_for(os.environ["DATABASE_OWNER_URL"], database),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(server, f"{url}/healthz", log, START_SECONDS)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@pytest.fixture
def live_server_url(database: str, tmp_path: Path) -> Iterator[str]:
    """The base URL of a server on this test's database; it is stopped before the database goes."""
    with serve(database, tmp_path / "web.log") as url:
        yield url


def wait_until_ready(
    server: "subprocess.Popen[bytes]", url: str, log: Path, patience_seconds: float
) -> None:
    """Wait until `url` answers 200; :raises AssertionError: with the log if it never does."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(errors='replace')}")
