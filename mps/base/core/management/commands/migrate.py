"""`manage.py migrate`: migrate as the owner of the tables."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS, connections

from mps.base.core import releases, sql_files


class Command(DjangoMigrate):
    """Django's migrate, signed in as `mps_owner`:

    The web login owns nothing and may change no table.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        """Default to the owner's connection."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then apply the files of SQL that changed.

        A migration to an earlier state leaves the files alone: their text is that of the newest.
        """
        if options["database"] in {"owner", DEFAULT_DB_ALIAS}:
            if "owner" not in connections.databases:
                raise CommandError("DATABASE_OWNER_URL is not set: only mps_owner may migrate.")
            options["database"] = "owner"
            if misfit := releases.find_misfit(connections["owner"]):
                raise CommandError(misfit)
        super().handle(*args, **options)
        if (
            options["app_label"]
            or options["plan"]
            or options["check_unapplied"]
            or options["prune"]
        ):
            return
        applied = sql_files.apply_pending(
            connections["owner"],
            on_wait=lambda attempt: self.stderr.write(
                f"A table is in use; trying again in a second (attempt {attempt})."
            ),
        )
        if options["verbosity"]:
            for file in applied:
                self.stdout.write(f"  Applied {file}")
