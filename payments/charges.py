"""Take payments, each exactly once, whatever fails.

One read without a lock, a decision without a database, one write that compares what was read.
Lock order: facts (shared, by the database), idempotency key, order, daily limits and accounts, each
in id order, payment codes.

Rules: docs/rules.md#charge.
"""

from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings

from cards import codes
from merchants import services as merchants
from merchants.errors import MerchantSuspendedError
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import AlreadyExistsError
from mps.base.core.money import show_money
from payments import (
    charge_decision,
    charge_writes,
    code_rate_limit,
    idempotency,
    pending_consents,
    races,
    representations,
    selectors,
)
from payments.charge_decision import ChargeRequest, Decision
from payments.charge_writes import ChargeAttempt
from payments.errors import (
    ApprovalExpiredError,
    OrderAmountMismatchError,
    OrderReversedError,
)
from payments.idempotency import Answer
from payments.models import Consent, Transaction


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
    attempt = ChargeAttempt(till, key, _hash_request(request), request)
    shown = [hashes for hashes in (attempt.hashes, attempt.voucher_hashes) if hashes]
    with (
        audit.refusals(
            "PAYMENT_FAILED", object_type="merchant", object_id=till.merchant_code, details=about
        ),
        code_rate_limit.counting(till, *shown),
    ):
        return races.retry_races(till, lambda scope: _charge(scope, attempt))


def _charge(scope: Scope, attempt: ChargeAttempt) -> Answer:
    """Read, decide, write.

    :raises RaceLostError: the write found the facts changed, and wrote nothing.
    """
    facts = _read(scope, attempt)
    if not facts.stored.merchant_active:
        raise MerchantSuspendedError
    answered = _answered_before(scope, attempt, facts.stored)
    if answered is not None and answered.status == pending_consents.AWAITING:
        if representations.is_over(answered.body, facts.stored.read_at):
            _end_waiting(scope, attempt)
            return _charge(scope, attempt)
        if attempt.approval is not None:
            # What was waited for is here.
            answered = None
    if answered is not None:
        return answered
    decision = _decide(attempt, facts)
    if attempt.approval is None and _must_ask(decision):
        answer = pending_consents.await_member(scope, attempt, facts, decision)
    else:
        answer = charge_writes.write_charge(scope, attempt, facts, decision)
    if answer is None:
        raise races.RaceLostError
    return answer


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
        attempt = ChargeAttempt(
            till, approval.key, bytes(approval.request_hash), request, approval=approval
        )
        return races.retry_races(till, lambda scope: _charge(scope, attempt))


def _hash_request(request: ChargeRequest) -> bytes:
    return idempotency.hash_request(
        "charge",
        code=request.code,
        amount=show_money(request.amount),
        order=request.external_order_id,
        method=request.payment_method,
        voucher=request.voucher_code,
        tag=request.tag,
    )


def _read(scope: Scope, attempt: ChargeAttempt) -> selectors.ChargeFacts:
    return selectors.read_charge(
        scope,
        merchant_id=attempt.till.merchant_id,
        key=attempt.key,
        order=attempt.request.external_order_id,
        hashes=attempt.hashes,
        voucher_hashes=attempt.voucher_hashes,
    )


def _answered_before(
    scope: Scope, attempt: ChargeAttempt, stored: selectors.StoredFacts
) -> Answer | None:
    """Answer from what is stored for the key and the order, before the code is looked at."""
    answer = None
    if stored.stored_hash is not None and stored.stored_status is not None:
        answer = idempotency.replay(
            stored.stored_hash,
            attempt.request_hash,
            stored.stored_status,
            representations.in_order(orjson.loads(stored.stored_body or "{}")),
        )
    if stored.order_reversed:
        raise OrderReversedError
    if answer is not None:
        return answer
    if stored.order_waits is not None:
        asked = representations.in_order(orjson.loads(stored.order_waits))
        is_over = representations.is_over(asked, stored.read_at)
        if not is_over and asked["amount"] != show_money(attempt.request.amount):
            raise OrderAmountMismatchError
        return Answer(pending_consents.AWAITING, asked, replayed=True)
    if stored.order_tx_id is None:
        return None
    if stored.order_amount != attempt.request.amount:
        raise OrderAmountMismatchError
    payment = selectors.transactions(scope).get(id=stored.order_tx_id)
    if payment.status == Transaction.Status.REFUNDED:
        raise AlreadyExistsError("This order was paid and refunded in full.")
    return Answer(201, representations.charge_document(payment), replayed=True)


def _end_waiting(scope: Scope, attempt: ChargeAttempt) -> None:
    """End the waiting that stands in the way; too late for the approval that was waited for."""
    if attempt.approval is not None:
        raise ApprovalExpiredError
    order = attempt.request.external_order_id
    if not pending_consents.expire(scope, attempt.till, attempt.key, order):
        raise races.RaceLostError


def _decide(attempt: ChargeAttempt, facts: selectors.ChargeFacts) -> Decision:
    """Decide by live codes, for no more than the member approved."""
    decision = charge_decision.decide(
        attempt.request,
        till=attempt.till,
        stored=facts.stored,
        card=charge_decision.require_live(facts.card),
        voucher=charge_decision.require_live(facts.voucher) if attempt.voucher_hashes else None,
        points_basis=settings.MPS_POINTS_BASIS,
    )
    approval = attempt.approval
    if approval is not None and decision.price.final_amount > approval.final_amount:
        raise ApprovalExpiredError("The price has risen since the member was asked.")
    return decision


def _must_ask(decision: Decision) -> bool:
    """Return whether the member has to approve what was decided."""
    above = settings.MPS_APPROVAL_ABOVE
    return above is not None and not decision.refusal and decision.price.final_amount > above


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
        db_scope.principal_scope("merchant_api", till.merchant_id) as scope,
    ):
        merchants.hold_active(scope, till)
        return charge_decision.require_live(selectors.read_code(scope, hashes))
