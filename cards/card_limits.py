"""Set the limits of a card and of a member's payments with it."""

from decimal import Decimal
from uuid import UUID

from cards.errors import (
    CardNotFoundError,
)
from cards.models import Binding, Card
from mps.base.audit import limits
from mps.base.core import errors


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
    limits.set_limits(
        Card.objects.select_for_update().filter(id=card_id),
        limit_per_payment=limit_per_payment,
        limit_per_day=limit_per_day,
        reason=reason,
        action="CARD_LIMITS_SET",
        asked=limits.Subject("card", card_id),
        missing=CardNotFoundError(),
        subject=lambda card: limits.Subject("card", card.number),
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
    limits.set_limits(
        Binding.objects.select_for_update(of=("self",))
        .select_related("card", "member")
        .filter(id=binding_id),
        limit_per_payment=limit_per_payment,
        limit_per_day=limit_per_day,
        reason=reason,
        action="BINDING_LIMITS_SET",
        asked=limits.Subject("binding", binding_id),
        missing=errors.NotFoundError("Binding not found."),
        subject=lambda binding: limits.Subject(
            "card", binding.card.number, {"member": binding.member.number}
        ),
    )
