"""`manage.py prepare`: prepare a database for taking payments."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from mps.base.core import releases, schema
from mps.base.core.management.commands.ensure_partitions import ensure_partitions


class Command(BaseCommand):
    """Bootstrap (with a superuser's URL), migrate, make what is needed, load the demonstration."""

    help = (
        "Make the database fit to serve: roles (if DATABASE_SUPERUSER_URL is set), migrations,"
        " partitions, the groups of staff, and the demonstration if MPS_DEMO=1. Safe to repeat."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take nothing: the environment says it all."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        if os.environ.get("DATABASE_SUPERUSER_URL"):
            call_command("bootstrap_database", verbosity=0)
        if "owner" not in connections.databases:
            raise CommandError(
                "DATABASE_OWNER_URL is not set: beside DATABASE_URL it must be, for mps_owner makes"
                " the tables."
            )
        if misfit := releases.find_misfit(connections["owner"]):
            raise CommandError(misfit)
        if releases.find_missing(connections["owner"]):
            self.stdout.write("Creating or changing tables and functions ...")
            call_command("migrate", verbosity=0, interactive=False)
        if differences := schema.find_differences(connections["owner"], additions=False):
            raise CommandError(
                f"The database is not what this release needs: {', '.join(differences[:5])}. "
                "See docs/upgrading.md."
            )
        ensure_partitions()
        call_command("make_groups", verbosity=0)
        if settings.MPS_DEMO:
            call_command("load_demo")
