"""`manage.py make_partitions`: run the job that creates the coming months' partitions."""

from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands, retention


class Command(BaseCommand):
    """Do what the daily job does, now; unlike `ensure_partitions` it needs no owner's login."""

    help = "Make every partitioned table's month partitions, from this month to four months ahead."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        made = commands.run_job("core.make_partitions", retention.make_partitions)
        self.stdout.write(f"{made} partitions made.")
