"""The servers of a test run: started once, by whoever runs pytest first; xdist's workers find them
by environment.

Loaded as a plugin (`-p tests.servers` in pyproject.toml), because Django's settings are read before
any conftest.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "mps_template"
_PREPARE = """
import django
from django.core.management import call_command

django.setup()
for command in ("bootstrap_database", "migrate", "ensure_partitions"):
    call_command(command, verbosity=0)
"""
_running = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start PostgreSQL and Valkey and migrate the template database, unless a parent process
    did."""
    if "MPS_TEST_SUPERUSER_URL" in os.environ:
        return
    from mps.launcher import embedded

    state = _running.enter_context(embedded.servers_for_tests())
    os.environ.update(state.environment())
    os.environ.update(
        DATABASE_URL=state.database_url("web", TEMPLATE),
        DATABASE_OWNER_URL=state.database_url("owner", TEMPLATE),
        DATABASE_REPORT_URL=state.database_url("report", TEMPLATE),
        MPS_TEST_SUPERUSER_URL=state.database_url("superuser", "postgres"),
        DATABASE_SUPERUSER_URL=state.database_url("superuser", "postgres"),
        DJANGO_SETTINGS_MODULE="tests.settings",
    )
    try:
        # One process for all three: each would take two seconds to start.
        subprocess.run(
            [sys.executable, "-c", _PREPARE], cwd=ROOT, check=True, env=os.environ.copy()
        )
    except BaseException:
        _running.close()
        raise


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> Generator[None, None, None] | None:
    """Stop what was started here."""
    _running.close()
    return None
