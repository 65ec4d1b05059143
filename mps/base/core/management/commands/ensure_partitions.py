"""`manage.py ensure_partitions`: create the partitions of the coming months."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

MONTHS_BACK = 1
MONTHS_AHEAD = 4


class Command(BaseCommand):
    """Make the partitions that are missing; safe to repeat."""

    help = "Make every partitioned table's month partitions, from last month to four months ahead."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how far back and ahead."""
        parser.add_argument("--months-back", type=int, default=MONTHS_BACK)
        parser.add_argument("--months-ahead", type=int, default=MONTHS_AHEAD)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        if "owner" not in connections.databases:
            raise CommandError("DATABASE_OWNER_URL is not set: only mps_owner may make partitions.")
        made = ensure_partitions(options["months_back"], options["months_ahead"])
        if options["verbosity"]:
            self.stdout.write(f"{made} partitions made.")


def ensure_partitions(months_back: int = MONTHS_BACK, months_ahead: int = MONTHS_AHEAD) -> int:
    """Make the missing partitions as the owner; return how many."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT ensure_partitions(%s, %s)", [months_back, months_ahead])
        return int(cursor.fetchone()[0])
