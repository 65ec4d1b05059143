"""`manage.py purge_tokens`: delete old member tokens."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from members import retention
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the daily job does, now."""

    help = "Delete members' tokens that ran out more than 30 days ago."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; a bar says how far it is."""
        commands.purge(
            self,
            "members.purge_tokens",
            retention.purge_tokens,
            count=retention.count_old_tokens,
            dry_run=options["dry_run"],
        )
