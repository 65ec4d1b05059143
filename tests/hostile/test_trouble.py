"""When the database is away, a lock is held, or we have a defect: one answer, nothing moves."""

import io
import json
import logging
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections

from cards.selectors import balances_of
from tests import factories
from tests.hostile import operations as api
from tests.hostile.operations import Operation
from tests.hostile.test_input import report
from tests.hostile.world import World, fault_of_refusal, make_world, snapshot
from tests.matrix import by_thirds, of_third


@pytest.fixture
def world(database: str) -> World:
    return make_world()


def named(name: str) -> Operation:
    return next(each for each in api.operations() if each.id == name)


def test_without_its_database_everything_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()
    faults = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # never listens: connections are refused
        with monkeypatch.context() as patch:
            connection.close()
            patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
            patch.setitem(connection.settings_dict, "PORT", taken.getsockname()[1])
            for operation in api.operations():
                query = "?external_order_id=x" if operation.id.endswith("_by_order") else ""
                body = world.body(operation) if operation.body else None

                response = world.send(operation, body, query=query)

                fault = fault_of_refusal(response, rpc=operation.is_rpc, status=503)
                if not fault and not int(response.get("Retry-After", 0)) >= 1:
                    fault = "no Retry-After"
                if fault:
                    faults.append(f"{operation}: {fault}")
            connection.close()
    report(faults)
    assert snapshot() == before


def test_a_charge_that_waits_too_long_for_its_lock_is_unavailable(
    world: World, database: str, superuser: psycopg.Connection
) -> None:
    superuser.execute(f"""ALTER ROLE mps_web IN DATABASE "{database}" SET lock_timeout = '200ms'""")
    connection.close()
    charge = named("charge")
    body, headers = world.body(charge), {"Idempotency-Key": factories.new_key()}
    before = snapshot()
    owner = connections["owner"].get_connection_params()
    with psycopg.connect(
        host=owner.get("host"),
        port=owner.get("port"),
        user=owner["user"],
        password=owner["password"],
        dbname=database,
    ) as other:
        other.execute(
            "SELECT FROM ledger_account WHERE id = %s FOR UPDATE", [world.card.money_account_id]
        )

        response = world.send(charge, body, headers=headers)

        assert fault_of_refusal(response, status=503) == ""
        assert response.json()["code"] == "UNAVAILABLE"
        assert int(response["Retry-After"]) >= 1
        assert snapshot() == before
    again = world.send(charge, body, headers=headers)
    assert again.status_code == 201, again.content
    assert balances_of(world.card)[0] == Decimal("949.00")


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the configured handler writes."""
    handler = next(
        each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler
    )
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)


def test_a_defect_tells_nothing_and_is_logged_once(world: World, log_lines: io.StringIO) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER FUNCTION payments_write_charge RENAME TO payments_gone")
    before = snapshot()
    charge = named("charge")
    headers = {**world.headers(charge), "X-Request-ID": "a-request-to-find"}

    response = world.send(charge, world.body(charge), headers=headers)

    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["code"] == "INTERNAL_ERROR"
    assert document["request_id"] == response["X-Request-ID"] == "a-request-to-find"
    for told in ("Traceback", "psycopg", "payments_write_charge", "ProgrammingError", ".py"):
        assert told not in response.content.decode()
    lines = [json.loads(line) for line in log_lines.getvalue().splitlines()]
    with_traceback = [line for line in lines if "exception" in line]
    assert len(with_traceback) == 1, lines
    assert with_traceback[0]["request_id"] == "a-request-to-find"
    assert with_traceback[0]["level"] == "error"
    assert "Traceback" in with_traceback[0]["exception"]
    assert "payments_write_charge" in with_traceback[0]["exception"]
    for secret in (world.code, world.keys["terminalKey"], settings.SECRET_KEY):
        assert secret not in log_lines.getvalue()
    assert snapshot() == before


def test_a_defect_in_a_read_is_the_same(world: World, log_lines: io.StringIO) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE members_member RENAME COLUMN email TO e_mail")
    try:
        response = world.send(named("get_me"))
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute("ALTER TABLE members_member RENAME COLUMN e_mail TO email")
    assert response.status_code == 500
    assert response.json()["code"] == "INTERNAL_ERROR"
    assert log_lines.getvalue().count('"exception"') == 1


# --- mass assignment -----------------------------------------------------------------------------

NOBODY = "0d15ea5e-0000-4000-8000-000000000001"
SLIPPED_IN: dict[str, Any] = {
    "balance": "987654.32",
    "balance_after": "987654.32",
    "points": 987654,
    "points_earned": 987654,
    "tier": "diamond",
    "level": 3,
    "role": "owner",
    "status": "closed",
    "card_type": "COR",
    "currency": "USD",
    "created_at": "2001-01-01T00:00:00Z",
    "discount_rate": "0.01",
    "expires_at": "2099-01-01T00:00:00Z",
    "fee": "0.00",
    "final_amount": "0.01",
    "fixed_discount": "0.01",
    "is_active": False,
    "is_staff": True,
    "is_superuser": True,
    "locked_by_member": False,
    "number": "M99999999",
    "refunded_total": "0.00",
    "tx_no": "PAY9999999999",
    "type": "adjustment",
    **dict.fromkeys(
        ("id", "card", "card_id", "member", "member_id", "merchant", "merchant_id", "owner"),
        NOBODY,
    ),
    **dict.fromkeys(("owner_id", "original_id", "terminal_id", "user_id", "user"), NOBODY),
}
SHAPE = (
    "SELECT 'card', concat_ws(' ', card_type, status, fixed_discount, locked_by_member)"
    " FROM cards_card",
    "SELECT 'binding', role FROM cards_binding",
    "SELECT 'code', coalesce(outcome, 'live') FROM cards_paymentcode",
    "SELECT 'member', status FROM members_member",
    "SELECT 'user', concat_ws(' ', is_staff, is_superuser, is_active) FROM auth_user",
    "SELECT 'identity', provider FROM members_externalidentity",
    "SELECT 'merchant', status FROM merchants_merchant",
    "SELECT 'transaction', concat_ws(' ', type, status, amount, discount_rate, final_amount,"
    " points, fee, currency, payment_method, refunded_total) FROM payments_transaction",
    "SELECT 'entry', amount::text FROM ledger_entry",
    "SELECT 'account', concat_ws(' ', kind, unit, balance) FROM ledger_account",
    "SELECT 'order', (reversed_at IS NULL)::text FROM payments_order",
)


def shape() -> dict[str, int]:
    """Return how often each kind of row is there, whosever it is."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"SELECT concat_ws(' ', one, other), count(*) FROM ({' UNION ALL '.join(SHAPE)})"
            " AS rows (one, other) GROUP BY 1"
        )
        return dict(cursor.fetchall())


def effect(operation: Operation, extras: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """Return the status of an operation in a fresh world, and how it changed what is there."""
    world = make_world()
    before = shape()
    response = world.send(operation, {**extras, **world.body(operation)})
    after = shape()
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    return response.status_code, {name: by for name, by in changes.items() if by}


def test_what_a_caller_may_not_set_changes_nothing(database: str) -> None:
    faults = []
    for operation in api.writes():
        if operation.is_rpc:
            continue
        extras = {name: value for name, value in SLIPPED_IN.items() if name not in operation.fields}
        without, with_extras = effect(operation, {}), effect(operation, extras)
        if without != with_extras or without[0] >= 300:
            faults.append(f"{operation}: {without} but {with_extras}")
    report(faults)


@by_thirds
def test_functions_refuse_what_they_do_not_know(world: World, third: int) -> None:
    before = snapshot()
    faults = []
    cells = [
        (operation, argument, value)
        for operation in api.writes()
        if operation.is_rpc
        for name, value in SLIPPED_IN.items()
        for argument in (name, f"p_{name}")
        if argument not in operation.fields
    ]
    for operation, argument, value in of_third(third, cells):
        response = world.send(operation, {**world.body(operation), argument: value})

        fault = fault_of_refusal(response, rpc=True, status=400)
        if fault:
            faults.append(f"{operation} {argument}: {fault}")
    report(faults)
    assert snapshot() == before
