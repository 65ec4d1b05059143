"""A member's cards over HTTP."""

import json
from decimal import Decimal

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cards import card_status, sharing, vouchers
from cards.models import Card
from members import services as member_services
from members.models import Member
from tests import factories
from tests.cards.helpers import CARD_FIELDS, as_owner, events, post


def give_points(member: Member, card: Card, points: int) -> None:
    """Earn points: a standard card pays so much in cash."""
    code = factories.make_code(card, member)
    answer = factories.charge(factories.make_till(), code, f"{points}.00", payment_method="cash")
    assert answer.status == 201


# --- cards ---------------------------------------------------------------------------------------


def test_cards_show_what_each_type_has(database: str) -> None:
    member, standard = factories.make_member()
    give_points(member, standard, 1000)
    prepaid = factories.make_prepaid(member, "715.95", fixed_discount="0.95", name="Family")
    corporate = factories.make_corporate(member, "50")
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal("15.00"))

    answer = factories.member_client(member).get("/api/v1/me/cards")

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"results", "next", "previous"}
    rows = {row["card_type"]: row for row in body["results"]}
    assert [row["card_no"] for row in body["results"]] == [
        standard.number,
        prepaid.number,
        corporate.number,
        voucher.number,
    ]
    assert all(list(row) == CARD_FIELDS for row in rows.values())
    seen = {
        kind: (row["balance"], row["points"], row["tier"], row["level"], row["discount_rate"])
        for kind, row in rows.items()
    }
    assert seen == {
        "STD": (None, 1000, "silver", 1, "0.95"),
        "PPD": ("715.95", 0, "ordinary", 0, "0.95"),
        "COR": ("50.00", None, None, None, "1.00"),
        "VCH": (None, None, None, None, "1.00"),
    }
    assert rows["PPD"]["name"] == "Family"
    ahead = {kind: (row["next_tier"], row["next_tier_points"]) for kind, row in rows.items()}
    assert ahead == {
        "STD": ("gold", 5000),
        "PPD": ("silver", 1000),
        "COR": (None, None),
        "VCH": (None, None),
    }


def test_the_tier_follows_the_points(database: str) -> None:
    for points, tier, level, rate, above, from_points in (
        (999, "ordinary", 0, "1.00", "silver", 1000),
        (1000, "silver", 1, "0.95", "gold", 5000),
        (4999, "silver", 1, "0.95", "gold", 5000),
        (5000, "gold", 2, "0.90", "diamond", 10000),
        (9999, "gold", 2, "0.90", "diamond", 10000),
        (10000, "diamond", 3, "0.85", None, None),
    ):
        member, card = factories.make_member()
        give_points(member, card, points)

        body = factories.member_client(member).get(f"/api/v1/me/cards/{card.number}").json()

        seen = (body["points"], body["tier"], body["level"], body["discount_rate"])
        assert seen == (points, tier, level, rate)
        assert (body["next_tier"], body["next_tier_points"]) == (above, from_points)


def test_a_standard_card_brings_the_best_corporate_discount_it_is_lent(database: str) -> None:
    boss, _ = factories.make_member()
    member, standard = factories.make_member()
    client = factories.member_client(member)
    url = f"/api/v1/me/cards/{standard.number}"
    lent = [factories.make_corporate(boss, fixed_discount=rate) for rate in ("0.9", "0.8", "0.7")]
    factories.make_corporate(boss, fixed_discount="0.5")  # not lent
    for card in lent:
        sharing.bind_member(card_id=card.id, member_id=member.id)

    assert client.get(url).json()["discount_rate"] == "0.70"
    card_status.freeze_card(card_id=lent[2].id)
    assert client.get(url).json()["discount_rate"] == "0.80"
    as_owner("UPDATE cards_card SET expires_at = now() WHERE id = %s", [lent[1].id])
    assert client.get(url).json()["discount_rate"] == "0.90"
    sharing.unbind_member(card_id=lent[0].id, member_id=member.id)
    assert client.get(url).json()["discount_rate"] == "1.00"


def test_a_card_whose_time_is_over_shows_as_expired(database: str) -> None:
    member, card = factories.make_member()
    as_owner("UPDATE cards_card SET expires_at = now() WHERE id = %s", [card.id])

    body = factories.member_client(member).get(f"/api/v1/me/cards/{card.number}").json()

    assert body["status"] == "expired"
    assert body["expires_at"].endswith("Z")


def test_a_voucher_says_what_it_is_good_for(database: str) -> None:
    member, standard = factories.make_member()
    shops = [factories.make_till(name=name) for name in ("Bakery", "Corner shop")]
    card = vouchers.issue_voucher_card(
        owner_id=member.id,
        kind="amount",
        value=Decimal(50),
        min_spend=Decimal(200),
        merchant_ids=[shop.merchant_id for shop in shops],
    )
    anywhere = vouchers.issue_voucher_card(
        owner_id=member.id, kind="percent", value=Decimal("12.5")
    )
    client = factories.member_client(member)
    url = f"/api/v1/me/cards/{card.number}"

    shown = client.get(url).json()["voucher"]

    assert shown == {
        "kind": "amount",
        "value": "50.00",
        "min_spend": "200.00",
        "merchants": sorted(
            (
                {"code": shop.merchant_code, "name": name}
                for shop, name in zip(shops, ("Bakery", "Corner shop"), strict=True)
            ),
            key=lambda each: each["code"],
        ),
        "used": False,
    }
    rows = {row["card_no"]: row for row in client.get("/api/v1/me/cards").json()["results"]}
    assert rows[card.number]["voucher"] == shown
    assert rows[standard.number]["voucher"] is None
    assert rows[anywhere.number]["voucher"] == {
        "kind": "percent",
        "value": "12.50",
        "min_spend": "0.00",
        "merchants": [],
        "used": False,
    }
    code = factories.make_code(card, member)
    paid = factories.charge(shops[1], code, "200.00", payment_method="cash")
    assert paid.body["final_amount"] == "150.00"
    assert client.get(url).json()["voucher"]["used"] is True


def test_a_list_of_cards_is_one_statement_however_many_there_are(database: str) -> None:
    member, card = factories.make_member()
    client = factories.member_client(member)
    counts = []
    for _ in range(2):
        for url in ("/api/v1/me/cards", f"/api/v1/me/cards/{card.number}"):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert client.get(url).status_code == 200
            counts.append(len(queries))
            reads = [query for query in queries if "cards_binding" in query["sql"]]
            assert len(reads) == 1
        for _card in range(5):
            factories.make_prepaid(member, "1.00")
            vouchers.issue_voucher_card(
                owner_id=member.id,
                kind="percent",
                value=Decimal(10),
                merchant_ids=[factories.make_till().merchant_id],
            )

    # Who is it, BEGIN, role and principal, the cards, COMMIT.
    assert max(counts) == min(counts) <= 5


def test_cards_come_in_pages(database: str) -> None:
    member, standard = factories.make_member()
    numbers = [standard.number] + [factories.make_prepaid(member).number for _ in range(4)]
    client = factories.member_client(member)

    seen, url = [], "/api/v1/me/cards?limit=2"
    pages = []
    while url:
        page = client.get(url).json()
        pages.append(page)
        seen += [row["card_no"] for row in page["results"]]
        url = page["next"]

    assert seen == numbers
    assert [len(page["results"]) for page in pages] == [2, 2, 1]
    assert pages[0]["previous"] is None
    back = client.get(pages[2]["previous"]).json()
    assert back["results"] == pages[1]["results"]


QUERIES = [
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=ten",
    "limit=1&limit=2",
    "limit=%EF%BC%91",
    "cursor=junk",
    "cursor=%00",
    "cursor=cD1ub3doZXJl",
    "cursor=cD0yMDI1LTA5LTI5IDA5OjAwOjAwLjAwMDAwMCswMDowMHg%3D",
    "page=2",
    "format=json",
    "format=xml",
    "%ED%A0%80=1",
]


def test_query_parameters_that_are_none_are_refused(database: str) -> None:
    member, _ = factories.make_member()
    client = factories.member_client(member)

    for query in QUERIES:
        answer = client.get(f"/api/v1/me/cards?{query}")

        assert answer.status_code == 400, (query, answer.content)
        assert answer.json()["code"] == "INVALID_REQUEST"


ACTS = [
    ("get", ""),
    ("get", "/code"),
    ("post", "/code"),
    ("delete", "/code"),
    ("get", "/code.svg"),
    ("get", "/code.png"),
    ("get", "/barcode.svg"),
    ("post", "/lock"),
    ("post", "/unlock"),
    ("get", "/bindings"),
    ("delete", "/bindings/M00000001"),
]
NO_CARDS = [
    "STD99999999",
    "STD1",
    "std00000001",
    "%00",
    "STD0000000%00",
    "%ED%A0%80",
    "x" * 500,
    "STD００００００01",
    "' OR 1=1 --",
]


def test_a_card_that_is_not_there_is_404(database: str) -> None:
    member, _ = factories.make_member()
    client = factories.member_client(member)

    for number in NO_CARDS:
        for method, suffix in ACTS:
            answer = getattr(client, method)(
                f"/api/v1/me/cards/{number}{suffix}", content_type="application/json"
            )
            assert answer.status_code == 404, (number, method, suffix, answer.content)
            assert answer["Content-Type"] == "application/problem+json"
            assert json.loads(answer.content)["code"] == "CARD_NOT_FOUND"


def test_somebody_elses_card_is_not_there(database: str) -> None:
    owner, _ = factories.make_member()
    stranger, _ = factories.make_member()
    card = factories.make_prepaid(owner, "10.00")
    factories.make_code(card, owner)
    client = factories.member_client(stranger)
    base = f"/api/v1/me/cards/{card.number}"

    for method, suffix in [*ACTS, ("delete", f"/bindings/{owner.number}")]:
        answer = getattr(client, method)(base + suffix, content_type="application/json")
        assert answer.status_code == 404, (method, suffix)
        assert json.loads(answer.content)["code"] == "CARD_NOT_FOUND"

    mine = factories.member_client(owner)
    assert mine.get(base).json()["status"] == "active"
    assert mine.get(f"{base}/code").status_code == 200
    assert len(mine.get(f"{base}/bindings").json()["results"]) == 1


def test_without_a_token_there_is_nothing(database: str) -> None:
    _, card = factories.make_member()

    for client in (Client(), Client(headers={"Authorization": "Bearer mps.m1.x"})):
        for path in ("", f"/{card.number}", f"/{card.number}/code", f"/{card.number}/code.svg"):
            answer = client.get(f"/api/v1/me/cards{path}")
            assert answer.status_code == 401
            assert json.loads(answer.content)["code"] == "NOT_AUTHENTICATED"


# --- locking -------------------------------------------------------------------------------------


def test_a_member_locks_and_unlocks_a_card(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    client = factories.member_client(member)
    base = f"/api/v1/me/cards/{card.number}"
    code = factories.make_code(card, member)

    for _ in range(2):
        answer = post(client, f"{base}/lock")
        assert (answer.status_code, answer.json()["status"]) == (200, "frozen")
    assert list(answer.json()) == CARD_FIELDS
    refused = factories.charge(factories.make_till(), code, "10.00")
    assert (refused.status, refused.body["code"]) == (409, "CARD_NOT_ACTIVE")
    assert post(client, f"{base}/code").json()["code"] == "CARD_NOT_ACTIVE"

    for _ in range(2):
        answer = post(client, f"{base}/unlock")
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert client.get(base).json()["balance"] == "100.00"
    assert [event.object_id for event in events("CARD_LOCKED")] == [card.number] * 2


def test_what_staff_froze_a_member_does_not_unlock(database: str) -> None:
    member, card = factories.make_member()
    card_status.freeze_card(card_id=card.id, reason="stolen phone")
    client = factories.member_client(member)

    answer = post(client, f"/api/v1/me/cards/{card.number}/unlock")

    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["status"] == "frozen"
    (event,) = events("CARD_UNLOCKED_REFUSED")
    assert (event.object_id, event.actor) == (card.number, member.number)


def test_only_owner_and_admin_lock_a_shared_card(database: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner)

    for role, status in (("member", 403), ("viewer", 403), ("admin", 200)):
        other, _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=other.id, role=role)
        client = factories.member_client(other)
        assert post(client, f"/api/v1/me/cards/{card.number}/lock").status_code == status
        body = client.get(f"/api/v1/me/cards/{card.number}").json()
        assert body["role"] == role
        assert body["status"] == ("frozen" if role == "admin" else "active")


def test_only_an_active_card_is_locked(database: str) -> None:
    member, card = factories.make_member()
    client = factories.member_client(member)

    for status in ("lost", "expired", "suspended", "closed"):
        as_owner("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])
        for act in ("lock", "unlock"):
            answer = post(client, f"/api/v1/me/cards/{card.number}/{act}")
            assert (answer.status_code, answer.json()["code"]) == (409, "CARD_NOT_ACTIVE")
        assert client.get(f"/api/v1/me/cards/{card.number}").json()["status"] == status


def test_locking_takes_no_garbage(database: str) -> None:
    member, card = factories.make_member()
    client = factories.member_client(member)
    url = f"/api/v1/me/cards/{card.number}/lock"

    assert post(client, url, "{").status_code == 400
    assert post(client, f"{url}?force=1").status_code == 400
    assert client.post(url, {"a": "b"}).status_code == 415
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["status"] == "active"


def test_a_suspended_member_sees_cards_but_gets_no_code(database: str) -> None:
    member, card = factories.make_member()
    client = factories.member_client(member)
    member_services.suspend_member(member_id=member.id)

    assert client.get(f"/api/v1/me/cards/{card.number}").status_code == 200
    answer = post(client, f"/api/v1/me/cards/{card.number}/code")
    assert (answer.status_code, answer.json()["code"]) == (403, "MEMBER_SUSPENDED")
