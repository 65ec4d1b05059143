"""The interface of a payment provider: create an order, and report its status.

An adapter translates, and decides nothing: whether money is credited is the business of
`payments.member_topups`. It calls the provider outside any database transaction.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

MAX_PAYMENT_ID = 64
MAX_AMOUNT = Decimal(10) ** 12
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a provider is asked to take.

    :param order_id: ours, random; asking again with the same one makes no second order.
    :param site_url: where this installation is reached from outside, without a slash at its end.
    :param return_path: where the payer goes afterwards, a path on that site.
    """

    order_id: str
    amount: Decimal
    currency: str
    expires_at: datetime
    site_url: str
    return_path: str


@dataclass(frozen=True, slots=True)
class OpenedOrder:
    """An order the provider has taken: its own name for it, and where it is paid."""

    reference: str
    pay_url: str


class Outcome(StrEnum):
    """What has become of an order at the provider."""

    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider says of one of our orders.

    :param payment_id: the provider's own payment, unique with it; empty unless paid.
    :param amount: what was paid, or is to be paid.
    :param opened_at: when the provider took the order, by its clock.
    """

    order_id: str
    reference: str
    outcome: Outcome
    amount: Decimal
    currency: str
    opened_at: datetime
    payment_id: str = ""
    paid_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no provider means; :raises ValueError: naming it."""
        if self.outcome is Outcome.PAID and not 0 < len(self.payment_id) <= MAX_PAYMENT_ID:
            raise ValueError("a payment has a name")
        if not (self.amount.is_finite() and abs(self.amount) < MAX_AMOUNT):
            raise ValueError("an amount is a number within bounds")
        if not CURRENCY.fullmatch(self.currency):
            raise ValueError("a currency is three letters")


class Provider(Protocol):
    """A payment provider."""

    name: str

    def open_order(self, order: NewOrder) -> OpenedOrder:
        """Have the provider take an order. Safe to repeat.

        :raises InvalidAmountError: the provider does not take this amount.
        :raises UnavailableError: it cannot be reached, or does not answer as it should.
        """
        ...

    def read_callback(self, *, body: bytes, headers: Mapping[str, str]) -> Report | None:
        """Return what a callback says; None if it is genuine and about nothing of ours.

        :raises NotAuthenticatedError: it does not come from the provider, or is too old.
        :raises InvalidRequestError: it is genuine and cannot be read.
        """
        ...

    def ask(self, *, order_id: str, reference: str) -> Report | None:
        """Return what the provider knows of an order; None if it has none such.

        :raises UnavailableError: it cannot be reached.
        """
        ...

    def list_paid(self, *, since: datetime, until: datetime) -> Iterator[Report]:
        """Yield the paid orders among those the provider took in `[since, until)`.

        :raises UnavailableError: it cannot be reached.
        """
        ...
