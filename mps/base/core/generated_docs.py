"""Documents generated from the code, with a check that they are current."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class WriteDocument(BaseCommand):
    """A command that writes a document, or checks that it is current."""

    file: str
    command: str

    def render(self) -> str:
        """Return the document."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to check only."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 if the file is stale"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        file: Path = settings.BASE_DIR / self.file
        text = self.render()
        if not options["check"]:
            file.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {self.file}.")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            raise CommandError(f"{self.file} is stale: run manage.py {self.command}.")
        else:
            self.stdout.write(f"{self.file} is current.")
