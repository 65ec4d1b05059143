"""`manage.py database_url`: print the database URL for psql and BI tools."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

VARIABLES = {
    "web": "DATABASE_URL",
    "owner": "DATABASE_OWNER_URL",
    "report": "DATABASE_REPORT_URL",
    "backup": "DATABASE_BACKUP_URL",
}


class Command(BaseCommand):
    """Print a libpq URL."""

    help = "Print the libpq URL of one of the logins. It holds the password."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the role."""
        parser.add_argument("--role", choices=sorted(VARIABLES), default="web")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        url = os.environ.get(VARIABLES[options["role"]], "")
        if not url:
            raise CommandError(f"{VARIABLES[options['role']]} is not set.")
        self.stdout.write(url)
