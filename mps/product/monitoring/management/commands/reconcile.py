"""`manage.py reconcile`: check that the books balance."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from mps.base.core import commands, context
from mps.product.monitoring import services


class Command(BaseCommand):
    """Do what the job does, now; or check every invariant on everything."""

    help = (
        "Compare balances, entries, postings and transactions since the last clean run, and alert"
        " as the job does. Repairs nothing. Exits 1 if anything differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how much to look at."""
        parser.add_argument(
            "--full",
            action="store_true",
            help="check every invariant on the whole database; needs DATABASE_OWNER_URL",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        with context.acting("system", "manage.py reconcile"):
            differences = self._fully() if options["full"] else self._lately()
        for name, offenders in differences.items():
            self.stderr.write(f"{name}: {', '.join(offenders)}")
        if differences:
            raise CommandError("The books differ; see docs/watching.md.")
        self.stdout.write("The books add up.")

    def _lately(self) -> dict[str, list[str]]:
        done = services.watch_books()
        if done is None:
            raise CommandError(f"{services.RECONCILE_JOB} is running already; nothing was done.")
        differences: dict[str, list[str]] = done["differences"]
        return differences

    def _fully(self) -> dict[str, list[str]]:
        if "owner" not in connections.databases:
            raise CommandError("DATABASE_OWNER_URL is not set: only mps_owner sees everything.")
        with commands.progress(self.stderr, "invariants") as show:
            return services.reconcile_fully(progress=show)
