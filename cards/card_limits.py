"""Limit what a card pays, and what one member pays with it."""

from decimal import Decimal
from uuid import UUID

from cards.errors import (
    CardNotFoundError,
)
from cards.models import Binding, Card
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, spending_limits


def set_card_limits(
    *,
    card_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what a card pays, whoever pays with it; None: no limit.

    :raises CardNotFoundError: there is no such card.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    with (
        audit.refusals("CARD_LIMITS_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        audit.record(
            "CARD_LIMITS_SET",
            object_type="card",
            object_id=card.number,
            details={**spending_limits.write_limits(scope, card, **new), "reason": reason},
        )


def set_binding_limits(
    *,
    binding_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what one member pays with one card, on the platform's authority; None: no limit.

    :raises NotFoundError: there is no such binding.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    with (
        audit.refusals("BINDING_LIMITS_REFUSED", object_type="binding", object_id=binding_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        binding = (
            Binding.objects.select_for_update(of=("self",))
            .select_related("card", "member")
            .filter(id=binding_id)
            .first()
        )
        if binding is None:
            raise errors.NotFoundError("Binding not found.")
        audit.record(
            "BINDING_LIMITS_SET",
            object_type="card",
            object_id=binding.card.number,
            details={
                "member": binding.member.number,
                **spending_limits.write_limits(scope, binding, **new),
                "reason": reason,
            },
        )
