"""Write `mps/base/core/schema.txt` from a fresh database: `make schema`."""

import os
import subprocess
import sys

from mps.launcher import embedded
from tests.servers import ROOT, TEMPLATE

_PROGRAM = """
import django
from django.core.management import call_command

django.setup()
for command in ("bootstrap_database", "migrate", "write_schema"):
    call_command(command, verbosity=0)
"""


def main() -> int:
    """Do it."""
    with embedded.servers_for_tests() as state:
        env = {
            **os.environ,
            **state.environment(),
            "DATABASE_URL": state.database_url("web", TEMPLATE),
            "DATABASE_OWNER_URL": state.database_url("owner", TEMPLATE),
            "DATABASE_REPORT_URL": state.database_url("report", TEMPLATE),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        command = [sys.executable, "-c", _PROGRAM]
        return subprocess.run(command, check=False, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
