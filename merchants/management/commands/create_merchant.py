"""`manage.py create_merchant --code C --name N`: a shop with its first till, whose key is shown
once.
"""

import argparse
import json
from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from merchants import services
from merchants.models import Merchant
from mps.base.core import commands


class Command(BaseCommand):
    """Open a shop."""

    help = (
        "Open a shop with a first till; prints one JSON line with merchant_id, merchant_code,"
        " terminal_id and the till's key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the shop and the name of its till."""
        parser.add_argument("--code", required=True, help="A-Z 0-9 _ -, e.g. SHOP001")
        parser.add_argument("--name", required=True)
        parser.add_argument("--fee-rate", default="0", help="part the platform keeps; 0.02 is 2 %%")
        parser.add_argument(
            "--settlement-mode",
            default=Merchant.SettlementMode.T_PLUS_1.value,
            help=", ".join(Merchant.SettlementMode.values),
        )
        parser.add_argument("--time-zone", default="", help="default: MPS_TIME_ZONE")
        parser.add_argument("--contact", default="")
        parser.add_argument("--terminal", default="Till 1", help="name of the first till")
        parser.add_argument(
            "--can-top-up",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="whether the till may take cash top-ups",
        )
        parser.add_argument(
            "--can-manage-webhooks",
            action=argparse.BooleanOptionalAction,
            default=False,
            help="whether the till's key may manage the shop's webhook endpoints",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Open it and print the key."""
        with commands.refusals_as_sentences():
            merchant, terminal, key = services.open_shop(
                code=options["code"],
                name=options["name"],
                contact=options["contact"],
                settlement_mode=options["settlement_mode"],
                fee_rate=_rate(options["fee_rate"]),
                time_zone=options["time_zone"],
                terminal_name=options["terminal"],
                can_top_up=options["can_top_up"],
                can_manage_webhooks=options["can_manage_webhooks"],
            )
        self.stdout.write(
            json.dumps(
                {
                    "merchant_id": str(merchant.id),
                    "merchant_code": merchant.code,
                    "terminal_id": str(terminal.id),
                    "key": key,
                }
            )
        )


def _rate(text: str) -> Decimal:
    """Read a rate; whether it is within bounds, the service knows."""
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite():
        raise CommandError("fee_rate: Must be from 0 to 1, with at most four decimal places.")
    return rate
