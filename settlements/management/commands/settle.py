"""`manage.py settle --mode t_plus_1`: settle the shops that are due."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants.models import Merchant
from mps.base.core import commands, context
from mps.base.core.money import show_money
from settlements import services
from settlements.services import Outcome


class Command(BaseCommand):
    """Do what the jobs do, now."""

    help = (
        "Settle every shop of a mode that is due: its last minute, yesterday or last month, and"
        " whatever was left before. Safe to repeat and to interrupt. Exits 1 if a shop could not"
        " be settled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whom, for when, and whether for real."""
        parser.add_argument("--mode", required=True, choices=Merchant.SettlementMode.values)
        parser.add_argument(
            "--merchant", default="", metavar="CODE", help="only this shop, whatever its own mode"
        )
        parser.add_argument(
            "--date", metavar="YYYY-MM-DD", help="the day, or a day of the month, to settle"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what is due")

    def handle(self, *args: Any, **options: Any) -> None:
        """Settle; a line for each shop says how far it is."""
        outcomes = []
        with commands.refusals_as_sentences(), context.acting("system", "manage.py settle"):
            for outcome in services.settle_due(
                mode=options["mode"],
                merchant_code=options["merchant"],
                day=_day(options["date"]),
                dry_run=options["dry_run"],
            ):
                outcomes.append(outcome)
                self.stdout.write(f"[{outcome.number}/{outcome.total}] {_say(outcome)}")
        if not outcomes:
            self.stdout.write("Nothing is due.")
        failed = sum(bool(outcome.error) for outcome in outcomes)
        if failed:
            raise CommandError(f"{failed} of {len(outcomes)} shops could not be settled.")


def _say(outcome: Outcome) -> str:
    """Return what came of a shop, in a line."""
    period = outcome.due.period
    who = f"{outcome.due.merchant_code} {period.start.isoformat()} to {period.end.isoformat()}: "
    if outcome.error:
        return f"{who}failed: {outcome.error}"
    if outcome.settlement is not None:
        settlement = outcome.settlement
        return (
            f"{who}{settlement.tx_count} transactions, net {show_money(settlement.net)}"
            f" {settlement.currency}, {settlement.id}"
        )
    if outcome.waiting:
        return f"{who}would settle {outcome.waiting} transactions"
    return f"{who}settled by somebody else meanwhile"


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError("date: Enter a date, such as 2025-09-29.") from None
