"""`manage.py expire_top_ups`: close top-ups that were not paid in time."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands
from payments import member_topups


class Command(BaseCommand):
    """Do what the job of every minute does, now."""

    help = "Close members' top-ups that nobody paid in time. What is paid later is credited, too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Close them, or count them."""
        if options["dry_run"]:
            self.stdout.write(f"{member_topups.count_expirable()} would be closed.")
            return
        closed = commands.run_job("payments.expire_top_ups", member_topups.expire_top_ups)
        self.stdout.write(f"{closed} closed.")
