"""`manage.py verify_audit`: check whether the audit log was altered."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mps.base.audit import chain
from mps.base.core import commands


class Command(BaseCommand):
    """Compute the chain anew; exit 1 with the first thing that is wrong."""

    help = (
        "Check that every audit event is as it was sealed, that none is missing and none was put"
        " in. With a head that was exported before it also finds a chain that was made anew, or"
        " cut off. Exits 1 and names the first bad row."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a head, and where to begin."""
        parser.add_argument("--head", metavar="FILE", help="what export_audit_head wrote")
        parser.add_argument(
            "--from", dest="from_number", type=int, default=1, metavar="N",
            help="begin with this seal and believe those before it",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify."""
        head = _read(Path(options["head"])) if options["head"] else None
        with (
            commands.refusals_as_sentences(),
            commands.progress(self.stderr, "events") as on_progress,
        ):
            flaw = chain.verify(
                from_number=options["from_number"], head=head, on_progress=on_progress
            )
        if flaw is not None:
            self.stderr.write(str(flaw))
            sys.exit(1)
        self.stdout.write("The audit chain verifies.")


def _read(file: Path) -> dict[str, Any]:
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"{file}: This is no JSON document.") from None
    if not isinstance(head, dict):
        raise CommandError(f"{file}: This is no head of an audit chain.")
    return head
