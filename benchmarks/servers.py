"""Start temporary servers and a database for a benchmark."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from mps.launcher import embedded, state

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def prepared_database() -> Iterator[psycopg.Connection[Any]]:
    """Start servers, migrate, set Django up; yield a connection of the owner's.

    They are found by `MPS_DATA_DIR`, like those of `make run`, with fsync on as there.
    """
    with tempfile.TemporaryDirectory(prefix="mps-bench-") as folder:
        data_dir = Path(folder) / "data"
        os.environ["MPS_DATA_DIR"] = str(data_dir)
        os.environ["DJANGO_SETTINGS_MODULE"] = "mps.settings"
        try:
            with embedded.servers(data_dir) as current:
                say("preparing the database ...")
                subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, check=True)
                import django

                django.setup()
                _quieten()
                with psycopg.connect(current.database_url("owner"), autocommit=True) as owner:
                    yield owner
        finally:
            embedded.reset(data_dir)


def _quieten() -> None:
    """Write this process's lines about requests nowhere; what it costs to make them is measured."""
    requests = logging.getLogger("mps.requests")
    nowhere = logging.FileHandler(os.devnull)
    nowhere.setFormatter(logging.getLogger().handlers[0].formatter)
    requests.addHandler(nowhere)
    requests.propagate = False


@contextmanager
def web_server(workers: int) -> Iterator[int]:
    """Run the web server on the prepared database, as `make run` does; yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
        *("--workers", str(workers), "--blocking-threads", "1", "--port", str(port)),
        "mps.wsgi:application",
    ]
    # The settings of this process wrote the addresses down; the server's are to find them, too.
    known = state.load(Path(os.environ["MPS_DATA_DIR"]))
    assert known is not None
    environment = {k: v for k, v in os.environ.items() if k not in known.environment()}
    # It writes a line for each request, as in production; nobody reads them here.
    with tempfile.NamedTemporaryFile(prefix="mps-bench-", suffix=".log") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, port, Path(log.name))
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(150):
        if process.poll() is not None:
            raise SystemExit(f"The web server did not start. It said:\n{log.read_text()}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("The web server does not answer.")


def say(text: str) -> None:
    """Tell what is being done, where it is not taken for a result."""
    print(text, file=sys.stderr, flush=True)
