"""How an amount is read, rounded and shown."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from mps.base.core.errors import InvalidAmountError
from mps.base.core.money import CENT, JsonNumber, parse_amount, round_money, show_money, show_rate


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("299.00", "299.00"),
        ("299", "299.00"),
        ("0.01", "0.01"),
        ("0.1", "0.10"),
        ("007.5", "7.50"),
        (JsonNumber("12.3"), "12.30"),
        ("9999999.99", "9999999.99"),
    ],
)
def test_amounts(written: str, amount: str) -> None:
    read = parse_amount(written)

    assert str(read) == amount
    assert show_money(read) == amount


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "0", "0.0", "0.00", "-0.00", "-1", "+1", "0.001", "1.000", ".5", "5.", "1.2.3"),
        *("NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E+2", "1e2", "1_000", "1,000", "0x10"),
        *(" 10 ", "10\n", "\uff11\uff12.\uff13\uff14", "\u0661\u0662", "1\u00a00", "10\x00"),
        *("10000000.00", "9999999999999", "1" * 100, JsonNumber("1e1"), JsonNumber("-5")),
        *(None, True, False, 1, 1.5, Decimal(1), float("nan"), [], {}, b"1", ["1"]),
    ],
)
def test_what_is_no_amount(written: Any) -> None:
    with pytest.raises(InvalidAmountError):
        parse_amount(written)


@given(st.integers(1, 999_999_999))
def test_what_is_shown_is_read_again(cents: int) -> None:
    amount = Decimal(cents) / 100

    assert parse_amount(show_money(amount)) == amount


@given(st.text())
def test_whatever_is_written_is_an_amount_or_refused(text: str) -> None:
    try:
        amount = parse_amount(text)
    except InvalidAmountError:
        return
    assert amount > 0
    assert amount == round(amount, 2)
    assert text.isascii()


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("0.005", "0.01"),
        ("0.0049", "0.00"),
        ("2.675", "2.68"),
        ("1.005", "1.01"),
        ("-0.005", "-0.01"),
    ],
)
def test_halves_are_rounded_up(exact: str, rounded: str) -> None:
    assert str(round_money(Decimal(exact))) == rounded


@pytest.mark.parametrize(
    ("rate", "shown"),
    [("0.95", "0.95"), ("1", "1.00"), ("0.875", "0.875"), ("0.9", "0.90"), ("0.0001", "0.0001")],
)
def test_rates_are_shown_with_two_to_four_decimals(rate: str, shown: str) -> None:
    assert show_rate(Decimal(rate)) == shown


def test_an_amount_above_the_most_there_may_be_is_told_so() -> None:
    with pytest.raises(InvalidAmountError) as refusal:
        parse_amount(str(settings.MPS_MAX_AMOUNT + CENT))

    assert refusal.value.detail == f"Must be at most {settings.MPS_MAX_AMOUNT}."
