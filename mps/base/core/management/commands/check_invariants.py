"""`manage.py check_invariants`: check the whole database for consistency."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import invariants


class Command(BaseCommand):
    """Check every invariant; exit 1 with the first offender of each that does not hold."""

    help = "Check the invariants of the ledger, payments and audit on the whole database."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        breaches = invariants.check()
        for breach in breaches:
            self.stderr.write(f"{breach.invariant}: {breach.offender}")
        if breaches:
            sys.exit(1)
        self.stdout.write("All invariants hold.")
