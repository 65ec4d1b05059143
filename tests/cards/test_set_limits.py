"""Limits that staff set: what is refused, and that nothing changed then."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from cards import card_limits
from cards.models import Binding
from members import services as members
from merchants import services as merchants
from merchants.models import Merchant
from mps.base.core import errors
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import events


def test_limits_are_amounts_and_come_with_a_reason(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member)
    till = factories.make_till()
    with principal_scope("platform_admin"):
        binding = Binding.objects.get(card=card)
    good: dict[str, Any] = {"limit_per_payment": None, "limit_per_day": None, "reason": "x"}
    for service, name, held, action, unknown in (
        (card_limits.set_card_limits, "card_id", card, "CARD_LIMITS_REFUSED", "CARD_NOT_FOUND"),
        (
            card_limits.set_binding_limits,
            "binding_id",
            binding,
            "BINDING_LIMITS_REFUSED",
            "NOT_FOUND",
        ),
        (members.set_limits, "member_id", member, "MEMBER_LIMITS_REFUSED", "NOT_FOUND"),
        (
            merchants.set_limits,
            "merchant_id",
            Merchant(id=till.merchant_id),
            "MERCHANT_LIMITS_REFUSED",
            "NOT_FOUND",
        ),
    ):
        for field, value in (
            ("limit_per_payment", Decimal("-0.01")),
            ("limit_per_payment", Decimal("0.00")),
            ("limit_per_payment", Decimal("0.001")),
            ("limit_per_day", Decimal("NaN")),
            ("limit_per_day", Decimal(10**9)),
            ("reason", " "),
            ("reason", "x" * 201),
        ):
            with pytest.raises(errors.InvalidRequestError) as refused:
                service(**{name: held.pk, **good, field: value})
            assert list(refused.value.errors or {}) == [field]
        with pytest.raises(errors.MpsError) as missing:
            service(**{name: uuid4(), **good})
        assert missing.value.code == unknown
        assert [event.context["error"] for event in events(action)] == [unknown]

        with principal_scope("platform_admin"):
            fresh = type(held)._base_manager.get(pk=held.pk)
        assert fresh.limits == {"limit_per_payment": None, "limit_per_day": None}
