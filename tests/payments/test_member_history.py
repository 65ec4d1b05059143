"""What members read of the past over HTTP: transactions and points."""

import itertools
import json
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cards import sharing
from mps.base.core.db_scope import principal_scope
from payments import history, refunds
from tests import factories

TRANSACTIONS = "/api/v1/me/transactions"
POINTS = "/api/v1/me/points"
FIELDS = [
    "tx_no",
    "type",
    "status",
    "failure_code",
    "card_no",
    "merchant_code",
    "merchant_name",
    "amount",
    "discount_rate",
    "discount_amount",
    "final_amount",
    "currency",
    "points",
    "payment_method",
    "external_order_id",
    "original_tx_no",
    "created_at",
]


def read_all(client: Client, url: str) -> list[dict]:
    """Follow a list to its end."""
    rows = []
    while url:
        page = client.get(url).json()
        rows += page["results"]
        url = page["next"]
    return rows


def numbers(client: Client, url: str = TRANSACTIONS) -> list[str]:
    return [row["tx_no"] for row in read_all(client, url)]


def test_a_members_transactions_newest_first(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(code="CORNER", name="Corner shop")
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")
    paid = factories.charge(
        till, factories.make_code(card, member), "299.00", external_order_id="WX1"
    )
    refund = refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("50.00"), idempotency_key="r1"
    )
    poor = factories.charge(till, factories.make_code(card, member), "9000.00")
    client = factories.member_client(member)

    answer = client.get(TRANSACTIONS)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"results", "next", "previous"}
    assert (body["next"], body["previous"]) == (None, None)
    failed, given_back, payment, recharge = body["results"]
    assert all(list(row) == FIELDS for row in body["results"])
    assert payment == {
        "tx_no": paid.body["tx_no"],
        "type": "payment",
        "status": "completed",
        "failure_code": None,
        "card_no": card.number,
        "merchant_code": "CORNER",
        "merchant_name": "Corner shop",
        "amount": "299.00",
        "discount_rate": "0.95",
        "discount_amount": "14.95",
        "final_amount": "284.05",
        "currency": "TWD",
        "points": 299,
        "payment_method": "balance",
        "external_order_id": "WX1",
        "original_tx_no": None,
        "created_at": paid.body["created_at"],
    }
    assert (given_back["type"], given_back["tx_no"], given_back["original_tx_no"]) == (
        "refund",
        refund.body["tx_no"],
        paid.body["tx_no"],
    )
    assert (given_back["final_amount"], given_back["points"]) == ("50.00", -52)
    assert poor.status == 402
    assert (failed["status"], failed["failure_code"]) == ("failed", "INSUFFICIENT_BALANCE")
    assert (recharge["type"], recharge["merchant_code"], recharge["amount"]) == (
        "recharge",
        None,
        "1000.00",
    )


def test_filters(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    factories.charge(till, factories.make_code(card, member), "10.00")
    factories.charge(till, factories.make_code(standard, member), "5.00", payment_method="cash")
    client = factories.member_client(member)

    assert [row["type"] for row in read_all(client, f"{TRANSACTIONS}?card_no={card.number}")] == [
        "payment",
        "recharge",
    ]
    assert len(read_all(client, f"{TRANSACTIONS}?type=payment")) == 2
    assert len(read_all(client, f"{TRANSACTIONS}?type=payment&card_no={card.number}")) == 1
    assert read_all(client, f"{TRANSACTIONS}?type=refund&card_no={card.number}") == []
    both = client.get(f"{TRANSACTIONS}?type=payment&limit=1").json()
    assert "type=payment" in both["next"]


def test_every_role_sees_all_of_a_shared_card_and_nobody_else_does(database: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner, "100.00")
    stranger, _ = factories.make_member()
    factories.charge(factories.make_till(), factories.make_code(card, owner), "10.00")
    all_of_it = numbers(factories.member_client(owner))

    assert len(all_of_it) == 2
    for role in ("admin", "member", "viewer"):
        other, _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=other.id, role=role)
        client = factories.member_client(other)
        assert numbers(client) == all_of_it
        assert [row["points"] for row in read_all(client, POINTS)] == [10]
    client = factories.member_client(stranger)
    assert numbers(client) == []
    assert read_all(client, POINTS) == []
    answer = client.get(f"{TRANSACTIONS}?card_no={card.number}")
    assert (answer.status_code, answer.json()["code"]) == (404, "CARD_NOT_FOUND")


def test_who_left_a_card_still_sees_what_they_paid_with_it(database: str) -> None:
    owner, _ = factories.make_member()
    other, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    sharing.bind_member(card_id=card.id, member_id=other.id)
    factories.charge(till, factories.make_code(card, owner), "1.00")
    theirs = factories.charge(till, factories.make_code(card, other), "10.00").body["tx_no"]
    sharing.unbind_member(card_id=card.id, member_id=other.id)
    refund = refunds.refund_payment(
        till=till, tx_no=theirs, amount=Decimal("1.00"), idempotency_key="r1"
    )
    factories.charge(till, factories.make_code(card, owner), "2.00")
    client = factories.member_client(other)

    assert numbers(client) == [refund.body["tx_no"], theirs]
    assert numbers(client, f"{TRANSACTIONS}?card_no={card.number}") == numbers(client)
    assert read_all(client, POINTS) == []
    assert client.get(f"/api/v1/me/cards/{card.number}").status_code == 404


def test_points_newest_first(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    factories.make_corporate(member, "10.00")
    first = factories.charge(
        till, factories.make_code(standard, member), "7.00", payment_method="cash"
    )
    second = factories.charge(till, factories.make_code(card, member), "100.00")
    refund = refunds.refund_payment(
        till=till, tx_no=second.body["tx_no"], amount=Decimal("40.00"), idempotency_key="r1"
    )
    client = factories.member_client(member)

    rows = read_all(client, POINTS)

    assert list(rows[0]) == ["card_no", "points", "balance_after", "tx_no", "type", "created_at"]
    assert [tuple(row.values())[:5] for row in rows] == [
        (card.number, -40, 60, refund.body["tx_no"], "refund"),
        (card.number, 100, 100, second.body["tx_no"], "payment"),
        (standard.number, 7, 7, first.body["tx_no"], "payment"),
    ]
    assert rows[2]["created_at"] == first.body["created_at"]
    assert [row["points"] for row in read_all(client, f"{POINTS}?limit=1")] == [-40, 100, 7]


def test_pages_forth_and_back_meet_nothing_twice(database: str) -> None:
    member, _ = factories.make_member()
    for _ in range(3):
        card = factories.make_prepaid(member)
        for _ in range(3):
            factories.top_up(card, "1.00")
    client = factories.member_client(member)
    whole = numbers(client)
    assert len(whole) == 9

    for limit in (1, 2, 4, 8, 9, 10):
        pages, url = [], f"{TRANSACTIONS}?limit={limit}"
        while url:
            page = client.get(url).json()
            pages.append(page)
            url = page["next"]
        assert [row["tx_no"] for page in pages for row in page["results"]] == whole
        assert pages[0]["previous"] is None
        for before, page in itertools.pairwise(pages):
            back = client.get(page["previous"]).json()
            assert back["results"] == before["results"]
            assert client.get(back["next"]).json()["results"] == page["results"]
        # What comes in meanwhile moves no page.
        if len(pages) > 1:
            factories.top_up(card, "1.00")
            again = client.get(pages[0]["next"]).json()["results"]
            assert again == pages[1]["results"]
            whole = numbers(client)


def test_bad_queries_are_refused(database: str) -> None:
    member, _ = factories.make_member()
    client = factories.member_client(member)

    for url in (TRANSACTIONS, POINTS):
        for query in (
            "limit=0",
            "limit=201",
            "limit=1e1",
            "limit=",
            "cursor=junk",
            "cursor=%00",
            "cursor=cD0yMDI1",
            "cursor=cD0lMDA%3D",
            "page=1",
            "member=M00000001",
            "cursor=a&cursor=b",
            "%ED%A0%80=1",
        ):
            answer = client.get(f"{url}?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), query
    for query in ("type=", "type=PAYMENT", "type=%00", "type=payment&type=refund", "card_no=%00"):
        assert client.get(f"{TRANSACTIONS}?{query}").status_code == 400, query
    for number in ("PPD99999999", "x", "%ED%A0%80", "x" * 400, "PPD１"):
        answer = client.get(f"{TRANSACTIONS}?card_no={number}")
        assert (answer.status_code, answer.json()["code"]) == (404, "CARD_NOT_FOUND"), number
    assert client.get(f"{POINTS}?type=payment").status_code == 400
    for url in (TRANSACTIONS, POINTS):
        assert Client().get(url).status_code == 401
        assert client.post(url, "{}", content_type="application/json").status_code == 405


def test_a_page_is_one_statement_however_many_cards_there_are(database: str) -> None:
    member, _ = factories.make_member()
    client = factories.member_client(member)
    counts = set()
    for _ in range(3):
        factories.make_prepaid(member, "1.00")
        for url in (TRANSACTIONS, POINTS):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url).status_code == 200
            counts.add(len(queries))

    # Who is it, BEGIN, role and principal, the page, COMMIT.
    assert len(counts) == 1
    assert counts.pop() <= 5


def test_deep_pages_cost_what_the_first_costs(database: str) -> None:
    member, standard = factories.make_member()
    other, _ = factories.make_member()
    busy = [standard, factories.make_prepaid(member), factories.make_prepaid(other)]
    fill(busy, 20_000)

    costs = {}
    for kind, read, table in (
        ("transactions", history.transactions_of_member, "payments_transaction"),
        ("points", history.points_of_member, "ledger_entry"),
    ):
        for name, position in (("first", None), ("deep", id_at(table, 500))):
            span = history.Span(limit=51, position=position)
            plan = explain(partial(read, member_id=member.id, span=span), member)
            costs[kind, name] = blocks(plan)
            for node in nodes(plan):
                if node.get("Relation Name", "").startswith(f"{table}_"):
                    assert node["Node Type"].startswith("Index") or not node["Actual Rows"], node
                    assert node["Actual Rows"] <= 51

    assert costs["transactions", "deep"] <= costs["transactions", "first"] * 1.5
    assert costs["points", "deep"] <= costs["points", "first"] * 1.5
    assert max(costs.values()) < 2_000


def fill(cards_to_fill: list, count: int) -> None:
    """Load failed payments, which move nothing, and points that go to and fro."""
    with connections["owner"].cursor() as cursor:
        for card in cards_to_fill:
            cursor.execute(
                "INSERT INTO payments_transaction (tx_no, type, status, failure_code, card_id,"
                " card_no, member_id, currency, amount, final_amount, created_at)"
                " SELECT payments_next_number('payment'), 'payment', 'failed', 'CARD_NOT_ACTIVE',"
                " %s, %s, %s, 'TWD', 1, 1, now() FROM generate_series(1, %s)",
                [card.id, card.number, card.owner_id, count // len(cards_to_fill)],
            )
            cursor.execute(
                "SELECT count(ledger_post('adjustment', gen_random_uuid(), ARRAY[%s,"
                " ledger_platform_account('points_issue', 'PTS')]::uuid[],"
                " ARRAY[1, -1]::numeric[])) FROM generate_series(1, 1000)",
                [card.points_account_id],
            )
        cursor.execute("ANALYZE")


def id_at(table: str, place: int) -> UUID:
    """Return the id of a row near the beginning of a history."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} ORDER BY id OFFSET %s LIMIT 1", [place])
        return cursor.fetchone()[0]


def explain(read, member) -> dict:
    """Return how PostgreSQL ran the statement that `read` sends."""
    plans = []

    def run(execute, sql, params, many, context):
        explained = execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params, many, context)
        plan = context["cursor"].fetchone()[0]
        plans.append(plan if isinstance(plan, list) else json.loads(plan))
        execute(sql, params, many, context)
        return explained

    with (
        principal_scope("member_app", member.id) as scope,
        connection.execute_wrapper(run),
    ):
        assert read(scope)
    return plans[0][0]["Plan"]


def nodes(plan: dict) -> list[dict]:
    return [plan, *(below for child in plan.get("Plans", []) for below in nodes(child))]


def blocks(plan: dict) -> int:
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
