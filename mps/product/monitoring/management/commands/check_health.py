"""`manage.py check_health`: run the health checks."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mps.base.core import context
from mps.product.monitoring import services


class Command(BaseCommand):
    """Do what the job does, now; from cron elsewhere it sees beat and Redis die, too."""

    help = (
        "Check the platform's health, and alert as the job does. Exits 1 if anything is wrong, a"
        " line for each."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        with context.acting("system", "manage.py check_health"):
            findings = services.watch_health()
        if findings is None:
            raise CommandError(f"{services.HEALTH_JOB} is running already; nothing was done.")
        for finding in findings:
            self.stderr.write(f"{finding.kind}: {json.dumps(finding.details, default=str)}")
        if findings:
            raise CommandError(f"{len(findings)} findings; see docs/watching.md.")
        self.stdout.write("All is well.")
