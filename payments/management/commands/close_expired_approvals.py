"""`manage.py close_expired_approvals`: close payments whose member did not respond in time."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from payments import consents


class Command(BaseCommand):
    """Close the payments that waited too long for their members."""

    help = "Close the payments above the threshold whose members kept silent."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--dry-run`."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, **options: Any) -> None:
        """Close them, or count them."""
        count = consents.close_expired(dry_run=options["dry_run"])
        self.stdout.write(f"{count} {'would be closed' if options['dry_run'] else 'closed'}.")
