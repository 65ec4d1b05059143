"""A provider that takes no money, for demos and tests.

It keeps books of its own, asks the payer on a page of its own, and tells us by a signed callback,
as a real one does. Whoever opens its page can pay; so it is on only where it was asked for.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.crypto import salted_hmac
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mps.base.core import db_scope
from mps.base.core.database import DatabaseNow
from mps.base.core.errors import InvalidRequestError, NotAuthenticatedError, NotFoundError
from mps.base.core.money import show_money
from payments.models import SandboxOrder
from payments.providers.base import NewOrder, OpenedOrder, Outcome, Report

_OUTCOMES = {
    SandboxOrder.Status.OPEN: Outcome.OPEN,
    SandboxOrder.Status.PAID: Outcome.PAID,
    SandboxOrder.Status.CANCELLED: Outcome.CLOSED,
}
_PAYMENT_BYTES = 12


@dataclass(frozen=True, slots=True)
class Callback:
    """What the sandbox sends to `/api/v1/callbacks/topups/sandbox`."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order as its page shows it.

    :param payable: it is open, and its time is not over.
    """

    order_id: str
    amount: Decimal
    currency: str
    status: str
    payable: bool
    return_path: str


class Sandbox:
    """The adapter: what `payments.member_topups` sees of it."""

    name = "sandbox"

    def open_order(self, order: NewOrder) -> OpenedOrder:
        """Enter an order into the books."""
        with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO payments_sandboxorder"
                " (order_id, amount, currency, return_path, expires_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    order.order_id,
                    order.amount,
                    order.currency,
                    order.return_path,
                    order.expires_at,
                ],
            )
        page = reverse("sandbox-pay", args=[order.order_id])
        return OpenedOrder(f"sandbox:{order.order_id}", f"{order.site_url}{page}")

    def read_callback(self, *, body: bytes, headers: Mapping[str, str]) -> Report | None:
        """Return what a callback says, if its signature is ours and its time is about now."""
        try:
            said = _webhook().verify(body, dict(headers))
        except (WebhookVerificationError, ValueError) as error:
            raise NotAuthenticatedError("The callback signature is invalid.") from error
        return _read(said)

    def ask(self, *, order_id: str, reference: str) -> Report | None:
        """Look an order up in the books."""
        with db_scope.principal_scope("platform_admin"):
            order = SandboxOrder.objects.filter(order_id=order_id).first()
        return _report(order) if order else None

    def list_paid(self, *, since: datetime, until: datetime) -> Iterator[Report]:
        """List what was paid."""
        with db_scope.principal_scope("platform_admin"):
            paid = list(
                SandboxOrder.objects.filter(
                    created_at__gte=since, created_at__lt=until, status=SandboxOrder.Status.PAID
                ).order_by("created_at")
            )
        yield from map(_report, paid)


def show_order(order_id: str) -> ShownOrder:
    """Return an order for its page.

    :raises NotFoundError: there is none such.
    """
    with db_scope.principal_scope("platform_admin"):
        return _shown(SandboxOrder.objects.filter(order_id=order_id))


def decide(*, order_id: str, paid: bool) -> tuple[ShownOrder, Callback | None]:
    """Enter that the payer paid, or went away; return the order and the callback that tells of it.

    Decided once; asked again, the first decision is told again. An order whose time is over stays
    as it is, and there is nothing to tell.

    :raises NotFoundError: there is no such order.
    """
    with db_scope.principal_scope("platform_admin"):
        SandboxOrder.objects.filter(
            order_id=order_id,
            status=SandboxOrder.Status.OPEN,
            expires_at__gt=DatabaseNow(),
        ).update(
            status=SandboxOrder.Status.PAID if paid else SandboxOrder.Status.CANCELLED,
            payment_id=f"sbx_{secrets.token_hex(_PAYMENT_BYTES)}" if paid else "",
            decided_at=DatabaseNow(),
        )
        found = SandboxOrder.objects.filter(order_id=order_id)
        shown = _shown(found)
        order = found.get()
    told = order.status != SandboxOrder.Status.OPEN
    return shown, sign_callback(_report(order)) if told else None


def sign_callback(report: Report) -> Callback:
    """Write a report down as the sandbox sends it, signed now."""
    body = json.dumps(
        {
            "order_id": report.order_id,
            "reference": report.reference,
            "outcome": report.outcome.value,
            "amount": show_money(report.amount),
            "currency": report.currency,
            "opened_at": report.opened_at.isoformat(),
            "payment_id": report.payment_id,
            "paid_at": report.paid_at.isoformat() if report.paid_at else None,
        }
    )
    message, now = f"msg_{secrets.token_hex(_PAYMENT_BYTES)}", datetime.now(UTC)
    headers = {
        "Webhook-Id": message,
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": _webhook().sign(message, now, body),
    }
    return Callback(body.encode(), headers)


# --- inside ---------------------------------------------------------------------------------------


def _webhook() -> Webhook:
    """Return what signs and checks; its key follows from the installation's secret."""
    key = salted_hmac("payments.sandbox", "callbacks", algorithm="sha256").digest()
    return Webhook(key)


def _shown(found: QuerySet[SandboxOrder]) -> ShownOrder:
    order = found.annotate(
        payable=Q(status=SandboxOrder.Status.OPEN) & Q(expires_at__gt=DatabaseNow())
    ).first()
    if order is None:
        raise NotFoundError("Order not found.")
    return ShownOrder(
        order.order_id,
        order.amount,
        order.currency,
        order.status,
        order.payable,
        order.return_path,
    )


def _report(order: SandboxOrder) -> Report:
    return Report(
        order_id=order.order_id,
        reference=f"sandbox:{order.order_id}",
        outcome=_OUTCOMES[SandboxOrder.Status(order.status)],
        amount=order.amount,
        currency=order.currency,
        opened_at=order.created_at,
        payment_id=order.payment_id,
        paid_at=order.decided_at if order.payment_id else None,
    )


def _read(said: object) -> Report:
    """Return a callback's report; :raises InvalidRequestError: it is none."""
    if not isinstance(said, dict):
        raise InvalidRequestError("The callback could not be read.")
    try:
        return Report(
            order_id=str(said["order_id"]),
            reference=str(said["reference"]),
            outcome=Outcome(said["outcome"]),
            amount=Decimal(said["amount"]),
            currency=str(said["currency"]),
            opened_at=datetime.fromisoformat(said["opened_at"]),
            payment_id=str(said["payment_id"]),
            paid_at=datetime.fromisoformat(said["paid_at"]) if said["paid_at"] else None,
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidRequestError("The callback could not be read.") from error
