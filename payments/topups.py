"""Top up cards: by staff or a trusted backend, at a till, or when a provider confirms.

Lock order: the shop's fact, then key and transaction row, and the card's fact after them. What
members begin at a provider themselves is in `member_topups`.

Rules: docs/rules.md#top-ups.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from cards import codes, holding
from cards.errors import (
    UnsupportedCardTypeForRechargeError,
)
from cards.models import Card
from merchants import services as merchants
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import db_scope, problems
from mps.base.core.db_scope import Scope
from mps.base.core.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    MpsError,
    NotFoundError,
    PermissionDeniedError,
)
from mps.base.core.money import show_money
from mps.base.ledger import services as ledger
from payments import (
    charge_decision,
    code_rate_limit,
    idempotency,
    races,
    representations,
    selectors,
    transactions,
)
from payments.errors import (
    InsufficientBalanceError,
    LimitExceededError,
)
from payments.idempotency import Answer
from payments.models import ProviderOrder, Transaction

_PLATFORM = UUID(int=0)


def recharge_card(
    *,
    card_id: UUID,
    amount: Decimal,
    scope_id: UUID,
    idempotency_key: str,
    payment_method: str = "",
    provider_order_id: str = "",
    tag: dict[str, Any] | None = None,
    reason: str = "",
) -> Answer:
    """Put money on a card on the word of staff or a trusted backend; credited at once.

    :param scope_id: whose keys these are: the service key's or staff member's.
    :param payment_method: how it was paid, which is also the provider of `provider_order_id`.
    :param provider_order_id: the provider's own order; credited once, whatever key it comes with.
    :raises CardNotFoundError: there is no such card.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    :raises AlreadyExistsError: the provider's order was credited to another card or with another
        amount.
    """
    key = idempotency.require_key(idempotency_key)
    provider = payment_method or "other"
    request_hash = idempotency.hash_request(
        "recharge",
        card=card_id,
        amount=show_money(amount),
        method=payment_method,
        order=provider_order_id,
        tag=idempotency.plain(tag or {}),
    )
    about = {"amount": show_money(amount), "method": payment_method, "order": provider_order_id}
    with (
        audit.refusals("RECHARGE_FAILED", object_type="card", object_id=card_id, details=about),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        idempotency.lock_key(scope, scope_id, key)
        answered = idempotency.find_answer(scope, scope_id, key, request_hash)
        if answered is not None:
            return answered
        card = holding.hold_card(scope, card_id=card_id)
        now = transactions.stamp(scope, "recharge")
        answer = None
        if provider_order_id:
            answer = _credited_before(scope, provider, provider_order_id, card_id, amount)
        if answer is None:
            answer = _recharge(
                scope,
                card,
                amount,
                now=now,
                counter_account=ledger.platform_account(
                    scope, kind="clearing", unit=settings.MPS_CURRENCY
                ),
                payment_method=payment_method,
                reason=reason,
                tag=idempotency.plain(tag or {}),
                about=about,
            )
            if provider_order_id and not answer.refused:
                ProviderOrder.objects.create(
                    provider=provider,
                    provider_order_id=provider_order_id,
                    tx_id=now.tx_id,
                    card_id=card_id,
                    amount=amount,
                )
        idempotency.store_answer(scope, scope_id, key, request_hash, answer, at=now.at)
        return answer


def top_up_at_till(
    *, till: Till, card_no: str = "", code: str = "", amount: Decimal, idempotency_key: str
) -> Answer:
    """Put cash taken at a till on a card; the shop then owes it to the platform.

    :param code: a payment code of the card instead of its number; it is not burnt.
    :raises PermissionDeniedError: this till may not.
    :raises MerchantSuspendedError: the shop is suspended.
    :raises CardNotFoundError: there is no such card.
    :raises CodeExpiredOrInvalidError: the code is not live.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    """
    key = idempotency.require_key(idempotency_key)
    if bool(card_no) == bool(code):
        raise InvalidRequestError(errors={"card_no": ["Send either card_no or code."]})
    hashes = codes.look_up_hashes(codes.require_code(code)) if code else []
    about = {"merchant": till.merchant_code, "amount": show_money(amount), "card": card_no}
    request_hash = idempotency.hash_request(
        "top_up", card_no=card_no, code=code, amount=show_money(amount)
    )

    def top_up(scope: Scope) -> Answer:
        merchants.hold_active(scope, till)
        idempotency.lock_key(scope, till.merchant_id, key)
        answered = idempotency.find_answer(scope, till.merchant_id, key, request_hash)
        if answered is not None:
            return answered
        if not till.can_top_up:
            raise PermissionDeniedError("This terminal is not allowed to take cash top-ups.")
        if hashes:
            live = charge_decision.require_live(selectors.read_code(scope, hashes))
            card = holding.hold_card(scope, card_id=live.card_id)
        else:
            card = holding.hold_card(scope, card_no=card_no)
        now = transactions.stamp(scope, "recharge")
        answer = _recharge(
            scope,
            card,
            amount,
            now=now,
            counter_account=till.account_id,
            payment_method="cash",
            reason="",
            tag={},
            about=about,
            till=till,
        )
        idempotency.store_answer(scope, till.merchant_id, key, request_hash, answer, at=now.at)
        return answer

    with (
        audit.refusals(
            "RECHARGE_FAILED", object_type="merchant", object_id=till.merchant_code, details=about
        ),
        code_rate_limit.counting(till, *([hashes] if hashes else [])),
    ):
        return races.retry_races(till, top_up)


def reverse_top_up(*, till: Till, tx_no: str) -> dict[str, Any]:
    """Take back a cash top-up of this terminal, the same day and while the balance is there. Safe
    to repeat.

    :raises MerchantSuspendedError: the shop is suspended.
    :raises NotFoundError: this terminal took no such top-up.
    :raises PermissionDeniedError: it was not today, in the shop's time zone.
    :raises InsufficientBalanceError: the money has been spent.
    """

    def reverse(scope: Scope) -> dict[str, Any]:
        merchants.hold_active(scope, till)
        top_up = (
            Transaction.objects.select_for_update(of=("self",))
            .filter(
                tx_no=tx_no,
                merchant_id=till.merchant_id,
                type=Transaction.Type.RECHARGE,
            )
            .first()
        )
        if top_up is None or top_up.terminal_id != till.terminal_id:
            raise NotFoundError("This terminal has no such top-up.")
        if top_up.status == Transaction.Status.CANCELLED:
            return representations.recharge_answer(top_up)
        top_up.card = holding.hold_card(scope, card_id=top_up.card_id)
        now = transactions.stamp(scope, "adjustment")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (%s AT TIME ZONE %s)::date = (%s AT TIME ZONE %s)::date",
                [top_up.created_at, till.time_zone, now.at, till.time_zone],
            )
            if not cursor.fetchone()[0]:
                raise PermissionDeniedError("A top-up can be cancelled only on the same day.")
        transactions.write_transaction(
            scope,
            now,
            Transaction.Type.ADJUSTMENT,
            card=top_up.card,
            member_id=top_up.member_id,
            amount=top_up.final_amount,
            till=till,
            payment_method="cash",
            original_id=top_up.id,
            reason="top-up reversed",
        )
        try:
            ledger.post(
                scope,
                kind="adjustment",
                reference=now.tx_id,
                moves={
                    transactions.money_account(top_up.card): -top_up.final_amount,
                    till.account_id: top_up.final_amount,
                },
            )
        except ledger.OverdraftError as error:
            raise InsufficientBalanceError from error
        Transaction.objects.filter(id=top_up.id).update(status=Transaction.Status.CANCELLED)
        top_up.status = Transaction.Status.CANCELLED
        audit.record(
            "RECHARGE_REVERSED",
            object_type="transaction",
            object_id=tx_no,
            details={"amount": show_money(top_up.final_amount), "by": now.tx_no},
        )
        return representations.recharge_answer(top_up)

    with audit.refusals("RECHARGE_REVERSE_FAILED", object_type="transaction", object_id=tx_no):
        return races.retry_races(till, reverse)


def credit_payment(
    scope: Scope,
    *,
    card: Card,
    member_id: UUID,
    amount: Decimal,
    provider: str,
    provider_order_id: str,
    tag: dict[str, Any],
) -> Transaction:
    """Credit what a member paid a provider for a card, once, whatever has become of the card since.

    The money is there: a card that is not active is credited all the same, and beyond the most it
    may hold; for a closed one it goes to `unclaimed`. The caller records it.

    :param scope: the platform's.
    :param card: held by the caller.
    :param provider_order_id: the provider's own payment. If staff or a backend credited it before,
        that transaction is returned.
    :raises AlreadyExistsError: it was credited to another card or with another amount.
    """
    earlier = _credited_before(scope, provider, provider_order_id, card.id, amount)
    if earlier is not None:
        return Transaction.objects.get(tx_no=earlier.body["tx_no"])
    now = transactions.stamp(scope, "recharge")
    closed = card.status == Card.Status.CLOSED
    receiver = (
        ledger.platform_account(scope, kind="unclaimed", unit=settings.MPS_CURRENCY)
        if closed
        else transactions.money_account(card)
    )
    clearing = ledger.platform_account(scope, kind="clearing", unit=settings.MPS_CURRENCY)
    done = transactions.write_transaction(
        scope,
        now,
        Transaction.Type.RECHARGE,
        card=card,
        member_id=member_id,
        amount=amount,
        payment_method=provider,
        credited_to="unclaimed" if closed else "card",
        tag=tag,
    )
    ledger.post(
        scope, kind="recharge", reference=now.tx_id, moves={receiver: amount, clearing: -amount}
    )
    ProviderOrder.objects.create(
        provider=provider,
        provider_order_id=provider_order_id,
        tx_id=now.tx_id,
        card_id=card.id,
        amount=amount,
    )
    return done


def _recharge(
    scope: Scope,
    card: Card,
    amount: Decimal,
    *,
    now: transactions.Stamp,
    counter_account: UUID,
    payment_method: str,
    reason: str,
    tag: dict[str, Any],
    about: dict[str, str],
    till: Till | None = None,
) -> Answer:
    """Credit a card and record it, or record why not.

    Both are the stored outcome of the key, and commit.
    """
    try:
        _require_rechargeable(scope, card, amount, now.at)
    except MpsError as refusal:
        audit.record(
            "RECHARGE_FAILED",
            object_type="card",
            object_id=card.number,
            details={**about, "error": refusal.code},
        )
        return Answer(refusal.status, problems.problem(refusal))
    done = transactions.write_transaction(
        scope,
        now,
        Transaction.Type.RECHARGE,
        card=card,
        member_id=card.owner_id,
        amount=amount,
        till=till,
        payment_method=payment_method,
        reason=reason,
        tag=tag,
    )
    ledger.post(
        scope,
        kind="recharge",
        reference=now.tx_id,
        moves={transactions.money_account(card): amount, counter_account: -amount},
    )
    audit.record(
        "RECHARGE_COMPLETED",
        object_type="transaction",
        object_id=now.tx_no,
        details={**about, "card": card.number},
    )
    return Answer(201, representations.recharge_answer(done))


def _credited_before(
    scope: Scope, provider: str, provider_order_id: str, card_id: UUID, amount: Decimal
) -> Answer | None:
    """Hold a provider's order until the scope ends; answer from its top-up if there is one.

    :raises AlreadyExistsError: it was credited to another card or with another amount.
    """
    idempotency.lock_name(scope, _PLATFORM, f"{provider}:{provider_order_id}")
    earlier = ProviderOrder.objects.filter(
        provider=provider, provider_order_id=provider_order_id
    ).first()
    if earlier is None:
        return None
    if (earlier.card_id, earlier.amount) != (card_id, amount):
        raise AlreadyExistsError(
            "This provider order was already credited to another card or with a different amount."
        )
    done = selectors.transactions(scope).get(id=earlier.tx_id)
    return Answer(201, representations.recharge_answer(done), replayed=True)


def _require_rechargeable(scope: Scope, card: Card, amount: Decimal, now: datetime) -> None:
    if card.money_account_id is None:
        raise UnsupportedCardTypeForRechargeError
    refusal = card.refusal(is_past=card.expires_at is not None and card.expires_at <= now)
    if refusal is not None:
        raise refusal
    balance = ledger.lock_balances(scope, [card.money_account_id])[card.money_account_id]
    if balance + amount > settings.MPS_MAX_BALANCE:
        raise LimitExceededError("The card balance would exceed its maximum.")
