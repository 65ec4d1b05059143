"""`manage.py deliver_webhooks`: send the webhooks that are due."""

from typing import Any

from django.core.management.base import BaseCommand

from merchants.webhooks import delivery
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the job does, now."""

    help = (
        "Send the webhooks that are due, for at most a minute. Safe to repeat and to interrupt:"
        " what was on its way is sent again, under the same id."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Send; say what came of it."""
        result = commands.run_job("merchants.deliver_webhooks", delivery.deliver_due)
        assert isinstance(result, dict)
        self.stdout.write(f"{result['delivered']} delivered, {result['failed']} failed.")
