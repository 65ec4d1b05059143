"""`manage.py purge_idempotency`: delete old stored responses."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands
from payments import retention


class Command(BaseCommand):
    """Do what the daily job does, now."""

    help = "Delete stored answers to idempotency keys that are older than 30 days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; a bar says how far it is."""
        commands.purge(
            self,
            "payments.purge_idempotency",
            retention.purge_idempotency,
            count=retention.count_old_idempotency,
            dry_run=options["dry_run"],
        )
