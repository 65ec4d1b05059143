"""Write a decided charge to the database and build the response."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from cards import codes
from merchants.selectors import Till
from mps.base.core import context, problems
from mps.base.core.database import as_array
from mps.base.core.db_scope import Scope
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
    scope: Scope, attempt: ChargeAttempt, facts: selectors.ChargeFacts, decision: Decision
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
    "p_merchant_id => %(merchant_id)s, p_merchant_version => %(merchant_version)s,"
    " p_terminal_id => %(terminal_id)s, p_key => %(key)s, p_request_hash => %(request_hash)s,"
    " p_order => %(order)s, p_facts => %(facts)s::uuid[],"
    " p_code_hashes => %(code_hashes)s::bytea[], p_card_version => %(card_version)s,"
    " p_voucher_hashes => %(voucher_hashes)s::bytea[],"
    " p_voucher_version => %(voucher_version)s, p_currency => %(currency)s,"
    " p_amount => %(amount)s, p_discount_rate => %(discount_rate)s,"
    " p_final_amount => %(final_amount)s, p_fee => %(fee)s, p_method => %(method)s,"
    " p_tag => %(tag)s::jsonb, p_points => %(points)s, p_points_from => %(points_from)s,"
    " p_points_below => %(points_below)s, p_accounts => %(accounts)s::uuid[],"
    " p_moves => %(moves)s::numeric[], p_money_account => %(money_account)s,"
    " p_points_account => %(points_account)s, p_limited => %(limited)s::uuid[],"
    " p_day_limits => %(day_limits)s::numeric[], p_zone => %(zone)s,"
    " p_approval_id => %(approval_id)s, p_failure_code => %(failure_code)s,"
    " p_status => %(status)s::smallint, p_body => %(body)s::jsonb,"
    " p_poor_status => %(poor_status)s::smallint, p_full_body => %(full_body)s::jsonb,"
    " p_poor_body => %(poor_body)s::jsonb, p_actor_type => %(actor_type)s,"
    " p_actor => %(actor)s, p_request_id => %(request_id)s, p_address => %(address)s)"
)
