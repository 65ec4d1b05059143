"""Fields take exactly what is documented, and nothing that merely looks like it."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers

from mps.base.core import errors, fields, money
from mps.base.core.money import JsonNumber


def refused(field: Any, value: Any) -> None:
    """Check that a value does not pass."""
    with pytest.raises(serializers.ValidationError):
        field.run_validation(value)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        *(("0.01", "0.01"), ("1", "1.00"), ("299.5", "299.50"), ("007", "7.00")),
        *(("9999999.99", "9999999.99"), (JsonNumber("10.05"), "10.05"), (JsonNumber("3"), "3.00")),
    ],
)
def test_amounts_are_read_exactly(written: str, amount: str) -> None:
    read = fields.Money().run_validation(written)
    assert str(read) == amount


@pytest.mark.parametrize(
    "written",
    [
        *("0", "0.00", "-1", "+1", "1.001", "1e2", "NaN", "Infinity", " 1", "1 ", "1\n", "", "."),
        *("1_000", "1,000", "１", "٣", "0x1", "10000000.00", "9" * 13, "1.", ".5", "²"),
        *(1, 1.0, True, None, [], {}, Decimal(1), JsonNumber("1e2"), JsonNumber("-0.00")),
    ],
)
def test_what_is_no_amount_is_refused_as_one(written: Any) -> None:
    with pytest.raises(serializers.ValidationError) as error:
        fields.Money(allow_null=False).run_validation(written)
    codes = [detail.code for detail in error.value.detail]
    assert codes == [errors.InvalidAmountError.code] or written is None


@given(st.decimals("0.01", "9999999.99", places=2))
def test_an_amount_that_is_written_is_read_again(amount: Decimal) -> None:
    assert money.parse_amount(money.show_money(amount)) == amount


@given(st.text(max_size=20))
def test_any_text_is_an_amount_or_refused_as_one(text: str) -> None:
    try:
        amount = money.parse_amount(text)
    except errors.InvalidAmountError:
        return
    assert text.isascii()
    assert amount == Decimal(text)
    assert 0 < amount <= Decimal("9999999.99")


@pytest.mark.parametrize("value", ["a", "  a  ", "é", "卡片", "a\N{NO-BREAK SPACE}b", "x" * 10])
def test_text_is_taken(value: str) -> None:
    assert fields.Text(max_length=10).run_validation(value) == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        *(
            "a\x00",
            "a\nb",
            "\t",
            "\n",
            "\x7f",
            "\x85",
            "\u2028",
            "\u2029",
            "\ud800",
            "x" * 11,
            "",
            " ",
        ),
        *(1, 1.5, True, None, [], {}, b"a", JsonNumber("1")),
    ],
)
def test_other_text_is_refused(value: Any) -> None:
    refused(fields.Text(max_length=10), value)


@pytest.mark.parametrize("value", ["\n", "\x85", "\u2028", " \x0b "])
def test_control_characters_are_not_blank(value: str) -> None:
    refused(fields.Text(max_length=10, allow_blank=True), value)


def test_every_text_has_a_limit() -> None:
    with pytest.raises(TypeError):
        fields.Text()


def test_a_secret_is_taken_as_it_is_and_never_shown() -> None:
    field = fields.Secret(max_length=20)
    assert field.run_validation("  two words ") == "  two words "
    assert field.write_only
    refused(field, "a\x00b")


@pytest.mark.parametrize("value", ["a", "A.b_c:d-9", "x" * 64])
def test_order_ids_are_taken(value: str) -> None:
    assert fields.OrderId().run_validation(value) == value


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\n", "é", "１", "x" * 65, "a/b", 1, None, JsonNumber("1"), []]
)
def test_other_order_ids_are_refused(value: Any) -> None:
    refused(fields.OrderId(), value)


@pytest.mark.parametrize(("written", "value"), [("0", 0), ("-7", -7), ("999999999", 999999999)])
def test_whole_numbers_are_taken(written: str, value: int) -> None:
    assert fields.Whole().run_validation(JsonNumber(written)) == value


@pytest.mark.parametrize(
    "value",
    [*("1", 1, True, None, 1.0, []), *map(JsonNumber, ("1.0", "1e2", "9999999999", "--1", "-"))],
)
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    refused(fields.Whole(), value)


@pytest.mark.parametrize("value", ["true", "on", "1", 1, 0, None, [], JsonNumber("1")])
def test_a_flag_is_true_or_false(value: Any) -> None:
    assert fields.Flag().run_validation(True) is True
    assert fields.Flag().run_validation(False) is False
    refused(fields.Flag(), value)


@pytest.mark.parametrize("value", ["c", "A", "", 1, True, None, [], {}, JsonNumber("1")])
def test_a_choice_is_one_of_a_few_strings(value: Any) -> None:
    field = fields.Choice(choices=["a", "b", "1"])
    assert field.run_validation("a") == "a"
    assert field.run_validation("1") == "1"
    refused(field, value)


@pytest.mark.parametrize("value", ["0.95", "1", "0.0001", "1.0000", JsonNumber("0.5")])
def test_rates_are_taken(value: str) -> None:
    assert fields.Rate().run_validation(value) == Decimal(value)


@pytest.mark.parametrize("value", ["0", "0.0", "1.1", "2", "0.00001", "-1", "1e-1", 1, None, ".5"])
def test_other_rates_are_refused(value: Any) -> None:
    refused(fields.Rate(), value)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [("1", "1.00"), ("0.95", "0.95"), ("0.875", "0.875"), ("0.9", "0.90"), ("0.1234", "0.1234")],
)
def test_rates_are_shown_with_two_to_four_decimals(rate: str, shown: str) -> None:
    assert fields.Rate().to_representation(Decimal(rate)) == shown


def test_times_are_shown_in_utc_with_microseconds() -> None:
    taipei = datetime(2025, 9, 29, 12, 0, tzinfo=timezone(timedelta(hours=8)))
    assert fields.Moment().to_representation(taipei) == "2025-09-29T04:00:00.000000Z"
    assert fields.Moment().to_representation(taipei.astimezone(UTC)).endswith("04:00:00.000000Z")


def nested(levels: int) -> dict[str, Any]:
    tag: dict[str, Any] = {}
    for _ in range(levels - 1):
        tag = {"a": tag}
    return tag


def test_tags_are_objects_up_to_their_bounds() -> None:
    field = fields.Tag()
    for value in ({}, {"a": [1, "b", None, True]}, nested(8), {"a": "x" * 4000}):
        assert field.run_validation(value) == value
        assert field.to_representation(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *([], "a", 1, True, None, nested(9), {"a": [[[[[[[[]]]]]]]]}, {"a": "x" * 4096}),
        *({"a": "卡" * 1400}, {"a": JsonNumber("1e400")}, {"a": [{"b": JsonNumber("-1e999")}]}),
    ],
)
def test_other_tags_are_refused(value: Any) -> None:
    refused(fields.Tag(), value)


def test_numbers_in_a_tag_are_taken_as_they_are() -> None:
    value = {"a": JsonNumber("1e300"), "b": [JsonNumber("-0.5")]}
    assert fields.Tag().run_validation(value) == value
