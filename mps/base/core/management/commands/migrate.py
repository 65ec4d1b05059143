"""`manage.py migrate`, as the owner of the tables."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS, connections


class Command(DjangoMigrate):
    """Django's migrate, signed in as `mps_owner`:

    The web login owns nothing and may change no table.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        """Default to the owner's connection."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then make the partitions of the coming months."""
        if options["database"] in {"owner", DEFAULT_DB_ALIAS}:
            if "owner" not in connections.databases:
                raise CommandError("DATABASE_OWNER_URL is not set: only mps_owner may migrate.")
            options["database"] = "owner"
        super().handle(*args, **options)
