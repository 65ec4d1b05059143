"""Argument fields of RPC functions, beyond those of other endpoints."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mps.base.core import fields

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,19}", re.ASCII)
_RATE = re.compile(r"[01](\.[0-9]{1,4})?", re.ASCII)
_NOTHING = re.compile(r"0(\.0{1,2})?", re.ASCII)
_DATE = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)


@extend_schema_field(OpenApiTypes.UUID)
class Id(serializers.Field):  # type: ignore[type-arg]
    """A UUID in its usual form, as a JSON string."""

    def to_internal_value(self, data: Any) -> UUID:
        """Read it."""
        if type(data) is not str or not _UUID.fullmatch(data):
            raise serializers.ValidationError("Must be a UUID.")
        return UUID(data)


@extend_schema_field({"type": "number", "example": 0.02})
class FeeRate(serializers.Field):  # type: ignore[type-arg]
    """A part of each payment: from 0 to 1, with at most four decimals; a number or a string."""

    def to_internal_value(self, data: Any) -> Decimal:
        """Read it as it was written."""
        if not isinstance(data, str) or not _RATE.fullmatch(data) or Decimal(data) > 1:
            raise serializers.ValidationError(
                "Must be from 0 to 1, with at most four decimal places."
            )
        return Decimal(data)


@extend_schema_field({"type": "number", "minimum": 0, "example": 100.00})
class MoneyOrNothing(fields.Money):
    """An amount of money, or zero."""

    def to_internal_value(self, data: Any) -> Decimal:
        """Read it as it was written."""
        if isinstance(data, str) and _NOTHING.fullmatch(data):
            return Decimal("0.00")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": _WORD.pattern, "example": "wechat"})
class Word(serializers.Field):  # type: ignore[type-arg]
    """A name for machines, such as a payment method."""

    def to_internal_value(self, data: Any) -> str:
        """Take 1 to 20 lower-case letters, digits, hyphens and underscores."""
        if type(data) is not str or not _WORD.fullmatch(data):
            raise serializers.ValidationError(
                "Must be 1 to 20 characters: a-z 0-9 _ -, starting with a letter."
            )
        return data


@extend_schema_field({"type": "string", "example": "2025-09-29"})
class Moment(serializers.Field):  # type: ignore[type-arg]
    """An ISO date, or a date and time with or without a zone."""

    def to_internal_value(self, data: Any) -> date | datetime:
        """Read it; what it means without a zone is for the reader to say."""
        if type(data) is str:
            try:
                if _DATE.fullmatch(data):
                    return date.fromisoformat(data)
                if _TIME.fullmatch(data):
                    return datetime.fromisoformat(data)
            except ValueError:
                pass
        raise serializers.ValidationError(
            "Must be an ISO date or time, such as 2025-09-29T08:00:00+08:00."
        )


@extend_schema_field(
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[ -~]+$",
        "example": "order-20250929-001",
    }
)
class IdempotencyKey(fields.Text):
    """What an intent is known by; that it is printable ASCII, the service checks."""


class Page(fields.Whole):
    """How many rows, or after how many."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


def text(max_length: int, **kwargs: Any) -> fields.Text:
    """Return an optional text; empty means the same as absent."""
    return fields.Text(max_length=max_length, required=False, allow_blank=True, **kwargs)
