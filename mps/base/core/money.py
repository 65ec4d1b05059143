"""Parse, round and format amounts. No other module does this."""

import re
from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings
from django.utils.translation import gettext

from mps.base.core.errors import InvalidAmountError

CENT = Decimal("0.01")
_BEYOND = Decimal(10) ** 12
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)


class JsonNumber(str):
    """A JSON number exactly as it was written;

    The parser makes these so that no float ever stands between.
    """

    __slots__ = ()


def parse_amount(value: object, *, or_zero: bool = False) -> Decimal:
    """Read an amount of money from a string or a JSON number.

    Digits, and at most two decimals; no sign, exponent, space or other script. From 0.01 to
    `MPS_MAX_AMOUNT`.

    :param or_zero: take 0.00, too.
    :raises InvalidAmountError: if it is anything else.
    """
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise InvalidAmountError
    amount = Decimal(value)
    if not (amount or or_zero):
        raise InvalidAmountError
    if amount > settings.MPS_MAX_AMOUNT:
        raise InvalidAmountError(
            gettext("Must be at most %(amount)s.") % {"amount": show_money(settings.MPS_MAX_AMOUNT)}
        )
    return amount.quantize(CENT)


def is_exact(value: Decimal) -> bool:
    """Tell whether it is a number that `numeric(14, 2)` keeps as it is."""
    return value.is_finite() and abs(value) < _BEYOND and value == value.quantize(CENT)


def round_money(value: Decimal) -> Decimal:
    """Round half up to the currency's minor unit."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def show_money(value: Decimal) -> str:
    """Write an amount with exactly two decimals, as the API does."""
    return f"{value:.2f}"


def show_rate(value: Decimal) -> str:
    """Write a rate with two decimals, or up to four where it has them: `0.95`, `0.875`."""
    text = f"{value:.4f}"
    return text[:-2] + text[-2:].rstrip("0")
