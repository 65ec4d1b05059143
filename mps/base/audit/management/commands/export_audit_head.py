"""`manage.py export_audit_head`: print the signed head of the audit chain."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mps.base.audit import chain
from mps.base.core import commands


class Command(BaseCommand):
    """Write the head as JSON."""

    help = (
        "Write the head of the audit chain, signed with MPS_AUDIT_KEY, as one line of JSON. Keep it"
        " where nobody who can write to the database can: `verify_audit --head` compares."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to."""
        parser.add_argument("--out", metavar="FILE", help="default: standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Export."""
        with commands.refusals_as_sentences():
            line = json.dumps(chain.export_head())
        if not options["out"]:
            self.stdout.write(line)
            return
        try:
            Path(options["out"]).write_text(f"{line}\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['out']}: {error.strerror}") from None
