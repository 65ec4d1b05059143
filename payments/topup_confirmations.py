"""Handle providers' confirmations of top-ups, from callbacks or queries by staff.

The provider's signed callback, or its answer when it is asked, confirms amount and currency; then
one transaction credits the card. Money that was paid is credited whenever that becomes known:
after the top-up was closed, on a card that was frozen since, beyond the most a card may hold; for a
closed card to `unclaimed`.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from cards import holding
from mps.base.audit import services as audit
from mps.base.core import context, db_scope
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.base.core.errors import (
    AlreadyExistsError,
    NotFoundError,
)
from mps.base.core.money import show_money
from payments import providers, topups
from payments.models import TopUp
from payments.providers import sandbox
from payments.providers.base import Outcome, Report

logger = logging.getLogger(__name__)

AMOUNT_DIFFERS = "AMOUNT_DIFFERS"

CURRENCY_DIFFERS = "CURRENCY_DIFFERS"

PAYMENT_CREDITED_OTHERWISE = "PAYMENT_CREDITED_OTHERWISE"


def receive_callback(*, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Take what a provider says of an order: credit it if it was paid, once however often it comes.

    :raises NotFoundError: this installation works with no such provider, or has no such order.
    :raises NotAuthenticatedError: it does not come from the provider, or is too old.
    :raises InvalidRequestError: it is genuine and cannot be read.
    """
    with audit.refusals(
        "TOP_UP_CALLBACK_REFUSED", object_type="top_up_provider", object_id=provider
    ):
        report = providers.get_provider(provider).read_callback(body=body, headers=headers)
        context.set_actor("system", f"provider {provider}")
        if report is None:
            return
        with db_scope.principal_scope("platform_admin") as scope:
            _settle(scope, _lock(scope, provider=provider, order_id=report.order_id), report)


def confirm_with_provider(*, top_up_id: UUID) -> TopUp:
    """Ask the provider what became of a top-up, and do as if it had called back.

    :raises NotFoundError: there is no such top-up, or its provider is no longer worked with.
    :raises UnavailableError: the provider cannot be reached.
    """
    with audit.refusals("TOP_UP_CHECK_REFUSED", object_type="top_up", object_id=top_up_id):
        with db_scope.principal_scope("platform_admin"):
            asked = TopUp.objects.filter(id=top_up_id).first()
        if asked is None:
            raise NotFoundError("Top-up not found.")
        report = providers.get_provider(asked.provider).ask(
            order_id=asked.order_id, reference=asked.reference
        )
        with db_scope.principal_scope("platform_admin") as scope:
            top_up = _lock(scope, id=top_up_id)
            if report is None or not _settle(scope, top_up, report):
                audit.record(
                    "TOP_UP_CHECKED",
                    object_type="top_up",
                    object_id=top_up_id,
                    details={
                        "status": top_up.status,
                        "provider_says": report.outcome.value if report else "unknown",
                    },
                )
        return top_up


def show_in_sandbox(*, order_id: str) -> sandbox.ShownOrder:
    """Return an order for the sandbox's page.

    :raises NotFoundError: the sandbox is not on, or has no such order.
    """
    providers.get_provider(sandbox.Sandbox.name)
    return sandbox.show_order(order_id)


def pay_in_sandbox(*, order_id: str, paid: bool) -> sandbox.ShownOrder:
    """Decide an order on the sandbox's page, and let the sandbox tell us of it as a provider does.

    :raises NotFoundError: the sandbox is not on, or has no such order.
    """
    providers.get_provider(sandbox.Sandbox.name)
    shown, callback = sandbox.decide(order_id=order_id, paid=paid)
    if callback is not None:
        receive_callback(
            provider=sandbox.Sandbox.name, body=callback.body, headers=callback.headers
        )
    return shown


def _lock(scope: Scope, **which: Any) -> TopUp:
    """Hold a top-up's card and lock the top-up: whoever else confirms it waits here.

    :raises NotFoundError: there is none such.
    """
    found = TopUp.objects.filter(**which).first()
    if found is None:
        raise NotFoundError("Order not found.")
    card = holding.hold_card(scope, card_id=found.card_id)
    top_up = TopUp.objects.select_for_update(of=("self",)).get(id=found.id)
    top_up.card = card
    return top_up


def _settle(scope: Scope, top_up: TopUp, report: Report) -> bool:
    """Do what a report of a locked top-up calls for; return whether anything changed."""
    if report.outcome is Outcome.OPEN:
        return False
    if top_up.status == TopUp.Status.COMPLETED:
        if report.outcome is Outcome.PAID and report.payment_id != top_up.payment_id:
            _report_second_payment(top_up, report)
        return False
    if report.outcome is Outcome.CLOSED:
        return _cancel(scope, top_up)
    top_up.reference = top_up.reference or report.reference
    difference = find_difference(top_up, report)
    if not difference:
        try:
            return _credit(scope, top_up, report)
        except AlreadyExistsError:
            difference = PAYMENT_CREDITED_OTHERWISE
    return _put_aside(scope, top_up, report, difference)


def _cancel(scope: Scope, top_up: TopUp) -> bool:
    """Close a pending top-up that nobody will pay."""
    if top_up.status != TopUp.Status.PENDING:
        return False
    close(scope, top_up, TopUp.Status.CANCELLED)
    audit.record(
        "TOP_UP_CANCELLED",
        object_type="top_up",
        object_id=top_up.id,
        details={"provider": top_up.provider, "card": top_up.card.number},
    )
    return True


def find_difference(top_up: TopUp, report: Report) -> str:
    """Return in what a payment is not what was asked for; empty: in nothing."""
    if report.currency != top_up.currency:
        return CURRENCY_DIFFERS
    return AMOUNT_DIFFERS if report.amount != top_up.amount else ""


def _credit(scope: Scope, top_up: TopUp, report: Report) -> bool:
    """Credit a paid top-up.

    :raises AlreadyExistsError: its payment was credited before, to another card or with another
        amount; nothing was written.
    """
    done = topups.credit_payment(
        scope,
        card=top_up.card,
        member_id=top_up.member_id,
        amount=top_up.amount,
        provider=top_up.provider,
        provider_order_id=report.payment_id,
        tag={"top_up": str(top_up.id)},
    )
    if TopUp.objects.filter(tx_id=done.id).exists():
        raise AlreadyExistsError("This payment was already credited to another top-up.")
    top_up.late = (
        top_up.status != TopUp.Status.PENDING
        or TopUp.objects.filter(id=top_up.id, expires_at__lte=DatabaseNow()).exists()
    )
    top_up.tx_id = done.id
    _take_down(top_up, report)
    close(scope, top_up, TopUp.Status.COMPLETED)
    audit.record(
        "RECHARGE_COMPLETED",
        object_type="transaction",
        object_id=done.tx_no,
        details={
            "amount": show_money(top_up.amount),
            "method": top_up.provider,
            "order": report.payment_id,
            "card": top_up.card.number,
            "top_up": str(top_up.id),
            "late": top_up.late,
            "credited_to": done.credited_to,
        },
    )
    return True


def _put_aside(scope: Scope, top_up: TopUp, report: Report, difference: str) -> bool:
    """Keep a payment that is not what was asked for, for staff to look at; nothing is credited."""
    if (top_up.failure_code, top_up.payment_id) == (difference, report.payment_id):
        return False
    _take_down(top_up, report)
    close(scope, top_up, TopUp.Status.FAILED, failure_code=difference)
    about = {
        "provider": top_up.provider,
        "error": difference,
        "asked": f"{show_money(top_up.amount)} {top_up.currency}",
        "paid": f"{report.amount} {report.currency}",
        "payment": report.payment_id,
    }
    audit.record("TOP_UP_MISMATCH", object_type="top_up", object_id=top_up.id, details=about)
    logger.error("a paid top-up was not credited", extra={"top_up": str(top_up.id), **about})
    return True


def _report_second_payment(top_up: TopUp, report: Report) -> None:
    """Tell of an order that was paid twice: the member is owed what the provider took again."""
    about = {
        "provider": top_up.provider,
        "credited": top_up.payment_id,
        "paid": f"{report.amount} {report.currency}",
        "payment": report.payment_id,
    }
    audit.record("TOP_UP_PAID_TWICE", object_type="top_up", object_id=top_up.id, details=about)
    logger.error("a top-up was paid twice", extra={"top_up": str(top_up.id), **about})


def _take_down(top_up: TopUp, report: Report) -> None:
    top_up.payment_id = report.payment_id
    top_up.paid_amount, top_up.paid_currency = report.amount, report.currency
    top_up.paid_at = report.paid_at


def close(scope: Scope, top_up: TopUp, status: str, *, failure_code: str = "") -> None:
    """Write down how a locked top-up ended."""
    top_up.status, top_up.failure_code = status, failure_code
    top_up.closed_at = read_clock(scope)
    top_up.save(
        update_fields=[
            *("status", "failure_code", "closed_at", "reference", "tx_id", "late"),
            *("payment_id", "paid_amount", "paid_currency", "paid_at"),
        ]
    )


def read_clock(scope: Scope) -> datetime:
    """Return what the database takes for now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_now()")
        now: datetime = cursor.fetchone()[0]
    return now
