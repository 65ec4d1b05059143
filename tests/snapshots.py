"""What a test compares before and after: money, and what was written down about a refusal."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from django.db import DatabaseError, connections

from mps.base.core import context, problems
from mps.base.core.errors import MpsError
from payments.idempotency import Answer

ADDRESS = "192.0.2.7"

# Everything that has moved when value has moved; the payment codes and refusals are counted apart.
_VALUE = """
    SELECT md5(coalesce(string_agg(line, ';' ORDER BY line), '')) FROM (
        SELECT t::text AS line FROM payments_transaction t WHERE status <> 'failed'
        UNION ALL SELECT e::text FROM ledger_entry e
        UNION ALL SELECT p::text FROM ledger_posting p
        UNION ALL SELECT a::text FROM ledger_account a WHERE a.kind NOT IN ('clearing', 'unclaimed')
        UNION ALL SELECT o::text FROM payments_order o
        UNION ALL SELECT r::text FROM payments_providerorder r
        UNION ALL SELECT v::text FROM cards_voucher v
        UNION ALL SELECT c::text FROM cards_card c) AS lines
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of all value, in one figure; how much was refused and remembered."""

    value: str
    failed: int
    answers: int
    live_codes: int
    events: int


def snapshot() -> Snapshot:
    """Look at everything a payment could have changed."""
    return Snapshot(
        fetch(_VALUE),
        fetch("SELECT count(*) FROM payments_transaction WHERE status = 'failed'"),
        fetch("SELECT count(*) FROM payments_idempotency"),
        fetch(
            "SELECT count(*) FROM cards_paymentcode WHERE ended_at IS NULL AND expires_at > now()"
        ),
        fetch("SELECT count(*) FROM audit_event"),
    )


def fetch(sql: str, parameters: list[Any] | None = None) -> Any:
    """Return the first column of the first row, seen by the owner."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]


def execute(sql: str, parameters: list[Any] | None = None) -> None:
    """Change something behind the services' back, as the owner: time, mostly."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)


def outcome(call: Callable[[], Any]) -> str:
    """Return the code of a refusal, raised or answered; `ok` if there is none."""
    try:
        answer = call()
    except (MpsError, DatabaseError) as error:
        known = problems.as_mps_error(error)
        assert known is not None
        return known.code
    return answer.body["code"] if isinstance(answer, Answer) and answer.refused else "ok"


def assert_refused(
    call: Callable[[], Any],
    code: str,
    *,
    action: str = "PAYMENT_FAILED",
    failed: int = 0,
    answers: int = 0,
    burnt: int = 0,
) -> None:
    """Check that the call is refused with `code`, that no value moved, and that one event says who,
    from where and why.

    :param failed: failed transactions it leaves.
    :param answers: stored answers it leaves.
    :param burnt: codes it burns.
    """
    before = snapshot()
    with context.acting("terminal", "till-1", address=ADDRESS) as now:
        assert outcome(call) == code
    assert snapshot() == replace(
        before,
        failed=before.failed + failed,
        answers=before.answers + answers,
        live_codes=before.live_codes - burnt,
        events=before.events + 1,
    )
    assert last_event() == (action, code, "terminal", "till-1", ADDRESS, now.request_id)


def assert_declined(call: Callable[[], Any], code: str, *, burnt: int = 1) -> None:
    """Check a refusal of a charge whose code was recognised: recorded, stored, the code burnt."""
    assert_refused(call, code, failed=1, answers=1, burnt=burnt)
    assert fetch("SELECT failure_code FROM payments_transaction ORDER BY id DESC LIMIT 1") == code


def last_event() -> tuple[str, ...]:
    """Return action, error, actor's kind, actor, address and request of the latest event."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT action, context ->> 'error', actor_type, actor, address, request_id"
            " FROM audit_event ORDER BY id DESC LIMIT 1"
        )
        return tuple(cursor.fetchone())


def last_context() -> dict[str, Any]:
    """Return the details of the latest event."""
    return json.loads(fetch("SELECT context::text FROM audit_event ORDER BY id DESC LIMIT 1"))


def age_by_a_day(superuser: psycopg.Connection, database: str) -> None:
    """Move all transactions to yesterday, which only a superuser past all triggers can."""
    with psycopg.connect(
        superuser.info.dsn, dbname=database, password=superuser.info.password
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("payments_transaction", "payments_unclaimed"):
            connection.execute(f"UPDATE {table} SET created_at = created_at - interval '1 day'")
