"""Record that money of a card was paid out to its owner.

Rules: docs/rules.md#cash-out-and-closing.
"""

from decimal import Decimal
from uuid import UUID

from django.conf import settings

from cards import holding
from cards.errors import UnsupportedCardTypeForRechargeError
from mps.base.audit import services as audit
from mps.base.core import db_scope
from mps.base.core.money import show_money
from mps.base.ledger import services as ledger
from payments import idempotency, representations, transactions
from payments.errors import InsufficientBalanceError
from payments.idempotency import Answer
from payments.models import Transaction


def cash_out_card(
    *, card_id: UUID, amount: Decimal, scope_id: UUID, idempotency_key: str, reason: str = ""
) -> Answer:
    """Record that money of a card was paid out to its owner, whatever the card's status.

    :param scope_id: whose keys these are: the staff member's.
    :raises CardNotFoundError: there is no such card.
    :raises UnsupportedCardTypeForRechargeError: its type holds no money.
    :raises InsufficientBalanceError: there is less on the card.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    """
    key = idempotency.require_key(idempotency_key)
    about = {"amount": show_money(amount), "reason": reason}
    request_hash = idempotency.hash_request("cash_out", card=card_id, amount=show_money(amount))
    with (
        audit.refusals("CASH_OUT_FAILED", object_type="card", object_id=card_id, details=about),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        idempotency.lock_key(scope, scope_id, key)
        answered = idempotency.find_answer(scope, scope_id, key, request_hash)
        if answered is not None:
            return answered
        card = holding.hold_card(scope, card_id=card_id)
        if card.money_account_id is None:
            raise UnsupportedCardTypeForRechargeError
        now = transactions.stamp(scope, "cash_out")
        clearing = ledger.platform_account(scope, kind="clearing", unit=settings.MPS_CURRENCY)
        try:
            ledger.post(
                scope,
                kind="cash_out",
                reference=now.tx_id,
                moves={card.money_account_id: -amount, clearing: amount},
            )
        except ledger.OverdraftError as error:
            raise InsufficientBalanceError from error
        done = transactions.write_transaction(
            scope,
            now,
            Transaction.Type.CASH_OUT,
            card=card,
            member_id=card.owner_id,
            amount=amount,
            reason=reason,
        )
        audit.record(
            "CASH_OUT_COMPLETED",
            object_type="transaction",
            object_id=now.tx_no,
            details={**about, "card": card.number},
        )
        answer = Answer(201, representations.recharge_answer(done))
        idempotency.store_answer(scope, scope_id, key, request_hash, answer, at=now.at)
        return answer
