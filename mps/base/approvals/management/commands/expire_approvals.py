"""`manage.py expire_approvals`: close staff requests that nobody decided in time."""

from typing import Any

from django.core.management.base import BaseCommand

from mps.base.approvals import services
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the job does, now."""

    help = "Close requests for approval that have expired. Safe to repeat and to interrupt."

    def handle(self, *args: Any, **options: Any) -> None:
        """Close; say how many."""
        closed = commands.run_job("approvals.expire", services.expire_approvals)
        self.stdout.write(f"{closed} requests closed.")
