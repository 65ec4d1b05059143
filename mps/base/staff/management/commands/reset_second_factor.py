"""`manage.py reset_second_factor NAME`: reset all second factors of a member of staff."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands, context
from mps.base.staff import services


class Command(BaseCommand):
    """Take somebody's second factors away."""

    help = (
        "Take the second factors of a staff user away and end their sessions; at the next sign-in"
        " they set up a new one. Make sure who is asking."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whose."""
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        with (
            commands.refusals_as_sentences(),
            context.acting("system", "manage.py reset_second_factor"),
        ):
            gone = services.reset_second_factor(username=options["username"])
        self.stdout.write(f"{options['username']}: {gone} factors taken away.")
