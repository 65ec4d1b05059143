"""Write a decided charge: what the database is told, and what it answers."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from cards import codes
from merchants.selectors import Till
from mps.base.core import context, problems
from mps.base.core.database import as_array
from payments import charge_decision, representations, selectors, transactions
from payments.charge_decision import ChargeRequest, Decision
from payments.errors import (
    InsufficientBalanceError,
    LimitExceededError,
)
from payments.idempotency import Answer
from payments.models import Consent


@dataclass(frozen=True, slots=True)
class ChargeAttempt:
    """A charge on its way: who asks what with which key, and whether its member approved it."""

    till: Till
    key: str
    request_hash: bytes
    request: ChargeRequest
    approval: Consent | None = None

    @property
    def hashes(self) -> list[bytes]:
        """By what the code is looked up."""
        return codes.look_up_hashes(self.request.code)

    @property
    def voucher_hashes(self) -> list[bytes]:
        """By what the voucher's code is looked up; nothing without one."""
        voucher_code = self.request.voucher_code
        return codes.look_up_hashes(voucher_code) if voucher_code else []


def write_charge(
    attempt: ChargeAttempt, facts: selectors.ChargeFacts, decision: Decision
) -> Answer | None:
    """Write a decided charge in one statement.

    Return None if the facts changed meanwhile and nothing was written.
    """
    approval = attempt.approval
    named = {
        "key": attempt.key,
        "request_hash": attempt.request_hash,
        "code_hashes": as_array(attempt.hashes),
        "voucher_hashes": as_array(attempt.voucher_hashes),
        "approval_id": approval.id if approval else None,
        **_charge_parameters(attempt.till, attempt.request, facts, decision),
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
        "tag": transactions.as_json(request.tag),
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
        "body": transactions.as_json(body),
        "poor_status": InsufficientBalanceError.status,
        "full_body": transactions.as_json(problems.problem(LimitExceededError()))
        if decision.day_limits
        else None,
        "poor_body": transactions.as_json(problems.problem(InsufficientBalanceError())),
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
