"""Servers and a database of a benchmark's own, thrown away afterwards."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from mps.launcher import embedded

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
            with embedded.servers(data_dir) as state:
                say("preparing the database ...")
                subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, check=True)
                import django

                django.setup()
                with psycopg.connect(state.database_url("owner"), autocommit=True) as owner:
                    yield owner
        finally:
            embedded.reset(data_dir)


def say(text: str) -> None:
    """Tell what is being done, where it is not taken for a result."""
    print(text, file=sys.stderr, flush=True)
