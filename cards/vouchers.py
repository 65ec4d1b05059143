"""Issue vouchers, and give a used one back.

Rules: docs/rules.md#vouchers.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import connection

from cards import holding, issuing
from cards.models import Card, CardType, Voucher
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.core.db_scope import Scope
from mps.base.core.money import is_exact


def issue_voucher_card(
    *,
    owner_id: UUID,
    kind: str,
    value: Decimal,
    min_spend: Decimal = Decimal(0),
    expires_at: datetime | None = None,
    merchant_ids: list[UUID] | None = None,
) -> Card:
    """Issue a voucher card: one promotion, one use.

    :param kind: `percent` (20 takes 20 % off) or `amount`.
    :param min_spend: list amount from which it applies.
    :param merchant_ids: where it applies; None or empty: everywhere.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    :raises InvalidRequestError: a value is not as described.
    """
    wrong: dict[str, list[str]] = {}
    if kind not in Voucher.Kind.values:
        wrong["kind"] = [f"Must be one of {', '.join(Voucher.Kind.values)}."]
    most = Decimal(100) if kind == Voucher.Kind.PERCENT else settings.MPS_MAX_AMOUNT
    if not (is_exact(value) and 0 < value <= most):
        wrong["value"] = [
            "Must be above 0 (at most 100 for percent), with at most two decimal places."
        ]
    if not (is_exact(min_spend) and 0 <= min_spend <= settings.MPS_MAX_AMOUNT):
        wrong["min_spend"] = ["Must not be negative, with at most two decimal places."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        holding.hold_member(scope, id=owner_id)
        card = issuing.write_card(scope, CardType.VOUCHER, owner_id, expires_at=expires_at)
        Voucher.objects.create(
            card=card, kind=kind, value=value, min_spend=min_spend, merchant_ids=merchant_ids or []
        )
        audit.record(
            "CARD_ISSUED",
            object_type="card",
            object_id=card.number,
            details={
                "type": CardType.VOUCHER,
                "owner": str(owner_id),
                "kind": kind,
                "value": str(value),
            },
        )
    return card


def give_voucher_back(scope: Scope, *, card_id: UUID, tx_id: UUID) -> None:
    """Let a voucher that a payment used be used again, if it is still valid.

    One on a frozen card is given back, too: like money, it waits there.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_give_voucher_back(%s, %s)", [card_id, tx_id])
