"""`manage.py compare_top_ups --date 2025-09-29`: compare top-ups with the providers' records."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mps.base.core import commands
from mps.base.core.jobs import Result
from payments import topup_comparison


class Command(BaseCommand):
    """Do what the daily job does, now."""

    help = (
        "Compare members' top-ups with what the providers say was paid. Credits nothing: the"
        " console's act on a top-up asks the provider and does. Exits 1 if anything differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the day."""
        parser.add_argument(
            "--date", metavar="YYYY-MM-DD", help="a day; default: the three up to yesterday"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare; a line for each difference."""
        day = _day(options["date"])
        found: list[topup_comparison.Comparison] = []

        def compare() -> Result:
            found.append(topup_comparison.compare_top_ups(day=day))
            return {"compared": found[0].compared, "differences": len(found[0].differences)}

        commands.run_job("payments.compare_top_ups", compare)
        (done,) = found
        for each in done.differences:
            self.stdout.write(
                f"{each.kind} {each.provider} {each.order_id}:"
                f" here {each.here or 'nothing'}, there {each.there or 'nothing'}"
            )
        for name in done.unreachable:
            self.stderr.write(f"{name} could not be asked.")
        self.stdout.write(f"{done.compared} compared, {len(done.differences)} differ.")
        if done.differences or done.unreachable:
            raise CommandError("Not everything agrees.")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError("date: Enter a date, such as 2025-09-29.") from None
