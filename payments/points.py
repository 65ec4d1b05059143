"""Add and deduct points on request of staff or a trusted backend.

Rules: docs/rules.md#points-and-tiers.
"""

from decimal import Decimal
from uuid import UUID

from cards import holding
from cards.errors import UnsupportedCardTypeForPointsError
from mps.base.audit import services as audit
from mps.base.core import db_scope
from mps.base.core.errors import InvalidRequestError
from mps.base.ledger import services as ledger
from payments import transactions
from payments.errors import InsufficientBalanceError
from payments.models import Transaction


def adjust_points(*, card_id: UUID, delta: int, reason: str = "") -> Transaction:
    """Add or take points on staff's or a trusted backend's word; the tier follows at once.

    :param delta: not zero; taking more than there are is refused.
    :raises CardNotFoundError: there is no such card.
    :raises UnsupportedCardTypeForPointsError: its type has no points.
    :raises InsufficientBalanceError: the card has fewer points.
    """
    if not delta or abs(delta) > 10**9:
        raise InvalidRequestError(
            errors={"delta_points": ["Must not be zero, and at most 1,000,000,000."]}
        )
    if len(reason) > 200:
        raise InvalidRequestError(errors={"reason": ["Must be at most 200 characters."]})
    with (
        audit.refusals(
            "POINTS_ADJUST_REFUSED",
            object_type="card",
            object_id=card_id,
            details={"delta": delta, "reason": reason},
        ),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        card = holding.hold_card(scope, card_id=card_id)
        if card.points_account_id is None:
            raise UnsupportedCardTypeForPointsError
        now = transactions.stamp(scope, "adjustment")
        try:
            posted = ledger.post(
                scope,
                kind="adjustment",
                reference=now.tx_id,
                moves={
                    card.points_account_id: Decimal(delta),
                    ledger.platform_account(scope, kind="points_issue", unit="PTS"): Decimal(
                        -delta
                    ),
                },
            )
        except ledger.OverdraftError as error:
            raise InsufficientBalanceError("The card does not have enough points.") from error
        done = transactions.write_transaction(
            scope,
            now,
            Transaction.Type.ADJUSTMENT,
            card=card,
            member_id=card.owner_id,
            amount=Decimal("0.00"),
            points=delta,
            reason=reason,
        )
        audit.record(
            "POINTS_ADJUSTED",
            object_type="card",
            object_id=card.number,
            details={
                "delta": delta,
                "after": int(posted.balances[card.points_account_id]),
                "reason": reason,
                "transaction": now.tx_no,
            },
        )
    return done
