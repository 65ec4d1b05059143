"""Payments waiting for their member: start and end of the wait."""

from datetime import timedelta

from django.conf import settings
from django.db import connection

from merchants.selectors import Till
from mps.base.core import context, problems
from mps.base.core.db_scope import Scope
from mps.base.core.errors import MpsError
from payments import representations, selectors, transactions
from payments.charge_decision import Decision
from payments.charge_writes import ChargeAttempt
from payments.errors import (
    ApprovalExpiredError,
    AwaitingMemberError,
)
from payments.idempotency import Answer
from payments.models import Consent

AWAITING = AwaitingMemberError.status


def await_member(
    scope: Scope, attempt: ChargeAttempt, facts: selectors.ChargeFacts, decision: Decision
) -> Answer | None:
    """Burn the codes and answer that the member is asked.

    Return None if a twin, or another request for the order, was faster.
    """
    till, request = attempt.till, attempt.request
    card, voucher, price = facts.card, facts.voucher, decision.price
    assert card is not None
    expires_at = facts.stored.read_at + timedelta(seconds=settings.MPS_APPROVAL_SECONDS)
    body = representations.awaiting_answer(request, price=price, expires_at=expires_at)
    now = context.current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_await_member(p_merchant_id => %s, p_terminal_id => %s, p_key => %s,"
            " p_request_hash => %s, p_code_id => %s, p_voucher_code_id => %s, p_card_id => %s,"
            " p_card_no => %s, p_member_id => %s, p_voucher_card_id => %s,"
            " p_voucher_member_id => %s, p_order => %s, p_method => %s, p_currency => %s,"
            " p_amount => %s, p_final_amount => %s, p_tag => %s::jsonb, p_status => %s::smallint,"
            " p_body => %s::jsonb, p_expires_at => %s, p_actor_type => %s, p_actor => %s,"
            " p_request_id => %s, p_address => %s)",
            [
                till.merchant_id,
                till.terminal_id,
                attempt.key,
                attempt.request_hash,
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
                transactions.as_json(request.tag),
                AWAITING,
                transactions.as_json(body),
                expires_at,
                now.actor_type,
                now.actor,
                now.request_id,
                now.address,
            ],
        )
        return Answer(AWAITING, body) if cursor.fetchone()[0] else None


def expire(scope: Scope, till: Till, key: str, order: str) -> bool:
    """End the waiting for a member who kept silent, whoever asks first: the till, or the job.

    Return False if the job was faster.
    """
    waiting = selectors.find_waiting(scope, till, order, key=key)
    return waiting is not None and close_approval(scope, waiting, ApprovalExpiredError())


def close_approval(scope: Scope, approval: Consent, refusal: MpsError) -> bool:
    """End a payment's waiting with a refusal, its key's answer.

    Return False if it had ended.
    """
    now = context.current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_close_consent(p_approval_id => %s, p_failure_code => %s,"
            " p_status => %s::smallint, p_body => %s::jsonb, p_actor_type => %s, p_actor => %s,"
            " p_request_id => %s, p_address => %s)",
            [
                approval.id,
                refusal.code,
                refusal.status,
                transactions.as_json(problems.problem(refusal)),
                now.actor_type,
                now.actor,
                now.request_id,
                now.address,
            ],
        )
        return bool(cursor.fetchone()[0])
