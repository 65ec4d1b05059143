"""What the tests of members' top-ups share: asking, paying, calling back as a provider does."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.test import Client

from cards.models import Card
from members.models import Member
from mps.base.core.db_scope import principal_scope
from payments import member_topups
from payments.idempotency import Answer
from payments.models import TopUp
from payments.providers import sandbox
from payments.providers.base import Outcome, Report
from tests import factories
from tests.snapshots import execute

SITE = "https://pay.example.com"


def url_of(card: Card) -> str:
    return f"/api/v1/me/cards/{card.number}/topups"


def start(card: Card, member: Member, amount: str = "500.00", **fields: Any) -> Answer:
    """Ask for a top-up as the API does."""
    return member_topups.start_top_up(
        **{
            "member_id": member.id,
            "card_no": card.number,
            "amount": Decimal(amount),
            "provider": "sandbox",
            "idempotency_key": factories.new_key(),
            "site_url": SITE,
            **fields,
        }
    )


def begin(card: Card, member: Member, amount: str = "500.00", **fields: Any) -> TopUp:
    """The same; return its row."""
    return fresh(start(card, member, amount, **fields).body["id"])


def fresh(top_up: TopUp | str) -> TopUp:
    with principal_scope("platform_admin"):
        return TopUp.objects.select_related("card").get(id=getattr(top_up, "id", top_up))


def report_of(top_up: TopUp, outcome: Outcome = Outcome.PAID, **fields: Any) -> Report:
    """What the provider would say of it."""
    said = Report(
        order_id=top_up.order_id,
        reference=top_up.reference,
        outcome=outcome,
        amount=top_up.amount,
        currency=top_up.currency,
        opened_at=top_up.created_at,
        payment_id=f"sbx_{top_up.order_id[:20]}" if outcome is Outcome.PAID else "",
        paid_at=datetime.now(UTC),
    )
    return replace(said, **fields)


def call_back(report: Report, *, provider: str = "sandbox", **headers: str) -> Any:
    """Send a report over HTTP, signed by the sandbox; return the response."""
    callback = sandbox.sign_callback(report)
    return send(callback.body, {**callback.headers, **headers}, provider=provider)


def send(body: bytes, headers: dict[str, str], *, provider: str = "sandbox") -> Any:
    return Client(raise_request_exception=False).post(
        f"/api/v1/callbacks/topups/{provider}",
        body,
        content_type="application/json",
        headers=headers,
    )


def shift(top_up: TopUp, by: str) -> None:
    """Move a top-up, here and at the sandbox, in time."""
    execute("ALTER TABLE payments_topup DISABLE TRIGGER payments_topup_guard")
    execute(
        "UPDATE payments_topup SET created_at = created_at + %s::interval,"
        " expires_at = expires_at + %s::interval WHERE id = %s",
        [by, by, top_up.id],
    )
    execute("ALTER TABLE payments_topup ENABLE TRIGGER payments_topup_guard")
    execute(
        "UPDATE payments_sandboxorder SET created_at = created_at + %s::interval,"
        " expires_at = expires_at + %s::interval WHERE order_id = %s",
        [by, by, top_up.order_id],
    )
