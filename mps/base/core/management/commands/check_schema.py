"""`manage.py check_schema`: compare the database with the schema this release expects."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mps.base.core import releases, schema


class Command(BaseCommand):
    """Name every table, column, function or grant that differs from this release."""

    help = "Compare the database with what this release expects; exit 1 and name what differs."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        if misfit := releases.find_misfit(connection):
            raise CommandError(misfit)
        if missing := releases.find_missing(connection):
            raise CommandError(f"{missing}: run manage.py migrate.")
        differences = schema.find_differences(connection)
        for difference in differences:
            self.stdout.write(difference)
        if differences:
            raise CommandError(
                f"The database differs from this release in {len(differences)} places. "
                "See docs/upgrading.md."
            )
        self.stdout.write("The database is as this release expects.")
