"""Each sensitive act over HTTP, done or refused, leaves exactly one event: who, from where, why."""

import json
import uuid
from random import randrange
from typing import Any

import pytest
from django.test import Client

from mps.base.audit import chain
from tests import factories
from tests.audit.test_chain import verify
from tests.snapshots import execute, fetch

ADDRESS = "192.0.2.77"
N = 3


@pytest.fixture
def pos(database: str) -> Any:
    """A till at an address; `pos(path, body)` returns status and body, and counts its events."""
    till, key = factories.make_till_and_key()

    def call(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = Client(REMOTE_ADDR=ADDRESS).post(
            f"/api/v1/pos/{path}",
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": factories.new_key()},
        )
        return answer.status_code, answer.json()

    call.till = till
    return call


def events(action: str) -> list[tuple[str, str, str, str, str]]:
    """Return kind of actor, actor, address, error and reason of each event of an action."""
    return [
        tuple(each)
        for each in fetch(
            "SELECT coalesce(json_agg(json_build_array(actor_type, actor, address,"
            " coalesce(context ->> 'error', ''), coalesce(context ->> 'reason', ''))"
            " ORDER BY id), '[]') FROM audit_event WHERE action = %s",
            [action],
        )
    ]


def count() -> int:
    return int(fetch("SELECT count(*) FROM audit_event"))


def code_of(member: Any, balance: str = "1000.00") -> str:
    return factories.make_code(factories.make_prepaid(member, balance, fixed_discount="1"), member)


def test_failed_logins(database: str) -> None:
    member, _ = factories.make_member()
    before = count()
    address = f"10.{randrange(256)}.{randrange(256)}.{randrange(256)}"

    for _ in range(N):
        answer = Client(REMOTE_ADDR=address).post(
            "/api/v1/auth/login",
            data=json.dumps({"identifier": member.number, "password": "wrong-password-1"}),
            content_type="application/json",
        )
        assert answer.status_code == 401

    assert count() == before + N
    found = fetch(
        "SELECT json_agg(json_build_array(actor_type, object_id, address, context ->> 'error',"
        " request_id <> '')) FROM audit_event WHERE action = 'LOGIN_FAILED'"
    )
    assert [each[2:] for each in found] == [[address, "INVALID_CREDENTIALS", True]] * N
    # Whatever was typed may be anybody's: the log keeps enough to recognise it, and no more.
    assert {(each[1][:2], each[1][-2:]) for each in found} == {
        (member.number[:2], member.number[-2:])
    }


def test_charges_and_refunds(pos: Any) -> None:
    member, _ = factories.make_member()
    codes = [code_of(member) for _ in range(N)]
    who = ("terminal", str(pos.till.terminal_id), ADDRESS)
    before = count()

    paid = [pos("charges", {"code": code, "amount": "10.00"}) for code in codes]
    refunded = [
        pos(f"charges/{body['tx_no']}/refunds", {"amount": "4.00", "reason": "cold soup"})
        for _status, body in paid
    ]

    assert [status for status, _body in paid + refunded] == [201] * 2 * N
    assert count() == before + 2 * N
    assert events("PAYMENT_COMPLETED") == [(*who, "", "")] * N
    assert events("REFUND_COMPLETED") == [(*who, "", "cold soup")] * N


def test_refusals(pos: Any) -> None:
    member, _ = factories.make_member()
    poor = code_of(member, "1.00")
    card = factories.make_prepaid(member, "1000.00")
    frozen = factories.make_code(card, member)
    execute("UPDATE cards_card SET status = 'frozen' WHERE id = %s", [card.id])
    who = ("terminal", str(pos.till.terminal_id), ADDRESS)
    before = count()

    refused = [
        pos("charges", {"code": poor, "amount": "10.00"}),
        pos("charges", {"code": frozen, "amount": "10.00"}),
        pos("charges", {"code": poor, "amount": "10.00"}),
    ]
    no_such = [
        pos(f"charges/PAY{number:010d}/refunds", {"amount": "1.00"}) for number in range(9, 9 + N)
    ]

    codes = [body["code"] for _status, body in refused]
    assert codes == ["INSUFFICIENT_BALANCE", "CARD_NOT_ACTIVE", "QR_EXPIRED_OR_INVALID"]
    assert {body["code"] for _status, body in no_such} == {"ORIGINAL_TX_NOT_FOUND"}
    assert count() == before + 3 + N
    assert events("PAYMENT_FAILED") == [(*who, code, "") for code in codes]
    assert events("REFUND_FAILED") == [(*who, "ORIGINAL_TX_NOT_FOUND", "")] * N


def test_all_of_it_is_sealed(pos: Any) -> None:
    member, _ = factories.make_member()
    pos(
        "charges", {"code": code_of(member), "amount": "10.00", "tag": {"order": str(uuid.uuid4())}}
    )

    assert chain.seal_events() == count()

    assert verify() == ""
