"""Stripe Checkout, through Stripe's library, which signs requests and verifies callbacks.

Amounts go in the currency's smallest unit at Stripe (https://docs.stripe.com/currencies):
hundredths for most, TWD among them; whole units for some, JPY among them; thousandths for a few.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import stripe
from django.conf import settings
from django.utils.translation import gettext as _

from mps.base.core.errors import (
    InvalidAmountError,
    InvalidRequestError,
    NotAuthenticatedError,
    UnavailableError,
)
from payments.providers.base import NewOrder, OpenedOrder, Outcome, Report

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
_WHOLE_UNITS = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
_THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# In hundredths, but Stripe takes whole units only.
_WHOLE_HUNDREDS = frozenset({"ISK", "UGX"})
_REFUSED_AMOUNTS = frozenset({"amount_too_small", "amount_too_large"})
_PAID_EVENTS = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
_CLOSED_EVENTS = frozenset({"checkout.session.expired", "checkout.session.async_payment_failed"})
# By which our sessions are known among others of the same Stripe account.
_MARK = {"mps": "top_up"}


class StripeCheckout:
    """The adapter. Keys come from the settings."""

    name = "stripe"

    def __init__(self) -> None:
        base: Any = {"api": settings.MPS_STRIPE_API_BASE} if settings.MPS_STRIPE_API_BASE else None
        self._client = stripe.StripeClient(
            settings.MPS_STRIPE_SECRET_KEY,
            base_addresses=base,
            max_network_retries=1,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        )

    def open_order(self, order: NewOrder) -> OpenedOrder:
        """Make a Checkout Session. Our order is Stripe's idempotency key: it makes one only."""
        back = f"{order.site_url}{order.return_path or '/'}"
        with _calling():
            session = self._client.v1.checkout.sessions.create(
                params={
                    "mode": "payment",
                    "client_reference_id": order.order_id,
                    "metadata": _MARK,
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.currency.lower(),
                                "unit_amount": to_minor(order.amount, order.currency),
                                "product_data": {"name": _("Card top-up")},
                            },
                        }
                    ],
                    "success_url": back,
                    "cancel_url": back,
                    "expires_at": int(order.expires_at.timestamp()),
                },
                options={"idempotency_key": order.order_id},
            )
        if not session.url:
            logger.error("stripe answered no page to pay on", extra={"order": order.order_id})
            raise UnavailableError
        return OpenedOrder(session.id, session.url)

    def read_callback(self, *, body: bytes, headers: Mapping[str, str]) -> Report | None:
        """Return what an event says of a session of ours."""
        try:
            event = stripe.Webhook.construct_event(
                body, headers.get("Stripe-Signature", ""), settings.MPS_STRIPE_WEBHOOK_SECRET
            )
            said = event.to_dict()
            kind, session = said["type"], said["data"]["object"]
        except stripe.SignatureVerificationError as error:
            raise NotAuthenticatedError("The callback signature is invalid.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidRequestError("The callback could not be read.") from error
        if kind not in _PAID_EVENTS | _CLOSED_EVENTS:
            return None
        return _report(session, closed=kind in _CLOSED_EVENTS)

    def ask(self, *, order_id: str, reference: str) -> Report | None:
        """Look a session up. One whose name never reached us was never shown to anybody."""
        if not reference:
            return None
        with _calling():
            try:
                session = self._client.v1.checkout.sessions.retrieve(reference)
            except stripe.InvalidRequestError as error:
                if error.code == "resource_missing":
                    return None
                raise
        report = _report(session.to_dict())
        return report if report and report.order_id == order_id else None

    def list_paid(self, *, since: datetime, until: datetime) -> Iterator[Report]:
        """List what was paid of the sessions made in that time."""
        with _calling():
            sessions = self._client.v1.checkout.sessions.list(
                params={
                    "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
                    "limit": 100,
                }
            )
            for session in sessions.auto_paging_iter():
                report = _report(session.to_dict())
                if report is not None and report.outcome is Outcome.PAID:
                    yield report


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in Stripe's smallest unit of its currency.

    :raises InvalidAmountError: it is finer than that, or Stripe takes whole units only.
    """
    scaled = amount * _units_in_one(currency)
    if scaled != int(scaled) or (currency in _WHOLE_HUNDREDS and amount != int(amount)):
        raise InvalidAmountError("Amounts in this currency must be whole numbers.")
    return int(scaled)


def from_minor(units: int, currency: str) -> Decimal:
    """Return what so many of Stripe's smallest units are."""
    return Decimal(units) / _units_in_one(currency)


# --- inside ---------------------------------------------------------------------------------------


def _units_in_one(currency: str) -> int:
    if currency in _WHOLE_UNITS:
        return 1
    return 1000 if currency in _THOUSANDTHS else 100


@contextmanager
def _calling() -> Iterator[None]:
    """Translate what goes wrong at Stripe. Neither keys nor what was asked are logged."""
    try:
        yield
    except stripe.StripeError as error:
        code = getattr(error, "code", None)
        if code in _REFUSED_AMOUNTS:
            raise InvalidAmountError("The provider does not accept this amount.") from error
        about = {"error": type(error).__name__, "code": code, "status": error.http_status}
        logger.error("stripe cannot be used", extra=about)
        raise UnavailableError(
            "The payment provider cannot be reached. Try again in a moment."
        ) from error


def _report(session: dict[str, Any], *, closed: bool = False) -> Report | None:
    """Return what a session says; None if it is not one of ours.

    :raises InvalidRequestError: it is ours and cannot be read.
    """
    try:
        if (session.get("metadata") or {}).get("mps") != _MARK["mps"]:
            return None
        currency = session["currency"].upper()
        paid = session["payment_status"] == "paid"
        payment = session.get("payment_intent") or ""
        expired = closed or session["status"] == "expired"
        return Report(
            order_id=str(session["client_reference_id"]),
            reference=session["id"],
            outcome=Outcome.PAID if paid else Outcome.CLOSED if expired else Outcome.OPEN,
            amount=from_minor(int(session["amount_total"]), currency),
            currency=currency,
            opened_at=datetime.fromtimestamp(int(session["created"]), UTC),
            payment_id=str(payment["id"] if isinstance(payment, dict) else payment),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
        raise InvalidRequestError("The callback could not be read.") from error
