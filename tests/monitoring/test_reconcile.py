"""The hourly comparison finds what does not add up, tells of it, and repairs nothing."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from mps.base.core.db_scope import principal_scope
from mps.product.monitoring import reconciling, services, tasks
from mps.product.monitoring.models import Incident
from payments import points, refunds
from tests import factories
from tests.concurrency.racing import run_together
from tests.core.test_invariants import CORRUPTIONS
from tests.monitoring.conftest import Receiver
from tests.snapshots import fetch

CARD_MONEY = "(SELECT id FROM ledger_account WHERE kind = 'card_money')"
# What a superuser past all triggers did, beyond what the invariants' own tests do.
PAYMENT = "(SELECT id FROM payments_transaction WHERE type = 'payment' AND status = 'completed')"
PLANTED = {
    "a balance is the sum of its entries": [
        *CORRUPTIONS["a balance is the sum of its entries"],
        "UPDATE ledger_account SET balance = 7 WHERE kind = 'card_points' AND balance = 0",
    ],
    "postings sum to zero": CORRUPTIONS["postings sum to zero per unit"],
    "every posting has entries": CORRUPTIONS["every posting has entries"],
    "every entry is on a known account, of a known posting": CORRUPTIONS[
        "every entry is on a known account, of a known posting"
    ],
    "each balance after is the one before plus the amount": CORRUPTIONS[
        "each balance after is the one before plus the amount"
    ],
    "every completed transaction that moves value is posted, once": CORRUPTIONS[
        "every completed transaction that moves value is posted, once"
    ],
    "what was posted is a transaction that took effect": [
        *CORRUPTIONS["a failed transaction moved nothing"],
        f"DELETE FROM payments_transaction WHERE id = {PAYMENT}",
    ],
    "what a transaction says moved is what moved": CORRUPTIONS[
        "what a transaction says moved is what moved"
    ],
    "a payment's refund total is the sum of its refunds": [
        f"UPDATE payments_transaction SET refunded_total = refunded_total + 1 WHERE id = {PAYMENT}",
        "UPDATE payments_transaction SET fee = 0.01 WHERE type = 'refund'",
    ],
}


@pytest.fixture
def books(broken_shop: SimpleNamespace) -> SimpleNamespace:
    """A payment, part of it refunded, one that failed, points given; past all guards."""
    paid = broken_shop.pay("50.00")
    refunds.refund_payment(
        till=broken_shop.till, tx_no=paid, amount=Decimal("20.00"), idempotency_key="R"
    )
    broken_shop.pay("5000.00")
    points.adjust_points(card_id=broken_shop.card.id, delta=5)
    return broken_shop


def incidents() -> list[Incident]:
    with principal_scope("platform_admin"):
        return list(Incident.objects.order_by("id"))


def test_books_that_add_up_are_no_alarm(books: SimpleNamespace, receiver: Receiver) -> None:
    assert tasks.reconcile() == []
    call_command("reconcile")
    call_command("reconcile", "--full")

    assert incidents() == []
    assert receiver.events == []


def test_each_kind_of_corruption_is_found(books: SimpleNamespace) -> None:
    assert set(PLANTED) == {check.name for check in reconciling.CHECKS}
    connections["owner"].ensure_connection()
    for name, corruptions in PLANTED.items():
        for corruption in corruptions:
            books.plant("BEGIN")
            books.plant(corruption)
            check = next(check for check in reconciling.CHECKS if check.name == name)
            sql = check.sql % {"floor": f"'{'0' * 32}'::uuid", "everything": "true", "part": "0"}
            found = books.plant(f"SELECT * FROM ({sql}) AS offender LIMIT 1").fetchone()
            assert found is not None and found[0], corruption
            books.plant("ROLLBACK")


def test_a_difference_is_told_once_until_it_is_gone(
    books: SimpleNamespace, receiver: Receiver
) -> None:
    books.plant(f"UPDATE ledger_account SET balance = balance + 0.01 WHERE id = {CARD_MONEY}")

    for _ in range(3):
        assert tasks.reconcile() == ["a balance is the sum of its entries"]

    [incident] = incidents()
    account = str(fetch(f"SELECT {CARD_MONEY}"))
    assert (incident.kind, incident.details) == (
        "reconcile",
        {"differences": {"a balance is the sum of its entries": [account]}},
    )
    assert receiver.events == [("incident.opened", "reconcile")]
    # Nothing was repaired.
    assert fetch("SELECT balance FROM ledger_account WHERE id = %s", [account]) == Decimal("970.01")

    books.plant(f"UPDATE ledger_account SET balance = balance - 0.01 WHERE id = {CARD_MONEY}")
    assert tasks.reconcile() == []
    assert receiver.events[1:] == [("incident.closed", "reconcile")]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger too large to be looked at as a whole."""
    monkeypatch.setattr(reconciling, "SMALL_BYTES", -1)
    monkeypatch.setattr(reconciling, "OVERLAP_SECONDS", 0)


def test_of_a_large_ledger_only_what_is_new_is_looked_at(
    books: SimpleNamespace, large: None
) -> None:
    first = services.reconcile()
    assert not first["everything"]
    assert first["from"].year == 1970
    old = fetch("SELECT id FROM ledger_posting WHERE kind = 'payment'")

    def unbalance(posting: Any) -> None:
        books.plant(
            "UPDATE ledger_entry SET amount = amount + 1"
            " WHERE posting_id = %s AND balance_after IS NULL",
            [posting],
        )

    unbalance(old)
    assert services.reconcile()["differences"] == {}
    books.pay("10.00")
    new = fetch("SELECT id FROM ledger_posting WHERE kind = 'payment' ORDER BY id DESC LIMIT 1")
    unbalance(new)
    for _ in range(2):
        # What differs is looked at again, until it no longer does.
        assert services.reconcile()["differences"] == {"postings sum to zero": [str(new)]}
    assert services.reconcile_fully()["postings sum to zero per unit"]


def test_within_a_day_each_account_is_looked_at(books: SimpleNamespace, large: None) -> None:
    services.reconcile()
    books.plant(f"UPDATE ledger_account SET balance = balance + 1 WHERE id = {CARD_MONEY}")
    runs = 1
    while not services.reconcile()["differences"]:
        runs += 1
        assert runs <= reconciling.SLICES
    # And it stays found.
    assert services.reconcile()["differences"]


def test_what_commits_late_is_looked_at(books: SimpleNamespace, monkeypatch: Any) -> None:
    monkeypatch.setattr(reconciling, "SMALL_BYTES", -1)
    before = fetch("SELECT now()")
    services.reconcile()
    run = services.reconcile()

    assert run["from"] < before


def test_the_full_check_opens_an_incident_of_its_own(
    books: SimpleNamespace, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    books.plant("UPDATE payments_order SET amount = 1")
    books.plant("UPDATE payments_transaction SET tx_no = 'PAY0000000001' WHERE type = 'refund'")

    with pytest.raises(CommandError, match="The books differ"):
        call_command("reconcile", "--full")

    assert "every number exists once: PAY0000000001" in capsys.readouterr().err
    assert [incident.kind for incident in incidents()] == ["reconcile_full"]
    # The hourly one does not look at everything, so it does not close it.
    services.reconcile()
    assert receiver.events == [("incident.opened", "reconcile_full")]


def test_the_command_names_the_offenders(
    books: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    books.plant("UPDATE ledger_entry SET amount = amount + 1 WHERE balance_after IS NULL")

    with pytest.raises(CommandError, match="The books differ"):
        call_command("reconcile")

    assert capsys.readouterr().err.startswith("postings sum to zero: ")


def test_who_charges_meanwhile_makes_no_difference(books: SimpleNamespace) -> None:
    members = [factories.make_member() for _ in range(4)]
    cards = [(factories.make_prepaid(member, "100.00"), member) for member, _ in members]

    def charge(number: int) -> None:
        card, member = cards[number]
        for _ in range(5):
            factories.charge(books.till, factories.make_code(card, member), "1.00")

    def look() -> None:
        for _ in range(5):
            assert services.reconcile()["differences"] == {}

    run_together([*(lambda n=n: charge(n) for n in range(4)), look, look], workers=6)
    assert incidents() == []
