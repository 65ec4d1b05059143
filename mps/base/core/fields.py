"""Strict serializer fields that accept only the documented formats."""

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mps.base.core import days, errors, money, text_validation

# "." and ".." are no path segments: a client would leave them out of the address of a reversal.
_ORDER_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,64}", re.ASCII)
MAX_TAG_BYTES = 4096
MAX_TAG_DEPTH = 8


class Text(serializers.CharField):
    """A JSON string that can be read: see `text_validation`."""

    default_error_messages = {"control": "Control characters are not allowed."}
    unwanted = text_validation.UNWANTED

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("max_length") is None:
            raise TypeError("every text has a length limit")
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse what cannot be read before a text made of nothing else passes as blank."""
        if type(data) is str and self.unwanted.search(data):
            self.fail("control")
        if type(data) is str and data and not self.allow_blank and not self._is_visible(data):
            self.fail("blank")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        """Take a JSON string only: numbers and booleans are not text."""
        if type(data) is not str:
            self.fail("invalid")
        return super().to_internal_value(data)

    def _is_visible(self, data: str) -> bool:
        return text_validation.is_visible(data)


class Secret(Text):
    """A password: taken as it is, spaces and all, and never shown."""

    unwanted = text_validation.CONTROL

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            trim_whitespace=False, write_only=True, style={"input_type": "password"}, **kwargs
        )

    def _is_visible(self, data: str) -> bool:
        return True


@extend_schema_field(
    {
        "type": "string",
        "format": "decimal",
        "pattern": r"^[0-9]{1,12}\.[0-9]{2}$",
        "example": "299.00",
    }
)
class Money(serializers.Field):  # type: ignore[type-arg]
    """An amount of money;

    In: a string or a JSON number as written; out: a string with two decimals.
    """

    def __init__(self, *, or_zero: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.or_zero = or_zero

    def to_internal_value(self, data: Any) -> Decimal:
        """Read an amount; see :func:`mps.base.core.money.parse_amount`."""
        try:
            return money.parse_amount(data, or_zero=self.or_zero)
        except errors.InvalidAmountError as error:
            raise serializers.ValidationError(str(error.detail), code=error.code) from None

    def to_representation(self, value: Decimal) -> str:
        """Write an amount with two decimals."""
        return money.show_money(value)


@extend_schema_field({"type": "string", "format": "decimal", "example": "0.95"})
class Rate(serializers.Field):  # type: ignore[type-arg]
    """A rate between 0 and 1, shown with two to four decimals."""

    def to_representation(self, value: Decimal) -> str:
        """Write a rate."""
        return money.show_rate(value)

    def to_internal_value(self, data: Any) -> Decimal:
        """Read a rate above 0 and up to 1, with at most four decimals."""
        if not isinstance(data, str) or not re.fullmatch(r"[01](\.[0-9]{1,4})?", data, re.ASCII):
            raise serializers.ValidationError("Must be above 0 and at most 1, such as 0.95.")
        rate = Decimal(data)
        if not 0 < rate <= 1:
            raise serializers.ValidationError("Must be above 0 and at most 1, such as 0.95.")
        return rate


@extend_schema_field(OpenApiTypes.DATETIME)
class Moment(serializers.Field):  # type: ignore[type-arg]
    """A time on its way out: RFC 3339, UTC, microseconds."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: datetime) -> str:
        """Write a time."""
        return days.show_time(value)


@extend_schema_field(
    {
        "type": "string",
        "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,64}$",
        "example": "WX20250929001",
    }
)
class OrderId(serializers.CharField):
    """A merchant's own order number."""

    def to_internal_value(self, data: Any) -> str:
        """Take 1 to 64 letters, digits, dots, underscores, colons and hyphens; not `.` or `..`."""
        if type(data) is not str or not _ORDER_ID.fullmatch(data):
            raise serializers.ValidationError("Must be 1 to 64 characters: A-Z a-z 0-9 . _ : -")
        return data


class Whole(serializers.IntegerField):
    """A JSON integer as written: no string, boolean, fraction or exponent."""

    def to_internal_value(self, data: Any) -> int:
        """Take a JSON integer of at most nine digits."""
        if not isinstance(data, money.JsonNumber) or not re.fullmatch(
            r"-?[0-9]{1,9}", data, re.ASCII
        ):
            self.fail("invalid")
        return super().to_internal_value(int(data))


class Flag(serializers.BooleanField):
    """A JSON boolean, not a word for one."""

    def to_internal_value(self, data: Any) -> bool:
        """Take true or false."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Choice(serializers.ChoiceField):
    """One of a few JSON strings. What was sent instead is not repeated: it may be a secret."""

    default_error_messages = {"invalid_choice": "Not a valid choice."}

    def to_internal_value(self, data: Any) -> str:
        """Take a JSON string that is one of the choices."""
        if type(data) is not str:
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.OBJECT)
class Tag(serializers.Field):  # type: ignore[type-arg]
    """An object of the caller's own, kept with the transaction: at most 4 kB, 8 levels deep."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Take a JSON object; numbers stay as they were written."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be a JSON object.")
        if _depth(data) > MAX_TAG_DEPTH:
            raise serializers.ValidationError(f"Must be at most {MAX_TAG_DEPTH} levels deep.")
        if _size(data) > MAX_TAG_BYTES:
            raise serializers.ValidationError(f"Must be at most {MAX_TAG_BYTES} bytes.")
        if not _is_finite(data):
            raise serializers.ValidationError("A number is too large.")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        """Give back what was kept."""
        return value


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, money.JsonNumber) or math.isfinite(float(value))


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 2 + sum(_size(key) + _size(item) + 2 for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(_size(item) + 1 for item in value)
    return len(str(value).encode()) + 2
