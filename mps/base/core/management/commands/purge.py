"""`manage.py purge`: delete old sessions and job runs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands, retention


class Command(BaseCommand):
    """Do what the daily job does, now."""

    help = "Delete sessions that ran out, and runs of jobs older than 90 days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; a bar says how far it is."""
        commands.purge(
            self,
            "core.purge",
            retention.purge,
            count=retention.count_old,
            dry_run=options["dry_run"],
        )
