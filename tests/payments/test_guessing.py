"""A till cannot try codes until it finds one."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from cards import codes, payment_codes
from mps.base.core import throttle
from mps.product.rpc import services as rpc
from payments import code_rate_limit
from tests import factories
from tests.snapshots import execute, fetch


@pytest.fixture(params=["redis", "database"])
def store(request: Any, database: str, settings: Any, monkeypatch: Any) -> str:
    """Where guesses are counted: each test counts for itself."""
    monkeypatch.setattr(throttle._Away, "until", 0.0)
    away = {"LOCATION": "redis://127.0.0.1:1/0"} if request.param == "database" else {}
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8), **away}
    }
    return str(request.param)


def wrong_code() -> str:
    """Return a well-formed code that nobody was given."""
    body = codes.PREFIX + f"{secrets.randbelow(10**17):017d}"
    return body + str(codes.check_digit(body))


def send(key: str, path: str, body: dict[str, str]) -> Any:
    """Send as a till does."""
    return Client().post(
        f"/api/v1/pos/{path}",
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": factories.new_key()},
    )


def charge(key: str, code: str) -> Any:
    """Charge ten."""
    return send(key, "charges", {"code": code, "amount": "10.00"})


def guess(key: str, times: int) -> list[int]:
    """Charge codes nobody was given; return how each was answered."""
    return [charge(key, wrong_code()).status_code for _ in range(times)]


def balance(card: Any) -> str:
    return str(
        fetch(
            "SELECT a.balance FROM ledger_account a JOIN cards_card c ON c.money_account_id = a.id"
            " WHERE c.id = %s",
            [card.id],
        )
    )


def test_guesses_are_limited_whatever_they_are_tried_with(store: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    till, key = factories.make_till_and_key()
    _other, other_key = factories.add_till(till.merchant_id)
    tries = [
        lambda: charge(key, wrong_code()),
        lambda: send(key, "codes/validate", {"code": wrong_code()}),
        lambda: send(key, "topups", {"code": wrong_code(), "amount": "10.00"}),
        lambda: send(
            key,
            "charges",
            {
                "code": factories.make_code(card, member),
                "amount": "10.00",
                "voucher_code": wrong_code(),
            },
        ),
    ]

    answers = [tries[n % 4]() for n in range(24)]

    allowed = code_rate_limit.PER_TERMINAL
    assert [each.status_code for each in answers] == [409] * allowed + [429] * (24 - allowed)
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    # A right code gains nothing either while the till has to wait; other tills do not wait.
    code = factories.make_code(card, member)
    assert charge(key, code).status_code == 429
    assert balance(card) == "100.00"
    assert charge(other_key, code).status_code == 201
    assert balance(card) == "90.00"
    refused = "SELECT count(*) FROM audit_event WHERE context->>'error' = 'RATE_LIMITED'"
    assert fetch(refused) == 24 - allowed + 1


def test_codes_that_were_issued_are_no_guesses(store: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    _till, key = factories.make_till_and_key()
    assert guess(key, 1) == [409]
    used = factories.make_code(card, member)
    assert charge(key, used).status_code == 201
    replaced = factories.make_code(card, member)
    revoked = factories.make_code(card, member)
    payment_codes.revoke_code(card_id=card.id, member_id=member.id)

    for code in (used, replaced, revoked):
        assert [charge(key, code).status_code for _ in range(8)] == [409] * 8

    expired = factories.make_code(card, member)
    execute(
        "UPDATE cards_paymentcode SET issued_at = issued_at - interval '1 day',"
        " expires_at = now() - interval '1 hour'"
    )
    assert [charge(key, expired).status_code for _ in range(8)] == [409] * 8
    assert charge(key, factories.make_code(card, member)).status_code == 201


def test_a_malformed_code_is_looked_up_nowhere_and_no_guess(store: str) -> None:
    _till, key = factories.make_till_and_key()

    answers = {send(key, "codes/validate", {"code": "1" * 20}).status_code for _ in range(25)}

    assert answers == {400}
    assert guess(key, 1) == [409]


def test_a_shop_s_tills_together_have_a_limit_too(store: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(code_rate_limit, "PER_MERCHANT", 6)
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    till, first = factories.make_till_and_key()
    _other, second = factories.add_till(till.merchant_id)
    _third, honest = factories.add_till(till.merchant_id)
    _elsewhere, elsewhere = factories.make_till_and_key()

    assert guess(first, 4) == [409] * 4
    assert guess(second, 4) == [409, 409, 429, 429]
    assert guess(first, 1) == [429]
    assert guess(elsewhere, 1) == [409]
    assert charge(honest, factories.make_code(card, member)).status_code == 201


def test_a_trusted_backend_is_not_limited(store: str) -> None:
    till, _key = factories.make_till_and_key()
    _service, key = rpc.create_service_key(name="backend")

    def call(function: str, **arguments: str) -> int:
        return int(
            Client()
            .post(
                f"/rest/v1/rpc/{function}",
                data=json.dumps(arguments),
                content_type="application/json",
                headers={"apikey": key},
            )
            .status_code
        )

    answers = {
        call(
            "merchant_charge_by_qr",
            p_merchant_code=till.merchant_code,
            p_qr_plain=wrong_code(),
            p_raw_amount="10.00",
        )
        for _ in range(25)
    }

    assert answers == {409}
    assert {call("validate_qr_plain", p_qr_plain=wrong_code()) for _ in range(25)} == {409}


def test_the_rpc_facade_counts_with_the_till(store: str) -> None:
    _till, key = factories.make_till_and_key()
    assert guess(key, code_rate_limit.PER_TERMINAL) == [409] * code_rate_limit.PER_TERMINAL

    answer = Client().post(
        "/rest/v1/rpc/validate_qr_plain",
        data=json.dumps({"p_qr_plain": wrong_code()}),
        content_type="application/json",
        headers={"apikey": key},
    )

    assert answer.status_code == 429
    assert answer.json()["message"] == "RATE_LIMITED"
    assert "Retry-After" in answer


def test_many_guesses_at_once_pass_no_more_than_the_limit(store: str) -> None:
    _till, key = factories.make_till_and_key()
    assert guess(key, 1) == [409]

    def one(_n: int) -> int:
        try:
            return int(charge(key, wrong_code()).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(60)))

    assert answers.count(409) == code_rate_limit.PER_TERMINAL - 1
    assert answers.count(429) == 60 - code_rate_limit.PER_TERMINAL + 1


def test_only_a_till_that_guessed_lately_is_counted(database: str, monkeypatch: Any) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    _till, key = factories.make_till_and_key()
    counted: list[Any] = []
    count = throttle.count_guesses

    def count_and_tell(guesses: Any) -> None:
        counted.append(guesses)
        count(guesses)

    monkeypatch.setattr(throttle, "count_guesses", count_and_tell)

    assert charge(key, factories.make_code(card, member)).status_code == 201
    assert counted == []
    guess(key, 1)
    assert charge(key, factories.make_code(card, member)).status_code == 201
    assert len(counted) == 2
    execute("UPDATE merchants_terminal SET guessed_at = guessed_at - interval '3 minutes'")
    assert charge(key, factories.make_code(card, member)).status_code == 201
    assert len(counted) == 2


def test_a_wrong_code_is_found_out_by_index(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    for _ in range(20):
        factories.make_code(card, member)

    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    plan = str(
        fetch(
            "EXPLAIN (FORMAT json) SELECT FROM unnest(ARRAY['\\x00'::bytea]) AS one"
            " JOIN cards_codehistory h ON h.code_hash = one"
        )
    )

    assert "Seq Scan" not in plan
    assert "_hash" in plan or "Index" in plan


@pytest.mark.long
def test_ten_thousand_wrong_codes_from_one_terminal(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00")
    till, key = factories.make_till_and_key()
    _other, other_key = factories.add_till(till.merchant_id)

    looked_up = 0
    for number in range(10_000):
        looked_up += charge(key, wrong_code()).status_code == 409
        if number % 500 == 0:
            assert charge(other_key, factories.make_code(card, member)).status_code == 201

    minutes = fetch(
        "SELECT ceil(extract(epoch FROM max(happened_at) - min(happened_at)) / 60)"
        " FROM audit_event WHERE action = 'PAYMENT_FAILED'"
    )
    assert looked_up <= code_rate_limit.PER_TERMINAL * int(minutes)
    assert fetch("SELECT count(*) FROM audit_event WHERE action = 'PAYMENT_FAILED'") == 10_000
