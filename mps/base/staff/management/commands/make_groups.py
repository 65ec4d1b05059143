"""`manage.py make_groups`: create the initial groups of staff."""

from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core.commands import refusals_as_sentences
from mps.base.staff import groups


class Command(BaseCommand):
    """Make those that are not there; leave the others as they are."""

    help = "Make the groups support, finance, risk and administrator, if they are not there."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; say which."""
        with refusals_as_sentences():
            made = groups.make_missing()
        if options["verbosity"]:
            self.stdout.write(f"Made: {', '.join(made) or 'none, all are there'}")
