"""`manage.py write_schema`: write the database schema this release expects."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from mps.base.core import releases, schema


class Command(BaseCommand):
    """Write `schema.txt` from a database that was just migrated."""

    help = "Write mps/base/core/schema.txt, with which check_schema compares (for developers)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the option to look only."""
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 if the file is not current"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        connection = connections["default"]
        if missing := releases.find_missing(connection):
            raise CommandError(f"{missing}: run manage.py migrate first.")
        text = schema.render(
            schema.read_schema(connection),
            major_version=schema.read_major_version(connection),
        )
        if not options["check"]:
            schema.FILE.write_text(text, encoding="utf-8")
        elif schema.FILE.read_text(encoding="utf-8") != text:
            raise CommandError("mps/base/core/schema.txt is not current: make schema")
