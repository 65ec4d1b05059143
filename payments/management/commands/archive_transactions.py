"""`manage.py archive_transactions`: move old months of transactions to the archive."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands
from payments import retention


class Command(BaseCommand):
    """Do what the weekly job does, now."""

    help = (
        "Move the month partitions of transactions that are wholly older than a year into the"
        " schema archive. They stay attached, so every look at all transactions still sees them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say which months")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; name each month."""
        if options["dry_run"]:
            months = list(retention.find_archivable())
            for month in months:
                self.stdout.write(f"{month} would be moved")
            if not months:
                self.stdout.write("Nothing is old enough.")
            return

        def archive() -> int:
            moved = 0
            for month in retention.archive_transactions():
                moved += 1
                self.stdout.write(f"{month} moved")
            return moved

        self.stdout.write(f"{commands.run_job('payments.archive_transactions', archive)} moved.")
