"""`manage.py drop_code_history`: delete old payment codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from cards import rotation
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the weekly job does, now."""

    help = "Drop the months of past payment codes that are wholly older than 30 days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say which months")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; name each month."""
        if options["dry_run"]:
            months = list(rotation.drop_code_history(dry_run=True))
            for month in months:
                self.stdout.write(f"{month} would be dropped")
            if not months:
                self.stdout.write("Nothing is old enough.")
            return
        dropped: list[str] = []

        def drop() -> int:
            dropped.extend(rotation.drop_code_history())
            return len(dropped)

        commands.run_job("cards.drop_code_history", drop)
        for month in dropped:
            self.stdout.write(f"{month} dropped")
        if not dropped:
            self.stdout.write("Nothing is old enough.")
