"""Take payments, give them back, put money on cards. Each exactly once, whatever fails on the way.

Lock order of a charge: facts (shared, by the database), idempotency key, order, daily limits and
accounts, each in id order, payment codes. What goes back or is topped up takes the shop's fact,
then key, order and transaction row, and the card's fact after them: whoever changes a card holds
none of these.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DatabaseError, connection

from cards import codes, pricing
from cards import services as cards
from cards.errors import (
    CardExpiredError,
    CardNotActiveError,
    UnsupportedCardTypeForPointsError,
    UnsupportedCardTypeForRechargeError,
)
from cards.models import Card
from merchants import services as merchants
from merchants.errors import MerchantSuspendedError
from merchants.selectors import Till, get_till
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, problems
from mps.base.core.database import as_array
from mps.base.core.errors import (
    AlreadyExistsError,
    InvalidAmountError,
    InvalidRequestError,
    MpsError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from mps.base.core.money import show_money
from mps.base.ledger import services as ledger
from payments import charge_decision, code_rate_limit, idempotency, representations, selectors
from payments.charge_decision import ChargeRequest, Decision
from payments.errors import (
    ApprovalExpiredError,
    AwaitingMemberError,
    InsufficientBalanceError,
    LimitExceededError,
    OnlyCompletedPaymentRefundableError,
    OrderAmountMismatchError,
    OrderReversedError,
    OriginalTxNotFoundError,
    RefundExceedsRemainingError,
)
from payments.idempotency import Answer
from payments.models import Consent, Order, ProviderOrder, Transaction

Result = TypeVar("Result")

MAX_TRIES = 4
AWAITING = AwaitingMemberError.status
# A write found what it rests on changed; two writes waited for each other.
_RACES_LOST = {"MPS01", "40P01"}
# For how long a till may not know whether it was paid.
_UNCERTAIN = timedelta(days=1)
_ONE_POINT = Decimal(1)
_CENT = Decimal("0.01")


class _RaceLostError(Exception):
    """What was read without a lock changed before the write; nothing was written."""


# --- charge --------------------------------------------------------------------------------------


def charge_card(
    *,
    till: Till,
    code: str,
    amount: Decimal,
    idempotency_key: str,
    external_order_id: str = "",
    payment_method: str = charge_decision.BALANCE,
    voucher_code: str = "",
    tag: dict[str, Any] | None = None,
) -> Answer:
    """Take a payment: one read, pure pricing, one write.

    A refusal of a recognised code is an answer, too: recorded, stored with the key, and repeated to
    a retry.

    :param amount: list amount, before discount.
    :param external_order_id: the shop's own order; one payment that did not fail each. Empty: none.
    :param voucher_code: the payment code of a voucher card presented with the first.
    :raises MerchantSuspendedError: the shop takes no payments.
    :raises InvalidCodeError: a code is malformed.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    :raises OrderReversedError, OrderAmountMismatchError, AlreadyExistsError: the order takes no
        such payment.
    :raises CodeExpiredOrInvalidError: a code is unknown, expired, used or revoked; nothing was
        stored.
    :raises RateLimitedError: the till showed too many codes that nobody ever had.
    :raises UnavailableError: what the price depends on kept changing; nothing happened.
    """
    key = idempotency.require_key(idempotency_key)
    request = ChargeRequest(
        code=codes.require_code(code),
        amount=amount,
        external_order_id=external_order_id,
        payment_method=payment_method,
        voucher_code=codes.require_code(voucher_code) if voucher_code else "",
        tag=idempotency.plain(tag or {}),
    )
    about = {
        "merchant": till.merchant_code,
        "order": external_order_id,
        "amount": show_money(amount),
    }
    shown = [codes.look_up_hashes(each) for each in (request.code, request.voucher_code) if each]
    with (
        audit.refusals(
            "PAYMENT_FAILED", object_type="merchant", object_id=till.merchant_code, details=about
        ),
        code_rate_limit.counting(till, *shown),
    ):
        return _retry_races(till, lambda: _charge(till, key, request))


def charge_approved(*, till: Till, approval: Consent, code: str, voucher_code: str) -> Answer:
    """Take a payment its member has approved, and answer its key with the outcome.

    Priced anew: what changed meanwhile counts, like in any charge.

    :param code: a payment code made for this; the one the till scanned is burnt.
    :raises MpsError: as `charge_card`; the key still waits then.
    """
    request = ChargeRequest(
        code=code,
        amount=approval.amount,
        external_order_id=approval.external_order_id,
        payment_method=approval.payment_method,
        voucher_code=voucher_code,
        tag=approval.tag,
    )
    about = {
        "merchant": till.merchant_code,
        "order": approval.external_order_id,
        "amount": show_money(approval.amount),
    }
    with audit.refusals(
        "PAYMENT_APPROVAL_FAILED",
        object_type="merchant",
        object_id=till.merchant_code,
        details=about,
    ):
        return _retry_races(till, lambda: _charge(till, approval.key, request, approval))


def _charge(
    till: Till, key: str, request: ChargeRequest, approval: Consent | None = None
) -> Answer:
    """Read, decide, write. Inside the shop's scope.

    :raises _RaceLostError: the write found the facts changed, and wrote nothing.
    """
    request_hash = (
        bytes(approval.request_hash)
        if approval
        else idempotency.hash_request(
            "charge",
            code=request.code,
            amount=show_money(request.amount),
            order=request.external_order_id,
            method=request.payment_method,
            voucher=request.voucher_code,
            tag=request.tag,
        )
    )
    hashes = codes.look_up_hashes(request.code)
    voucher_hashes = codes.look_up_hashes(request.voucher_code) if request.voucher_code else []
    facts = selectors.read_charge(
        merchant_id=till.merchant_id,
        key=key,
        order=request.external_order_id,
        hashes=hashes,
        voucher_hashes=voucher_hashes,
    )
    if not facts.stored.merchant_active:
        raise MerchantSuspendedError
    answered = _answered_before(request, request_hash, facts.stored)
    if answered is not None and answered.status != AWAITING:
        return answered
    if answered is not None and representations.is_over(answered.body, facts.stored.read_at):
        if approval is not None:
            raise ApprovalExpiredError
        if not _expire(till, key, request.external_order_id):
            raise _RaceLostError
        return _charge(till, key, request)
    if answered is not None and approval is None:
        return answered
    card = charge_decision.require_live(facts.card)
    voucher = charge_decision.require_live(facts.voucher) if voucher_hashes else None
    decision = charge_decision.decide(
        request,
        till=till,
        stored=facts.stored,
        card=card,
        voucher=voucher,
        points_basis=settings.MPS_POINTS_BASIS,
    )
    if approval is None and _must_ask(decision):
        answer = _await_member(till, key, request_hash, request, facts, decision)
    else:
        if approval is not None and decision.price.final_amount > approval.final_amount:
            raise ApprovalExpiredError("The price has risen since the member was asked.")
        answer = _write_charge(
            till, key, request_hash, request, facts, decision, hashes, voucher_hashes, approval
        )
    if answer is None:
        raise _RaceLostError
    return answer


def _answered_before(
    request: ChargeRequest, request_hash: bytes, stored: selectors.StoredFacts
) -> Answer | None:
    """Answer from what is stored for the key and the order, before the code is looked at."""
    answer = None
    if stored.stored_hash is not None and stored.stored_status is not None:
        answer = idempotency.replay(
            stored.stored_hash,
            request_hash,
            stored.stored_status,
            representations.in_order(orjson.loads(stored.stored_body or "{}")),
        )
    if stored.order_reversed:
        raise OrderReversedError
    if answer is not None:
        return answer
    if stored.order_waits is not None:
        waiting = representations.in_order(orjson.loads(stored.order_waits))
        is_over = representations.is_over(waiting, stored.read_at)
        if not is_over and waiting["amount"] != show_money(request.amount):
            raise OrderAmountMismatchError
        return Answer(AWAITING, waiting, replayed=True)
    if stored.order_tx_id is None:
        return None
    if stored.order_amount != request.amount:
        raise OrderAmountMismatchError
    payment = selectors.transactions().get(id=stored.order_tx_id)
    if payment.status == Transaction.Status.REFUNDED:
        raise AlreadyExistsError("This order was paid and refunded in full.")
    return Answer(201, representations.charge_document(payment), replayed=True)


def _must_ask(decision: Decision) -> bool:
    """Return whether the member has to approve what was decided."""
    above = settings.MPS_APPROVAL_ABOVE
    return above is not None and not decision.refusal and decision.price.final_amount > above


def _await_member(
    till: Till,
    key: str,
    request_hash: bytes,
    request: ChargeRequest,
    facts: selectors.ChargeFacts,
    decision: Decision,
) -> Answer | None:
    """Burn the codes and answer that the member is asked.

    Return None if a twin, or another request for the order, was faster.
    """
    card, voucher, price = facts.card, facts.voucher, decision.price
    assert card is not None
    expires_at = facts.stored.read_at + timedelta(seconds=settings.MPS_APPROVAL_SECONDS)
    body = representations.awaiting_answer(request, price=price, expires_at=expires_at)
    now = context.current()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT payments_await_member({', '.join(['%s'] * 16)}, %s::jsonb, %s::smallint,"
            " %s::jsonb, %s, %s, %s, %s, %s)",
            [
                till.merchant_id,
                till.terminal_id,
                key,
                request_hash,
                card.code_id,
                voucher.code_id if voucher else None,
                card.card_id,
                card.card_no,
                card.member_id,
                voucher.card_id if voucher else None,
                voucher.member_id if voucher else None,
                request.external_order_id,
                request.payment_method,
                settings.MPS_CURRENCY,
                price.amount,
                price.final_amount,
                _json(request.tag),
                AWAITING,
                _json(body),
                expires_at,
                now.actor_type,
                now.actor,
                now.request_id,
                now.address,
            ],
        )
        return Answer(AWAITING, body) if cursor.fetchone()[0] else None


def _expire(till: Till, key: str, order: str) -> bool:
    """End the waiting for a member who kept silent, whoever asks first: the till, or the job.

    Return False if the job was faster.
    """
    waiting = selectors.find_waiting(till, order, key=key)
    return waiting is not None and close_approval(waiting, ApprovalExpiredError())


def close_approval(approval: Consent, refusal: MpsError) -> bool:
    """End a payment's waiting with a refusal, its key's answer. Inside the shop's scope.

    Return False if it had ended.
    """
    now = context.current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_close_consent(%s, %s, %s::smallint, %s::jsonb, %s, %s, %s, %s)",
            [
                approval.id,
                refusal.code,
                refusal.status,
                _json(problems.problem(refusal)),
                now.actor_type,
                now.actor,
                now.request_id,
                now.address,
            ],
        )
        return bool(cursor.fetchone()[0])


def _write_charge(
    till: Till,
    key: str,
    request_hash: bytes,
    request: ChargeRequest,
    facts: selectors.ChargeFacts,
    decision: Decision,
    hashes: list[bytes],
    voucher_hashes: list[bytes],
    approval: Consent | None,
) -> Answer | None:
    """Write a decided charge in one statement.

    Return None if the facts changed meanwhile and nothing was written.
    """
    named = {
        "key": key,
        "request_hash": request_hash,
        "code_hashes": as_array(hashes),
        "voucher_hashes": as_array(voucher_hashes),
        "approval_id": approval.id if approval else None,
        **_charge_parameters(till, request, facts, decision),
    }
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_CHARGE, named)
        outcome, answer_status, written = cursor.fetchone()
    if outcome == "again":
        return None
    return Answer(answer_status, representations.in_order(orjson.loads(written)))


def _charge_parameters(
    till: Till, request: ChargeRequest, facts: selectors.ChargeFacts, decision: Decision
) -> dict[str, Any]:
    """Return what `payments_write_charge()` is told, by the names in `_WRITE_CHARGE`."""
    card, voucher, price, refusal = facts.card, facts.voucher, decision.price, decision.refusal
    assert card is not None
    by_balance = request.payment_method == charge_decision.BALANCE
    body = (
        problems.problem(refusal)
        if refusal
        else representations.charge_answer(
            request,
            price=price,
            points=decision.points,
            card_no=card.card_no,
            currency=settings.MPS_CURRENCY,
            at=facts.stored.read_at,
        )
    )
    earns = card.points_account_id if not refusal else None
    rests_on = {till.merchant_id, card.card_id, card.member_id, card.owner_id, card.binding_id}
    if voucher:
        rests_on |= {voucher.card_id, voucher.owner_id}
    now = context.current()
    return {
        "merchant_id": till.merchant_id,
        "merchant_version": facts.stored.merchant_version,
        "terminal_id": till.terminal_id,
        "order": request.external_order_id,
        "facts": as_array(sorted(fact for fact in rests_on if fact)),
        "card_version": card.version,
        "voucher_version": voucher.version if voucher else "",
        "currency": settings.MPS_CURRENCY,
        "amount": price.amount,
        "discount_rate": price.discount_rate,
        "final_amount": price.final_amount,
        "fee": decision.fee,
        "method": request.payment_method,
        "tag": _json(request.tag),
        "points": decision.points,
        "points_from": card.tier_from if earns else None,
        "points_below": card.tier_below if earns else None,
        "accounts": as_array(decision.moves),
        "moves": as_array(decision.moves.values()),
        "money_account": card.money_account_id if by_balance else None,
        "points_account": earns,
        "limited": as_array(decision.day_limits),
        "day_limits": as_array(decision.day_limits.values()),
        "zone": settings.MPS_TIME_ZONE,
        "failure_code": refusal.code if refusal else "",
        "status": refusal.status if refusal else 201,
        "body": _json(body),
        "poor_status": InsufficientBalanceError.status,
        "full_body": _json(problems.problem(LimitExceededError())) if decision.day_limits else None,
        "poor_body": _json(problems.problem(InsufficientBalanceError())),
        "actor_type": now.actor_type,
        "actor": now.actor,
        "request_id": now.request_id,
        "address": now.address,
    }


_WRITE_CHARGE = (
    "SELECT outcome, answer_status, body FROM payments_write_charge("
    "%(merchant_id)s, %(merchant_version)s, %(terminal_id)s, %(key)s, %(request_hash)s, %(order)s,"
    " %(facts)s::uuid[], %(code_hashes)s::bytea[], %(card_version)s,"
    " %(voucher_hashes)s::bytea[], %(voucher_version)s,"
    " %(currency)s, %(amount)s, %(discount_rate)s, %(final_amount)s, %(fee)s,"
    " %(method)s, %(tag)s::jsonb, %(points)s, %(points_from)s, %(points_below)s,"
    " %(accounts)s::uuid[], %(moves)s::numeric[], %(money_account)s, %(points_account)s,"
    " %(limited)s::uuid[], %(day_limits)s::numeric[], %(zone)s,"
    " %(approval_id)s,"
    " %(failure_code)s, %(status)s::smallint, %(body)s::jsonb,"
    " %(poor_status)s::smallint, %(full_body)s::jsonb, %(poor_body)s::jsonb,"
    " %(actor_type)s, %(actor)s, %(request_id)s, %(address)s)"
)


def validate_code(*, till: Till, code: str) -> selectors.CardFacts:
    """Return what a live code leads to, without burning it. Shows no balance.

    :raises InvalidCodeError: the code is malformed.
    :raises CodeExpiredOrInvalidError: unknown, expired, used and revoked alike.
    :raises MerchantSuspendedError: the shop is suspended.
    """
    hashes = codes.look_up_hashes(codes.require_code(code))
    with (
        audit.refusals("CODE_CHECK_REFUSED", object_type="merchant", object_id=till.merchant_code),
        code_rate_limit.counting(till, hashes),
        db_scope.principal_scope("merchant_api", till.merchant_id),
    ):
        merchants.hold_active(till)
        return charge_decision.require_live(selectors.read_code(hashes))


# --- refund and reverse --------------------------------------------------------------------------


def refund_payment(
    *,
    till: Till,
    tx_no: str,
    amount: Decimal,
    idempotency_key: str,
    reason: str = "",
    tag: dict[str, Any] | None = None,
) -> Answer:
    """Give back part or all of a payment of this shop.

    Concurrent refunds wait for each other on the payment. Points and fee go back by cumulative
    allocation: many partial refunds give what one full refund would.

    :param amount: above zero; 0.00 only for a payment of 0.00, whose points and voucher go back.
    :raises InvalidAmountError: 0.00 of a payment that was more.
    :raises MerchantSuspendedError: the shop gives no refunds.
    :raises OriginalTxNotFoundError: there is no such payment of this shop.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    """
    key = idempotency.require_key(idempotency_key)
    about = {"merchant": till.merchant_code, "amount": show_money(amount)}
    request_hash = idempotency.hash_request(
        "refund",
        tx_no=tx_no,
        amount=show_money(amount),
        reason=reason,
        tag=idempotency.plain(tag or {}),
    )

    def refund() -> Answer:
        merchants.hold_active(till)
        idempotency.lock_key(till.merchant_id, key)
        answered = idempotency.find_answer(till.merchant_id, key, request_hash)
        if answered is not None:
            return answered
        payment = _lock_payment(till, tx_no=tx_no)
        if not amount and payment.final_amount:
            raise InvalidAmountError
        now = _stamp("refund")
        try:
            _require_refundable(payment, amount)
        except MpsError as refusal:
            # The original was recognised: the refusal is the stored outcome of this key, and
            # commits.
            answer = Answer(refusal.status, problems.problem(refusal))
            audit.record(
                "REFUND_FAILED",
                object_type="transaction",
                object_id=tx_no,
                details={**about, "error": refusal.code},
            )
        else:
            done = _give_back(
                payment, amount, now=now, till=till, reason=reason, tag=idempotency.plain(tag or {})
            )
            answer = Answer(201, representations.refund_answer(done, payment))
        idempotency.store_answer(till.merchant_id, key, request_hash, answer, at=now.at)
        return answer

    with audit.refusals("REFUND_FAILED", object_type="transaction", object_id=tx_no, details=about):
        return _retry_races(till, refund)


def refund_for_shop(
    *, merchant_id: UUID | None, tx_no: str, amount: Decimal, idempotency_key: str, reason: str
) -> Answer:
    """Give back part or all of a payment in its shop's name; for the platform's staff.

    :raises OriginalTxNotFoundError: it is no shop's. And as of `refund_payment`.
    """
    if merchant_id is None:
        with audit.refusals("REFUND_FAILED", object_type="transaction", object_id=tx_no):
            raise OriginalTxNotFoundError
    return refund_payment(
        till=get_till(merchant_id=merchant_id),
        tx_no=tx_no,
        amount=amount,
        idempotency_key=idempotency_key,
        reason=reason,
    )


def reverse_order(*, till: Till, external_order_id: str) -> dict[str, Any]:
    """Undo a charge whose outcome the till does not know. Succeeds whatever happened; safe to
    repeat.

    Paid: refunded in full and `cancelled`. Not seen yet, or failed: closed, so that a late charge
    is refused. Waiting for its member: closed, and the member is asked no longer.
    Also for a suspended shop: what is uncertain must be put right. What was paid more than a day
    ago is no longer uncertain.

    :raises MerchantSuspendedError: the shop is suspended, and the payment older than a day.
    """

    def reverse() -> dict[str, Any]:
        is_active = merchants.hold_status(till)
        waiting = selectors.find_waiting(till, external_order_id)
        if waiting is not None:
            # The key before the order, like a charge.
            idempotency.lock_key(till.merchant_id, waiting.key)
        idempotency.lock_order(till.merchant_id, external_order_id)
        if selectors.find_waiting(till, external_order_id) != waiting:
            raise _RaceLostError
        if waiting is not None:
            close_approval(waiting, OrderReversedError())
        order = selectors.find_order(till, external_order_id)
        if order is not None and order.reversed_at is not None:
            return representations.reversal_document(order)
        now = _stamp("refund")
        refund = None
        if order is None:
            order = Order.objects.create(
                merchant_id=till.merchant_id,
                external_order_id=external_order_id,
                reversed_at=now.at,
            )
        else:
            payment = _lock_payment(till, id=order.tx_id)
            remaining = payment.final_amount - payment.refunded_total
            if payment.status == Transaction.Status.COMPLETED:
                if not is_active and now.at - payment.created_at > _UNCERTAIN:
                    raise MerchantSuspendedError
                refund = _give_back(
                    payment,
                    remaining,
                    now=now,
                    till=till,
                    reason="reversed",
                    tag={},
                    status=Transaction.Status.CANCELLED,
                )
            else:
                # Refunded in full before: nothing is left to give, only the order is closed.
                Transaction.objects.filter(id=payment.id).update(
                    status=Transaction.Status.CANCELLED
                )
            order.reversed_at = now.at
            order.refund_tx_id = refund.id if refund else None
            Order.objects.filter(
                merchant_id=till.merchant_id, external_order_id=external_order_id
            ).update(reversed_at=order.reversed_at, refund_tx_id=order.refund_tx_id)
        audit.record(
            "ORDER_REVERSED",
            object_type="order",
            object_id=external_order_id,
            details={
                "merchant": till.merchant_code,
                "refund": refund.tx_no if refund else "",
                "amount": show_money(refund.final_amount) if refund else "",
            },
        )
        return representations.reversal_document(order)

    with audit.refusals("REVERSE_FAILED", object_type="order", object_id=external_order_id):
        return _retry_races(till, reverse)


# --- top-up --------------------------------------------------------------------------------------


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
        db_scope.principal_scope("platform_admin"),
    ):
        idempotency.lock_key(scope_id, key)
        answered = idempotency.find_answer(scope_id, key, request_hash)
        if answered is not None:
            return answered
        card = cards.hold_card(card_id=card_id)
        now = _stamp("recharge")
        answer = None
        if provider_order_id:
            answer = _credited_before(provider, provider_order_id, card_id, amount)
        if answer is None:
            answer = _recharge(
                card,
                amount,
                now=now,
                counter_account=ledger.platform_account(
                    kind="clearing", unit=settings.MPS_CURRENCY
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
        idempotency.store_answer(scope_id, key, request_hash, answer, at=now.at)
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
        raise InvalidRequestError(errors={"card_no": ["Either card_no or code."]})
    hashes = codes.look_up_hashes(codes.require_code(code)) if code else []
    about = {"merchant": till.merchant_code, "amount": show_money(amount), "card": card_no}
    request_hash = idempotency.hash_request(
        "top_up", card_no=card_no, code=code, amount=show_money(amount)
    )

    def top_up() -> Answer:
        merchants.hold_active(till)
        idempotency.lock_key(till.merchant_id, key)
        answered = idempotency.find_answer(till.merchant_id, key, request_hash)
        if answered is not None:
            return answered
        if not till.can_top_up:
            raise PermissionDeniedError("This terminal may not take cash top-ups.")
        if hashes:
            live = charge_decision.require_live(selectors.read_code(hashes))
            card = cards.hold_card(card_id=live.card_id)
        else:
            card = cards.hold_card(card_no=card_no)
        now = _stamp("recharge")
        answer = _recharge(
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
        idempotency.store_answer(till.merchant_id, key, request_hash, answer, at=now.at)
        return answer

    with (
        audit.refusals(
            "RECHARGE_FAILED", object_type="merchant", object_id=till.merchant_code, details=about
        ),
        code_rate_limit.counting(till, *([hashes] if hashes else [])),
    ):
        return _retry_races(till, top_up)


def reverse_top_up(*, till: Till, tx_no: str) -> dict[str, Any]:
    """Take back a cash top-up of this terminal, the same day and while the balance is there. Safe
    to repeat.

    :raises MerchantSuspendedError: the shop is suspended.
    :raises NotFoundError: this terminal took no such top-up.
    :raises PermissionDeniedError: it was not today, in the shop's time zone.
    :raises InsufficientBalanceError: the money has been spent.
    """

    def reverse() -> dict[str, Any]:
        merchants.hold_active(till)
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
            raise NotFoundError("This terminal took no such top-up.")
        if top_up.status == Transaction.Status.CANCELLED:
            return representations.recharge_answer(top_up)
        top_up.card = cards.hold_card(card_id=top_up.card_id)
        now = _stamp("adjustment")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (%s AT TIME ZONE %s)::date = (%s AT TIME ZONE %s)::date",
                [top_up.created_at, till.time_zone, now.at, till.time_zone],
            )
            if not cursor.fetchone()[0]:
                raise PermissionDeniedError("A top-up is reversed on its own day only.")
        _write_transaction(
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
                kind="adjustment",
                reference=now.tx_id,
                moves={
                    _money_account(top_up.card): -top_up.final_amount,
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
        return _retry_races(till, reverse)


def credit_payment(
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
    may hold; for a closed one it goes to `unclaimed`. Inside the platform's scope; the caller
    records it.

    :param card: held by the caller.
    :param provider_order_id: the provider's own payment. If staff or a backend credited it before,
        that transaction is returned.
    :raises AlreadyExistsError: it was credited to another card or with another amount.
    """
    earlier = _credited_before(provider, provider_order_id, card.id, amount)
    if earlier is not None:
        return Transaction.objects.get(tx_no=earlier.body["tx_no"])
    now = _stamp("recharge")
    closed = card.status == Card.Status.CLOSED
    receiver = (
        ledger.platform_account(kind="unclaimed", unit=settings.MPS_CURRENCY)
        if closed
        else _money_account(card)
    )
    clearing = ledger.platform_account(kind="clearing", unit=settings.MPS_CURRENCY)
    done = _write_transaction(
        now,
        Transaction.Type.RECHARGE,
        card=card,
        member_id=member_id,
        amount=amount,
        payment_method=provider,
        credited_to="unclaimed" if closed else "card",
        tag=tag,
    )
    ledger.post(kind="recharge", reference=now.tx_id, moves={receiver: amount, clearing: -amount})
    ProviderOrder.objects.create(
        provider=provider,
        provider_order_id=provider_order_id,
        tx_id=now.tx_id,
        card_id=card.id,
        amount=amount,
    )
    return done


# --- cash-out ------------------------------------------------------------------------------------


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
        db_scope.principal_scope("platform_admin"),
    ):
        idempotency.lock_key(scope_id, key)
        answered = idempotency.find_answer(scope_id, key, request_hash)
        if answered is not None:
            return answered
        card = cards.hold_card(card_id=card_id)
        if card.money_account_id is None:
            raise UnsupportedCardTypeForRechargeError
        now = _stamp("cash_out")
        clearing = ledger.platform_account(kind="clearing", unit=settings.MPS_CURRENCY)
        try:
            ledger.post(
                kind="cash_out",
                reference=now.tx_id,
                moves={card.money_account_id: -amount, clearing: amount},
            )
        except ledger.OverdraftError as error:
            raise InsufficientBalanceError from error
        done = _write_transaction(
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
        idempotency.store_answer(scope_id, key, request_hash, answer, at=now.at)
        return answer


# --- points --------------------------------------------------------------------------------------


def adjust_points(*, card_id: UUID, delta: int, reason: str = "") -> Transaction:
    """Add or take points on staff's or a trusted backend's word; the tier follows at once.

    :param delta: not zero; taking more than there are is refused.
    :raises CardNotFoundError: there is no such card.
    :raises UnsupportedCardTypeForPointsError: its type has no points.
    :raises InsufficientBalanceError: the card has fewer points.
    """
    if not delta or abs(delta) > 10**9:
        raise InvalidRequestError(
            errors={"delta_points": ["Not zero, and at most a thousand million."]}
        )
    if len(reason) > 200:
        raise InvalidRequestError(errors={"reason": ["At most 200 characters."]})
    with (
        audit.refusals(
            "POINTS_ADJUST_REFUSED",
            object_type="card",
            object_id=card_id,
            details={"delta": delta, "reason": reason},
        ),
        db_scope.principal_scope("platform_admin"),
    ):
        card = cards.hold_card(card_id=card_id)
        if card.points_account_id is None:
            raise UnsupportedCardTypeForPointsError
        now = _stamp("adjustment")
        try:
            posted = ledger.post(
                kind="adjustment",
                reference=now.tx_id,
                moves={
                    card.points_account_id: Decimal(delta),
                    ledger.platform_account(kind="points_issue", unit="PTS"): Decimal(-delta),
                },
            )
        except ledger.OverdraftError as error:
            raise InsufficientBalanceError("The card has fewer points.") from error
        done = _write_transaction(
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


# --- inside ---------------------------------------------------------------------------------------


class _Stamp(NamedTuple):
    """The id, number and time of a transaction about to be written."""

    tx_id: UUID
    tx_no: str
    at: datetime


_PLATFORM = UUID(int=0)


def _stamp(transaction_type: str) -> _Stamp:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT core_new_id(), payments_next_number(%s), core_now()", [transaction_type]
        )
        return _Stamp(*cursor.fetchone())


def _retry_races(till: Till, work: Callable[[], Result]) -> Result:
    """Run the work in the shop's scope, from the start again if a race was lost.

    :raises UnavailableError: it was lost every time.
    """
    for _ in range(MAX_TRIES):
        try:
            with db_scope.principal_scope("merchant_api", till.merchant_id):
                return work()
        except _RaceLostError:
            continue
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", "") not in _RACES_LOST:
                raise
    raise UnavailableError


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _lock_payment(till: Till, **which: Any) -> Transaction:
    """Lock one of the shop's transactions; refunds of one payment wait for each other here."""
    payment = (
        Transaction.objects.select_for_update(of=("self",))
        .filter(merchant_id=till.merchant_id, **which)
        .first()
    )
    if payment is None:
        raise OriginalTxNotFoundError
    payment.card = cards.hold_card(card_id=payment.card_id)
    return payment


def _require_refundable(payment: Transaction, amount: Decimal) -> None:
    if payment.type != Transaction.Type.PAYMENT or payment.status != Transaction.Status.COMPLETED:
        raise OnlyCompletedPaymentRefundableError
    if amount > payment.final_amount - payment.refunded_total:
        raise RefundExceedsRemainingError


def _give_back(
    payment: Transaction,
    amount: Decimal,
    *,
    now: _Stamp,
    till: Till,
    reason: str,
    tag: dict[str, Any],
    status: str = Transaction.Status.REFUNDED,
) -> Transaction:
    """Write a refund of a locked payment: money and points back, the payment's totals forward.

    :param status: what the payment becomes when all of it is given back.
    """
    # Daily limits before accounts, as a charge locks them.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_give_room(%s, %s, %s)", [payment.id, amount, settings.MPS_TIME_ZONE]
        )
    share = _plan_refund(payment, amount, till)
    refund = _write_transaction(
        now,
        Transaction.Type.REFUND,
        card=payment.card,
        member_id=payment.member_id,
        amount=amount,
        till=till,
        points=-share.points,
        fee=share.fee,
        payment_method=payment.payment_method,
        original_id=payment.id,
        credited_to=share.credited_to,
        reason=reason,
        tag=tag,
    )
    if share.moves:
        ledger.post(kind="refund", reference=refund.id, moves=share.moves)
    payment.refunded_total += amount
    payment.refunded_points += share.points + share.points_forgiven
    payment.refunded_fee += share.fee
    if payment.refunded_total == payment.final_amount:
        payment.status = status
        if payment.voucher_card_id is not None:
            cards.give_voucher_back(card_id=payment.voucher_card_id, tx_id=payment.id)
    payment.save(update_fields=["status", "refunded_total", "refunded_points", "refunded_fee"])
    audit.record(
        "REFUND_COMPLETED",
        object_type="transaction",
        object_id=refund.tx_no,
        details={
            "original": payment.tx_no,
            "amount": show_money(amount),
            "points": -share.points,
            "points_forgiven": share.points_forgiven,
            "credited_to": share.credited_to,
            "reason": reason,
        },
    )
    merchants.emit_event(
        merchant_id=till.merchant_id,
        event_type="refund.completed",
        data={
            **representations.refund_answer(refund, payment),
            "external_order_id": payment.external_order_id or None,
            "payment_status": payment.status,
        },
    )
    return refund


class _RefundShare(NamedTuple):
    """What one refund gives back: points taken and forgiven, fee, and the entries that do it."""

    points: int
    points_forgiven: int
    fee: Decimal
    credited_to: str
    moves: dict[UUID, Decimal]


def _plan_refund(payment: Transaction, amount: Decimal, till: Till) -> _RefundShare:
    """Work out what a refund of a locked payment gives back. Locks the card's accounts."""
    card = payment.card
    total = payment.refunded_total + amount
    due = Decimal(0)
    if settings.MPS_REFUND_POINTS == "reverse":
        given = Decimal(payment.refunded_points)
        due = _share(payment, total, Decimal(payment.points), given, _ONE_POINT)
    moves: dict[UUID, Decimal] = {}
    credited_to = ""
    if payment.payment_method == charge_decision.BALANCE and amount:
        closed = card.status == Card.Status.CLOSED
        credited_to = "unclaimed" if closed else "card"
        receiver = (
            ledger.platform_account(kind="unclaimed", unit=payment.currency)
            if closed
            else _money_account(card)
        )
        moves = {receiver: amount, till.account_id: -amount}
    taken = Decimal(0)
    if due and card.points_account_id:
        # Points that were spent meanwhile are forgiven, and the log says how many.
        balances = ledger.lock_balances([*moves, card.points_account_id])
        taken = min(due, balances[card.points_account_id])
    if taken and card.points_account_id:
        moves[card.points_account_id] = -taken
        moves[ledger.platform_account(kind="points_issue", unit="PTS")] = taken
    return _RefundShare(
        points=int(taken),
        points_forgiven=int(due - taken),
        fee=_share(payment, total, payment.fee, payment.refunded_fee, _CENT),
        credited_to=credited_to,
        moves=moves,
    )


def _share(
    payment: Transaction, total: Decimal, whole: Decimal, given_before: Decimal, unit: Decimal
) -> Decimal:
    return pricing.share_of_refund(
        total=whole,
        refunded_after=total,
        paid=payment.final_amount,
        given_before=given_before,
        unit=unit,
    )


def _recharge(
    card: Card,
    amount: Decimal,
    *,
    now: _Stamp,
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
        _require_rechargeable(card, amount, now.at)
    except MpsError as refusal:
        audit.record(
            "RECHARGE_FAILED",
            object_type="card",
            object_id=card.number,
            details={**about, "error": refusal.code},
        )
        return Answer(refusal.status, problems.problem(refusal))
    done = _write_transaction(
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
        kind="recharge",
        reference=now.tx_id,
        moves={_money_account(card): amount, counter_account: -amount},
    )
    audit.record(
        "RECHARGE_COMPLETED",
        object_type="transaction",
        object_id=now.tx_no,
        details={**about, "card": card.number},
    )
    return Answer(201, representations.recharge_answer(done))


def _credited_before(
    provider: str, provider_order_id: str, card_id: UUID, amount: Decimal
) -> Answer | None:
    """Hold a provider's order until the scope ends; answer from its top-up if there is one.

    :raises AlreadyExistsError: it was credited to another card or with another amount.
    """
    idempotency.lock_name(_PLATFORM, f"{provider}:{provider_order_id}")
    earlier = ProviderOrder.objects.filter(
        provider=provider, provider_order_id=provider_order_id
    ).first()
    if earlier is None:
        return None
    if (earlier.card_id, earlier.amount) != (card_id, amount):
        raise AlreadyExistsError(
            "This provider's order was credited to another card or with another amount."
        )
    done = selectors.transactions().get(id=earlier.tx_id)
    return Answer(201, representations.recharge_answer(done), replayed=True)


def _require_rechargeable(card: Card, amount: Decimal, now: datetime) -> None:
    if card.money_account_id is None:
        raise UnsupportedCardTypeForRechargeError
    if card.expires_at is not None and card.expires_at <= now:
        raise CardExpiredError
    if card.status != Card.Status.ACTIVE:
        raise CardNotActiveError
    balance = ledger.lock_balances([card.money_account_id])[card.money_account_id]
    if balance + amount > settings.MPS_MAX_BALANCE:
        raise LimitExceededError("The card would hold more than it may.")


def _money_account(card: Card) -> UUID:
    """Return the money account of a card that is known to have one: it paid, or is topped up."""
    account_id: UUID | None = card.money_account_id
    assert account_id is not None
    return account_id


def _write_transaction(
    now: _Stamp,
    transaction_type: str,
    *,
    card: Card,
    member_id: UUID,
    amount: Decimal,
    till: Till | None = None,
    points: int = 0,
    fee: Decimal = Decimal("0.00"),
    payment_method: str = "",
    original_id: UUID | None = None,
    credited_to: str = "",
    reason: str = "",
    tag: dict[str, Any] | None = None,
) -> Transaction:
    """Write a completed transaction that is no payment."""
    done = Transaction(
        id=now.tx_id,
        tx_no=now.tx_no,
        type=transaction_type,
        status=Transaction.Status.COMPLETED,
        merchant_id=till.merchant_id if till else None,
        terminal_id=till.terminal_id if till else None,
        card=card,
        card_no=card.number,
        member_id=member_id,
        currency=settings.MPS_CURRENCY,
        amount=amount,
        final_amount=amount,
        points=points,
        fee=fee,
        payment_method=payment_method,
        original_id=original_id,
        credited_to=credited_to,
        reason=reason,
        tag=tag or {},
        created_at=now.at,
    )
    done.save(force_insert=True)
    if till is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT payments_enter_unclaimed(%s::uuid[])", [[done.id]])
    return done
