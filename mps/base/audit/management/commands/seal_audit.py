"""`manage.py seal_audit`: seal the audit log now."""

from typing import Any

from django.core.management.base import BaseCommand

from mps.base.audit import chain
from mps.base.core import commands


class Command(BaseCommand):
    """Do what the job does, now."""

    help = "Seal all audit events that are in no seal yet. Safe to repeat and to interrupt."

    def handle(self, *args: Any, **options: Any) -> None:
        """Seal; say how many."""
        self.stdout.write(f"{commands.run_job('audit.seal', chain.seal_events)} events sealed.")
