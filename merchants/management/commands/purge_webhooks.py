"""`manage.py purge_webhooks`: delete old webhook events."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from merchants.webhooks import delivery
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the daily job does, now."""

    help = "Delete webhook events older than 30 days that wait for nothing, with their deliveries."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether for real."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; a bar says how far it is."""
        commands.purge(
            self,
            "merchants.purge_webhooks",
            delivery.purge_events,
            count=delivery.count_old_events,
            dry_run=options["dry_run"],
        )
