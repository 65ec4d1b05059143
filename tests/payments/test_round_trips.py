"""What a charge costs on the wire, counted in the protocol itself."""

import json
from pathlib import Path
from typing import Any

from django.db import connection
from psycopg import pq

from tests import factories

BUDGET = 6


def count_round_trips(path: Path, work: Any) -> int:
    """Return how often the client waited for PostgreSQL while `work` ran."""
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    with path.open("w+") as file:
        pgconn.trace(file.fileno())
        pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            work()
        finally:
            pgconn.untrace()
        file.seek(0)
        sent = [line.split("\t") for line in file if line.startswith("F\t")]
    return sum(message[2].strip() in {"Sync", "Query"} for message in sent)


def test_a_charge_takes_six_round_trips(database: str, client: Any, tmp_path: Path) -> None:
    member, standard = factories.make_member()
    _till, key = factories.make_till_and_key()
    card = factories.make_prepaid(member, "1000.00")

    def charge(code: str, **fields: str) -> None:
        response = client.post(
            "/api/v1/pos/charges",
            data=json.dumps({"code": code, "amount": "10.00", **fields}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": factories.new_key()},
        )
        assert response.status_code == 201, response.content

    for _ in range(3):  # statements are prepared by then, which takes a round trip each, once
        charge(factories.make_code(card, member), external_order_id=factories.new_key())
    code = factories.make_code(card, member)
    standard_code = factories.make_code(standard, member)

    by_balance = count_round_trips(
        tmp_path / "trace", lambda: charge(code, external_order_id="ORDER-1")
    )
    by_cash = count_round_trips(
        tmp_path / "trace", lambda: charge(standard_code, payment_method="cash")
    )

    # authenticate, BEGIN, role, read, write, COMMIT
    assert by_balance == BUDGET
    assert by_cash == BUDGET


def test_the_counter_counts(database: str, tmp_path: Path) -> None:
    def two_statements() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.execute("SELECT 2")

    assert count_round_trips(tmp_path / "trace", two_statements) == 2
