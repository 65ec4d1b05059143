"""A member's payment code over HTTP: made, shown, drawn, revoked, run out, used."""

import io
import itertools
import json
import logging
from xml.etree import ElementTree

import pytest
import segno
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from cards import sharing
from cards.models import Card
from members.models import Member
from tests import factories
from tests.cards.helpers import as_owner, events, post

SVG = "{http://www.w3.org/2000/svg}"


def prepare(balance: str = "100.00") -> tuple[Member, Card, Client, str]:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, balance)
    return member, card, factories.member_client(member), f"/api/v1/me/cards/{card.number}/code"


def age(card: Card, seconds: int) -> None:
    """Let the card's codes be that much older."""
    as_owner(
        "UPDATE cards_paymentcode SET issued_at = issued_at - make_interval(secs => %s),"
        " expires_at = expires_at - make_interval(secs => %s) WHERE card_id = %s",
        [seconds, seconds, card.id],
    )


# --- make and show -------------------------------------------------------------------------------


def test_a_code_is_made_shown_again_and_pays(database: str) -> None:
    _, card, client, url = prepare()

    made = post(client, url)

    assert made.status_code == 201
    body = made.json()
    assert list(body) == ["code", "expires_at", "ttl_seconds"]
    assert (len(body["code"]), body["ttl_seconds"]) == (20, 900)
    assert body["expires_at"].endswith("Z")
    assert made["Cache-Control"] == "no-store"
    shown = client.get(url)
    assert (shown.status_code, shown.json(), shown["Cache-Control"]) == (200, body, "no-store")
    answer = factories.charge(factories.make_till(), body["code"], "10.00")
    assert answer.status == 201
    assert client.get(url).json()["code"] == "NOT_FOUND"
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["balance"] == "90.00"


def test_without_a_code_there_is_none_to_show(database: str) -> None:
    _, _, client, url = prepare()

    for suffix in ("", ".svg", ".png"):
        answer = client.get(url + suffix)
        assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "NOT_FOUND")
        assert answer["Content-Type"] == "application/problem+json"


def test_a_new_code_kills_the_one_before(database: str) -> None:
    _, card, client, url = prepare()
    first = post(client, url).json()["code"]

    second = post(client, url, {"ttl_seconds": 60}).json()

    assert second["code"] != first
    assert client.get(url).json() == second
    till = factories.make_till()
    with pytest.raises(Exception, match="expired or is not valid"):
        factories.charge(till, first, "10.00")
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["balance"] == "100.00"
    assert factories.charge(till, second["code"], "10.00").status == 201
    assert as_owner("SELECT outcome FROM cards_codehistory") == [("replaced",)]


def test_lifetimes(database: str) -> None:
    _, _, client, url = prepare()

    for ttl_seconds in (60, 300, 86_400):
        assert post(client, url, {"ttl_seconds": ttl_seconds}).json()["ttl_seconds"] == ttl_seconds
    live = client.get(url).json()
    for wrong in (
        '{"ttl_seconds": 59}',
        '{"ttl_seconds": 86401}',
        '{"ttl_seconds": 0}',
        '{"ttl_seconds": -60}',
        '{"ttl_seconds": 60.0}',
        '{"ttl_seconds": 6e1}',
        '{"ttl_seconds": "60"}',
        '{"ttl_seconds": true}',
        '{"ttl_seconds": null}',
        '{"ttl_seconds": [60]}',
        '{"ttl_seconds": 99999999999999999999}',
        '{"ttl_seconds": NaN}',
        '{"ttl_seconds": 60, "ttl_seconds": 61}',
        '{"ttl_seconds": 60',
        "[60]",
    ):
        answer = post(client, url, wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), wrong
    assert post(client, f"{url}?ttl_seconds=60").status_code == 400
    assert client.get(url).json() == live


def test_a_code_runs_out_by_the_databases_clock(database: str) -> None:
    _, card, client, url = prepare()
    code = post(client, url, {"ttl_seconds": 60}).json()["code"]

    age(card, 59)
    assert client.get(url).json()["code"] == code
    age(card, 1)

    assert client.get(url).status_code == 404
    assert client.get(f"{url}.svg").status_code == 404
    with pytest.raises(Exception, match="expired or is not valid"):
        factories.charge(factories.make_till(), code, "10.00")
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["balance"] == "100.00"


def test_a_revoked_code_is_dead_at_once(database: str) -> None:
    _, card, client, url = prepare()
    code = post(client, url).json()["code"]

    for _ in range(2):
        answer = client.delete(url)
        assert (answer.status_code, answer.content) == (204, b"")

    assert client.get(url).status_code == 404
    with pytest.raises(Exception, match="expired or is not valid"):
        factories.charge(factories.make_till(), code, "10.00")
    assert client.get(f"/api/v1/me/cards/{card.number}").json()["balance"] == "100.00"
    assert {event.object_id for event in events("CODE_REVOKED")} == {card.number}


def test_each_member_of_a_shared_card_has_a_code_of_their_own(database: str) -> None:
    _, card, client, url = prepare()
    other, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=other.id)
    others = factories.member_client(other)
    mine, theirs = post(client, url).json()["code"], post(others, url).json()["code"]

    assert mine != theirs
    assert others.delete(url).status_code == 204
    assert (client.get(url).json()["code"], others.get(url).status_code) == (mine, 404)


def test_who_may_not_pay_gets_no_code(database: str) -> None:
    _, card, _, url = prepare()
    viewer, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=viewer.id, role="viewer")

    answer = post(factories.member_client(viewer), url)

    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    (event,) = events("CODE_REFUSED")
    assert (event.object_id, event.actor) == (card.number, viewer.number)
    assert as_owner("SELECT count(*) FROM cards_paymentcode") == [(0,)]


def test_a_card_that_cannot_pay_gets_no_code(database: str) -> None:
    _, card, client, url = prepare()

    for status, code in (
        ("frozen", "CARD_NOT_ACTIVE"),
        ("lost", "CARD_NOT_ACTIVE"),
        ("suspended", "CARD_NOT_ACTIVE"),
        ("expired", "CARD_EXPIRED"),
    ):
        as_owner("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])
        assert post(client, url).json()["code"] == code
    as_owner("UPDATE cards_card SET status = 'active', expires_at = now()")
    assert post(client, url).json()["code"] == "CARD_EXPIRED"
    assert as_owner("SELECT count(*) FROM cards_paymentcode") == [(0,)]


def test_a_code_of_a_key_that_is_gone_is_not_shown(database: str, settings) -> None:
    _, _, client, url = prepare()
    both = settings.MPS_CODE_KEYS
    older = both.split(",")[1]
    settings.MPS_CODE_KEYS = older
    made = post(client, url).json()

    # A newer key comes first: the older one still opens its codes.
    settings.MPS_CODE_KEYS = both
    assert client.get(url).json() == made
    settings.MPS_CODE_KEYS = both.split(",")[0]
    assert client.get(url).status_code == 404


def test_the_digits_are_nowhere_but_in_the_answer(database: str, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    _, _, client, url = prepare()

    code = post(client, url).json()["code"]
    client.get(url)
    client.get(f"{url}.svg")
    factories.charge(factories.make_till(), code, "1.00")
    client.delete(url)

    for table in ("audit_event", "cards_paymentcode", "cards_codehistory", "payments_transaction"):
        assert as_owner(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{code}%"]) == [
            (0,)
        ]
    assert [event.context["ttl_seconds"] for event in events("CODE_ISSUED")] == [900]
    application = [record for record in caplog.records if record.name != "django.db.backends"]
    assert code not in "".join(record.getMessage() for record in application)


def test_showing_a_code_costs_the_same_however_many_are_live(database: str) -> None:
    _, card, client, url = prepare()
    post(client, url)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
        for _other in range(3):
            other, _ = factories.make_member()
            sharing.bind_member(card_id=card.id, member_id=other.id)
            factories.make_code(card, other)
    assert counts[0] == counts[1] <= 6


# --- pictures ------------------------------------------------------------------------------------


def test_the_qr_code_holds_the_digits(database: str) -> None:
    _, _, client, url = prepare()
    code = post(client, url).json()["code"]
    expected = [list(row) for row in segno.make_qr(code, error="q", boost_error=False).matrix]

    svg = client.get(f"{url}.svg")
    png = client.get(f"{url}.png")

    assert (svg.status_code, svg["Content-Type"], svg["Cache-Control"]) == (
        200,
        "image/svg+xml",
        "no-store",
    )
    assert (png.status_code, png["Content-Type"], png["Cache-Control"]) == (
        200,
        "image/png",
        "no-store",
    )
    root = ElementTree.fromstring(svg.content)
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == f"0 0 {len(expected) + 8} {len(expected) + 8}"
    assert code not in svg.content.decode()
    assert read_png(png.content) == [[bool(module) for module in row] for row in expected]


def test_the_barcode_is_code_128_of_the_digits(database: str) -> None:
    _, card, client, url = prepare()
    code = post(client, url).json()["code"]

    answer = client.get(f"/api/v1/me/cards/{card.number}/barcode.svg")

    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (
        200,
        "image/svg+xml",
        "no-store",
    )
    root = ElementTree.fromstring(answer.content)
    assert "".join(root.find(f".//{SVG}text").text.split()) == code
    assert read_widths(root) == expected_widths(code)


def test_pictures_come_in_their_own_form_only(database: str) -> None:
    _, _, client, url = prepare()
    post(client, url)

    browser = {"Accept": "image/avif,image/webp,image/*,*/*;q=0.8"}
    assert client.get(f"{url}.svg", headers=browser)["Content-Type"] == "image/svg+xml"
    refused = client.get(f"{url}.svg", headers={"Accept": "text/html"})
    assert (refused.status_code, refused["Content-Type"]) == (406, "application/problem+json")
    assert client.get(f"{url}.svg?size=9").status_code == 400
    assert client.post(f"{url}.svg").status_code == 405


def read_png(content: bytes) -> list[list[bool]]:
    """Return which modules of a picture with ten pixels a module are dark, border taken off."""
    with Image.open(io.BytesIO(content)) as image:
        grey = image.convert("L")
    size = grey.width // 10
    return [
        [grey.getpixel((column * 10 + 5, row * 10 + 5)) < 128 for column in range(4, size - 4)]
        for row in range(4, size - 4)
    ]


def read_widths(root: ElementTree.Element) -> list[int]:
    """Return the widths of bars and spaces, in modules, from left to right."""
    bars = sorted(
        (float(bar.get("x")[:-2]), float(bar.get("width")[:-2]))
        for bar in root.iter(f"{SVG}rect")
        if "black" in bar.get("style")
    )
    edges = [edge for left, width in bars for edge in (left, left + width)]
    return [round((right - left) / 0.33) for left, right in itertools.pairwise(edges)]


def expected_widths(digits: str) -> list[int]:
    """Encode digits in set C of Code 128 (ISO/IEC 15417): start, pairs, check symbol, stop."""
    values = [105, *(int(digits[place : place + 2]) for place in range(0, len(digits), 2))]
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    table = CODE_128.split()
    symbols = [table[value] for value in [*values, check]] + ["2331112"]
    return [int(width) for symbol in symbols for width in symbol]


# Widths of bar, space, bar, space, bar, space for the values 0 to 105.
CODE_128 = """
    212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232
    122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122
    321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311
    211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113
    213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422
    121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111
    241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121
    412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412
    211214 211232
"""
