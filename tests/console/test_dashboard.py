"""The first page: right figures, each with its rows, in few queries; a payment's refund act."""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cards.errors import CodeExpiredOrInvalidError
from merchants.webhooks.models import WebhookDelivery, WebhookEvent
from mps.base.approvals.models import Approval
from mps.base.core.db_scope import principal_scope
from mps.base.ledger.models import Entry, Posting
from payments import dashboard
from payments.models import TopUp, Transaction
from tests import factories
from tests.console.conftest import staff_client
from tests.console.helpers import (
    act,
    act_url,
    count_postings,
    events,
    fresh,
    list_url,
    page_url,
    texts,
)

INDEX = "admin:index"
ALL_FIGURES = (
    "payments.view_transaction",
    "members.view_member",
    "ledger.view_account",
    "cards.view_codehistory",
    "settlements.view_settlement",
    "monitoring.view_incident",
    "approvals.view_approval",
)


def figures(client: Client) -> dict:
    page = client.get(reverse(INDEX))
    assert page.status_code == 200
    groups = page.context["groups"]
    return {str(each.title): each for group in groups for each in group["figures"]}


def payment_of(world) -> Transaction:
    with principal_scope("platform_admin"):
        return Transaction.objects.get(tx_no=world.paid.body["tx_no"])


def test_first_page_shows_the_days_figures(console: Client, world) -> None:
    poor = factories.make_prepaid(world.member, "1.00")
    factories.charge(world.till, factories.make_code(poor, world.member), "500.00")

    found = figures(console)

    assert found["Charges"].value == "1"
    assert found["Payment volume"].value == "TWD 100.00"
    assert found["Success rate"].value == "50.0 %"
    assert [str(text) for text, _ in found["Success rate"].parts] == ["1 × Insufficient balance."]
    assert found["New members"].value == "1"
    assert found["Outstanding balances"].value == "TWD 911.00"
    assert [str(text) for text, _ in found["Payment volume"].parts] == [
        "Refunds: TWD 10.00",
        "Top-ups: TWD 1,001.00",
    ]
    assert found["Settlements due"].value == "0"
    assert found["Open alerts"].value == "0"
    assert found["Awaiting approval"].value == "0"


def test_every_link_of_the_first_page_leads_to_rows(console: Client, world) -> None:
    poor = factories.make_prepaid(world.member, "1.00")
    factories.charge(world.till, factories.make_code(poor, world.member), "500.00")
    with pytest.raises(CodeExpiredOrInvalidError):
        factories.charge(world.till, world.code, "5.00")

    for each in figures(console).values():
        for href in [each.href, *(href for _text, href in each.parts)]:
            assert console.get(href).status_code == 200, href
    found = figures(console)
    for href, count in (
        (found["Charges"].href, 2),  # with the declined one, marked so
        (found["Success rate"].href, 1),
        (found["New members"].href, 1),
    ):
        assert len(console.get(href).context["cl"].result_list) == count, href
    for _text, href in found["Success rate"].parts:
        assert console.get(href).context["cl"].result_list, href


def test_first_page_takes_few_queries(world) -> None:
    client = staff_client(*ALL_FIGURES)
    for days in dashboard.RANGES:
        with CaptureQueriesContext(connection) as queries:
            page = client.get(reverse(INDEX), {"days": days})
        assert len(page.context["groups"][2]["figures"]) == 3
        assert len(queries) <= 15, [each["sql"][:80] for each in queries]


def test_every_list_is_searched_in_few_queries(console: Client, world) -> None:
    for model, page in admin.site._registry.items():
        for query in ({"q": "nothing is called so"}, {"q": world.member.number}, {"p": "2"}):
            with CaptureQueriesContext(connection) as queries:
                found = console.get(list_url(model), query)
            assert len(queries) <= 15, (model, query)
            if "nothing" in query.get("q", "") and (page.search_fields or page.search_help_text):
                assert not found.context["cl"].result_list, model


def test_search_finds_by_what_is_equal(console: Client, world) -> None:
    payment = payment_of(world)
    with principal_scope("platform_admin"):
        top_up = TopUp.objects.get()
        posting = Posting.objects.get(reference=payment.id)
        account_id = world.prepaid.money_account_id
        count_of_card = Entry.objects.filter(account_id=account_id).count()
    for model, term, count in (
        (TopUp, top_up.order_id, 1),
        (TopUp, "ORDER-1", 0),
        (Transaction, "order-1", 1),
        (Posting, str(posting.reference), 1),
        (Posting, "payment", 0),
        (Entry, str(account_id).upper(), count_of_card),
        (WebhookDelivery, world.till.merchant_code, 2),
        (WebhookEvent, "no-webhook-id", 0),
    ):
        found = console.get(list_url(model), {"q": term})
        assert len(found.context["cl"].result_list) == count, (model, term)


def test_range_of_the_chart(console: Client, world) -> None:
    for asked, days in (("7", 7), ("30", 30), ("90", 90), ("91", 7), ("x", 7), ("", 7)):
        page = console.get(reverse(INDEX), {"days": asked})
        with principal_scope("platform_admin") as scope:
            now = dashboard.read_now()
            drawn = dashboard.history(
                scope, now, dashboard.today_and_then(scope, now)[0], days=days
            )
        assert len(drawn) == days
        assert (drawn[-1].charges, str(drawn[-1].volume)) == (1, "100.00")
        assert page.context["ranges"] == [(each, each == days) for each in dashboard.RANGES]
        assert page.content.decode().count('class="chart"') == 2


def test_last_week_is_read_up_to_the_same_hour(world) -> None:
    with principal_scope("platform_admin") as scope:
        now = dashboard.read_now()
        today, then = dashboard.today_and_then(scope, now)

        assert (now.now - now.now_then).days == 7
        assert now.day.weekday() == now.day_then.weekday()
        assert (today.charges, then.charges) == (1, 0)
        # What happened a moment ago is a week ago for somebody who asks in a week.
        later = dashboard.Now(
            now.now.replace(year=now.now.year + 1), now.today.replace(year=now.today.year + 1),
            now.now, now.today,
        )  # fmt: skip
        today, then = dashboard.today_and_then(scope, later)
        assert (today.charges, then.charges, then.refunds) == (0, 1, 1)


def test_first_page_shows_what_somebody_may_see(world) -> None:
    assert list(figures(staff_client("monitoring.view_incident"))) == ["Open alerts"]


def test_member_page_tells_all(console: Client, world) -> None:
    page = unescape(console.get(page_url(world.member)).content.decode())

    assert "Audit trail" in page
    assert "Latest transactions" in page
    assert world.paid.body["tx_no"] in page
    assert "openid-1" in page
    assert world.prepaid.number in page


def test_payment_page_shows_what_the_shop_was_told(console: Client, world) -> None:
    page = console.get(page_url(payment_of(world))).content.decode()

    assert "Webhook deliveries" in page
    assert "payment completed" in page
    assert re.search(r"http://127\.0\.0\.1:9/mps", page)


def test_staff_refund_a_payment(console: Client, world) -> None:
    payment = payment_of(world)

    done = act(console, Transaction, "refund", payment, amount="30.00", reason="wrong dish")

    assert "30.00 refunded" in texts(done)[0]
    assert str(fresh(payment).refunded_total) == "40.00"
    (by_staff,) = [each for each in events("REFUND_COMPLETED") if each.actor_type == "staff"]
    assert (by_staff.actor, by_staff.context["reason"]) == ("boss", "wrong dish")


def test_refund_beyond_what_was_paid_moves_nothing(console: Client, world) -> None:
    before = count_postings()

    done = act(console, Transaction, "refund", payment_of(world), amount="90.01", reason="x")

    assert "exceeds the amount that can still be refunded" in texts(done)[0]
    assert count_postings() == before
    assert str(fresh(payment_of(world)).refunded_total) == "10.00"


def test_refund_sent_twice_is_one(console: Client, world) -> None:
    payment = payment_of(world)
    form = {"token": "a" * 32, "amount": "30.00", "reason": "twice"}

    for _ in range(2):
        console.post(act_url(Transaction, "refund", payment), form)

    assert str(fresh(payment).refunded_total) == "40.00"


@override_settings(MPS_FOUR_EYES=True, MPS_FOUR_EYES_AMOUNT=50)
def test_large_refund_waits_for_a_second_pair_of_eyes(console: Client, world) -> None:
    payment = payment_of(world)
    before = count_postings()

    act(console, Transaction, "refund", payment, amount="60.00", reason="all of it")

    assert count_postings() == before
    with principal_scope("platform_admin"):
        assert Approval.objects.filter(state="requested").count() == 1
    waiting = figures(console)["Awaiting approval"]
    assert waiting.value == "1"
    assert payment.tx_no in waiting.parts[0][0]


def test_refund_needs_the_permission(world) -> None:
    client = staff_client("payments.view_transaction")

    url = act_url(Transaction, "refund", payment_of(world))

    assert url not in client.get(page_url(payment_of(world))).content.decode()
    assert client.get(url).status_code == 403
