"""The sandbox's page: it asks the payer, keeps books, and calls back as a provider does."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from cards.models import Card
from cards.selectors import balances_of
from payments import topup_confirmations
from payments.models import SandboxOrder, TopUp
from payments.providers import sandbox
from payments.providers.base import NewOrder, Outcome
from tests import factories
from tests.payments.topups import SITE, begin, fresh, shift
from tests.servers import ROOT
from tests.snapshots import execute, fetch, outcome, snapshot


@pytest.fixture
def owner(database: str) -> Any:
    return factories.make_member()[0]


@pytest.fixture
def card(owner: Any) -> Card:
    return factories.make_prepaid(owner)


@pytest.fixture
def payer() -> Client:
    """A browser that has nothing to do with the member's token."""
    return Client(enforce_csrf_checks=True)


def page_of(top_up: TopUp) -> str:
    return top_up.pay_url.removeprefix(SITE)


def press(payer: Client, top_up: TopUp, answer: str) -> Any:
    """Open the page and press a button, as a browser does."""
    shown = payer.get(page_of(top_up)).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)
    assert token, shown
    return payer.post(page_of(top_up), {"answer": answer, "csrfmiddlewaretoken": token.group(1)})


def test_the_page_shows_what_is_paid(owner: Any, card: Card, payer: Client) -> None:
    top_up = begin(card, owner)

    answer = payer.get(page_of(top_up))

    page = answer.content.decode()
    assert answer.status_code == 200
    for text in ("Member Payment System", "TWD 500.00", "Pay", "Cancel", "no real money"):
        assert text in page
    assert "<script" not in page
    assert "on" not in re.findall(r"\s(on)[a-z]+=", page)
    assert card.number not in page
    assert "no-store" in answer["Cache-Control"]
    assert payer.head(page_of(top_up)).status_code == 200


def test_paying_credits_the_card_and_goes_back(owner: Any, card: Card, payer: Client) -> None:
    top_up = begin(card, owner, return_path="/wallet?from=topup")

    answer = press(payer, top_up, "pay")

    assert (answer.status_code, answer["Location"]) == (302, "/wallet?from=topup")
    assert fresh(top_up).status == "completed"
    assert balances_of(card)[0] == Decimal("500.00")
    assert fetch("SELECT actor FROM audit_event ORDER BY id DESC LIMIT 1") == "provider sandbox"
    assert "Paid" in payer.get(page_of(top_up)).content.decode()
    assert "<button" not in payer.get(page_of(top_up)).content.decode()


def test_paying_twice_credits_once(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    for paid in (True, True, False):
        topup_confirmations.pay_in_sandbox(order_id=top_up.order_id, paid=paid)

    assert fresh(top_up).status == "completed"
    assert balances_of(card)[0] == Decimal("500.00")
    assert fetch("SELECT count(*) FROM payments_transaction") == 1


def test_cancelling_closes_it(owner: Any, card: Card, payer: Client) -> None:
    top_up = begin(card, owner)
    before = snapshot().value

    answer = press(payer, top_up, "cancel")

    assert answer.status_code == 200
    assert "Cancelled" in answer.content.decode()
    assert fresh(top_up).status == "cancelled"
    topup_confirmations.pay_in_sandbox(order_id=top_up.order_id, paid=True)
    assert snapshot().value == before


def test_an_order_whose_time_is_over_is_not_paid(owner: Any, card: Card, payer: Client) -> None:
    top_up = begin(card, owner)
    shift(top_up, "-2 hours")

    assert "The payment has timed out" in payer.get(page_of(top_up)).content.decode()
    topup_confirmations.pay_in_sandbox(order_id=top_up.order_id, paid=True)

    assert fetch("SELECT status FROM payments_sandboxorder") == "open"
    assert fresh(top_up).status == "pending"


def test_another_site_cannot_press_the_button(owner: Any, card: Card, payer: Client) -> None:
    top_up = begin(card, owner)
    assert payer.post(page_of(top_up), {"answer": "pay"}).status_code == 403
    assert fetch("SELECT status FROM payments_sandboxorder") == "open"
    assert fresh(top_up).status == "pending"


def test_without_the_sandbox_there_is_no_page(owner: Any, card: Card, settings: Any) -> None:
    top_up = begin(card, owner)
    client = Client()
    assert client.get("/sandbox/pay/nobody").status_code == 404
    assert client.get("/sandbox/pay/%00").status_code in {400, 404}
    settings.MPS_TOPUP_PROVIDERS = []

    for answer in (client.get(page_of(top_up)), client.post(page_of(top_up), {"answer": "pay"})):
        assert answer.status_code == 404
    assert fetch("SELECT status FROM payments_sandboxorder") == "open"


def test_without_its_database_the_page_says_so(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    execute("ALTER TABLE payments_sandboxorder RENAME TO away")
    try:
        with pytest.raises(Exception, match="does not exist"):
            Client().get(page_of(top_up))
    finally:
        execute("ALTER TABLE away RENAME TO payments_sandboxorder")


def test_the_page_is_in_the_readers_language(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    page = Client(headers={"Accept-Language": "zh-Hant"}).get(page_of(top_up)).content.decode()
    assert '<html lang="zh-hant">' in page


def test_its_books(owner: Any, card: Card) -> None:
    adapter = sandbox.Sandbox()
    top_up = begin(card, owner)
    order = NewOrder(
        order_id=top_up.order_id,
        amount=Decimal("9.00"),
        currency="TWD",
        expires_at=top_up.expires_at,
        site_url=SITE,
        return_path="",
    )

    # The same order again is no second one.
    assert adapter.open_order(order).pay_url == top_up.pay_url
    assert fetch("SELECT amount FROM payments_sandboxorder") == Decimal("500.00")
    asked = adapter.ask(order_id=top_up.order_id, reference="")
    assert asked is not None
    assert (asked.outcome, asked.payment_id) == (Outcome.OPEN, "")
    assert adapter.ask(order_id="x", reference="") is None
    assert outcome(lambda: sandbox.decide(order_id="x", paid=True)) == "NOT_FOUND"
    assert SandboxOrder(order_id="x").__str__() == "x"


def test_it_is_off_unless_asked_for() -> None:
    left_out = ("MPS_TOPUP_PROVIDERS", "MPS_DEMO", "DEBUG", "DJANGO_SETTINGS_MODULE")
    base = {name: value for name, value in os.environ.items() if name not in left_out}
    expected: list[tuple[dict[str, str], str]] = [
        ({}, "[]"),
        ({"MPS_TOPUP_PROVIDERS": "stripe"}, "Stripe needs"),
    ]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", "from mps import settings; print(settings.MPS_TOPUP_PROVIDERS)"],
            env={**base, **environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment, _ in expected
    ]
    for process, (environment, said) in zip(started, expected, strict=True):
        assert said in process.communicate()[0], environment
