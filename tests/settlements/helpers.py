"""Shops with a past, for settlements' tests."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connections

from cards.models import Card
from members.models import Member
from merchants.selectors import Till
from mps.base.core.db_scope import principal_scope
from payments import refunds, topups
from payments.idempotency import Answer
from settlements import services
from settlements.models import Settlement
from tests import factories

START = datetime(2020, 1, 1, tzinfo=UTC)


def soon() -> datetime:
    """Return a moment after everything that has happened by now."""
    return datetime.now(UTC) + timedelta(minutes=5)


def settle(till: Till, *, end: datetime | None = None, **fields: Any) -> Settlement:
    """Settle all a shop did so far; each call is a period of its own."""
    return services.generate_settlement(
        **{
            "merchant_id": till.merchant_id,
            "mode": "t_plus_1",
            "period_start": START,
            "period_end": end or soon(),
            **fields,
        }
    )


def pay(till: Till, card: Card, member: Member, amount: str, **fields: Any) -> str:
    """Charge a card; return the payment's number."""
    answer = factories.charge(till, factories.make_code(card, member), amount, **fields)
    assert not answer.refused, answer.body
    number: str = answer.body["tx_no"]
    return number


def refund(till: Till, tx_no: str, amount: str) -> Answer:
    """Give part of a payment back."""
    answer = refunds.refund_payment(
        till=till, tx_no=tx_no, amount=Decimal(amount), idempotency_key=factories.new_key()
    )
    assert not answer.refused, answer.body
    return answer


def take_cash(till: Till, card: Card, amount: str) -> str:
    """Put cash on a card at a till; return the top-up's number."""
    answer = topups.top_up_at_till(
        till=till, card_no=card.number, amount=Decimal(amount), idempotency_key=factories.new_key()
    )
    assert not answer.refused, answer.body
    number: str = answer.body["tx_no"]
    return number


def figures(settlement: Settlement) -> tuple[str, ...]:
    """Return gross, refunds, cash top-ups, fee, carried in and net."""
    return tuple(
        str(value)
        for value in (
            settlement.gross,
            settlement.refunds,
            settlement.cash_topups,
            settlement.fee,
            settlement.carried_in,
            settlement.net,
        )
    )


def fetch(sql: str, parameters: Any = None) -> Any:
    """Return the first column of the first row, seen by the owner."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return row[0] if row else None


def owed(till: Till) -> Decimal:
    """Return the sum of the entries of a shop's account."""
    return Decimal(
        fetch(
            "SELECT coalesce(sum(amount), 0) FROM ledger_entry WHERE account_id = %s",
            [till.account_id],
        )
    )


def platform(kind: str) -> Decimal:
    """Return the sum of the entries of one of the platform's accounts."""
    return Decimal(
        fetch(
            "SELECT coalesce(sum(e.amount), 0) FROM ledger_account a"
            " JOIN ledger_entry e ON e.account_id = a.id WHERE a.kind = %s",
            [kind],
        )
    )


def fresh(settlement: Settlement) -> Settlement:
    """Read a settlement again."""
    with principal_scope("platform_admin"):
        return Settlement.objects.select_related("merchant").get(id=settlement.id)


def count(table: str) -> int:
    """Count a table's rows."""
    return int(fetch(f"SELECT count(*) FROM {table}"))


def state() -> tuple[Any, ...]:
    """Return everything a settlement could have moved."""
    return tuple(
        fetch(f"SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table} t")
        for table in (
            "settlements_settlement",
            "settlements_line",
            "payments_unclaimed",
            "ledger_entry",
            "ledger_posting",
        )
    )


def actions() -> list[str]:
    """Return what was written down about settlements, oldest first."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT action FROM audit_event WHERE action ~ 'SETTLE' ORDER BY id")
        return [action for (action,) in cursor.fetchall()]


class HeldCharge:
    """A charge whose COMMIT waits for the end of the block."""

    def __init__(self, till: Till, code: str, amount: str) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(till, code, amount))
        self.error: BaseException | None = None

    def _run(self, till: Till, code: str, amount: str) -> None:
        wrapper = connections["default"]
        commit = wrapper._commit

        def wait_and_commit() -> None:
            self.reached.set()
            assert self.go.wait(30)
            commit()

        wrapper._commit = wait_and_commit
        try:
            answer = factories.charge(till, code, amount)
            assert not answer.refused, answer.body
        except BaseException as error:
            self.error = error
        finally:
            self.reached.set()
            wrapper.close()

    def __enter__(self) -> None:
        self.thread.start()
        assert self.reached.wait(30)

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.thread.join(30)
        if self.error:
            raise self.error
