"""`manage.py load_demo`: load people, shops and a week of history to try MPS."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from mps.base.core import commands
from mps.product.demo import services


class Command(BaseCommand):
    """Load the demonstration."""

    help = (
        "Load three members, four shops and a week of history into a database without members,"
        " and write <MPS_DATA_DIR>/demo-credentials.txt. Does nothing where there are members."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        if not settings.MPS_DEMO:
            raise CommandError(
                "MPS_DEMO is not 1: the demonstration's passwords are public, so it is loaded only"
                " where that is meant."
            )
        if "owner" not in connections.databases:
            raise CommandError("DATABASE_OWNER_URL is not set: only mps_owner may write the past.")
        with commands.refusals_as_sentences():
            done = services.load(lambda text: self.stderr.write(text, str))
        self.stdout.write(done)
