"""`manage.py rotate_codes`: replace all active codes of shared cards."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from cards import rotation
from mps.base.core import commands


class Command(BaseCommand):
    """Rotate now, however young the codes are."""

    help = (
        "Give every live code of active prepaid and corporate cards a successor; the old ones are"
        " dead at once. Safe to interrupt."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how long the successors live, which codes, and whether for real."""
        parser.add_argument("--ttl-seconds", type=int, default=rotation.TTL_SECONDS)
        parser.add_argument(
            "--due-only", action="store_true", help="only those the job would rotate now"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate; a bar says how far it is."""
        all_live = not options["due_only"]
        if options["dry_run"]:
            due = sum(batch.size for batch in rotation.find_due(all_live=all_live))
            self.stdout.write(f"{due} codes would be rotated.")
            return

        def rotate() -> int:
            with commands.progress(self.stderr, "codes") as show:
                done = 0
                for each in rotation.rotate_in_batches(
                    ttl_seconds=options["ttl_seconds"], all_live=all_live
                ):
                    done = each.done
                    show(each.done, each.total)
                return done

        self.stdout.write(f"{commands.run_job('cards.rotate_codes', rotate)} codes rotated.")
