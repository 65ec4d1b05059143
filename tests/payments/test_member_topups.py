"""Members' own top-ups: who may, and credited once, whatever the provider sends."""

import io
import json
import logging
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.test import Client

from cards import card_status, sharing, vouchers
from cards.models import Card
from cards.selectors import balances_of
from members import services as members
from mps.base.core import invariants
from mps.base.core.db_scope import principal_scope
from payments import member_topups, tasks, topup_comparison, topup_confirmations, topups
from payments.models import TopUp, Transaction
from payments.providers import sandbox
from payments.providers.base import Outcome
from tests import factories
from tests.concurrency.racing import run_together
from tests.console.conftest import boss, console  # noqa: F401 -- fixtures
from tests.console.helpers import act, list_url, page_url, texts
from tests.payments.topups import (
    SITE,
    begin,
    call_back,
    fresh,
    report_of,
    send,
    shift,
    start,
    url_of,
)
from tests.snapshots import (
    assert_refused,
    execute,
    fetch,
    last_context,
    last_event,
    outcome,
    snapshot,
)


@pytest.fixture
def owner(database: str) -> Any:
    return factories.make_member()[0]


@pytest.fixture
def card(owner: Any) -> Card:
    return factories.make_prepaid(owner)


def events_of(action: str) -> int:
    return fetch("SELECT count(*) FROM audit_event WHERE action = %s", [action])


# --- asking --------------------------------------------------------------------------------------


def test_a_top_up_is_pending_until_the_provider_says(owner: Any, card: Card) -> None:
    client = factories.member_client(owner)
    before = snapshot().value

    asked = client.post(
        url_of(card),
        {"amount": "500.00", "provider": "sandbox", "return_path": "/wallet"},
        content_type="application/json",
        headers={"Idempotency-Key": "K"},
    )

    assert asked.status_code == 201, asked.content
    top_up = fresh(asked.json()["id"])
    assert asked.json() == {
        "id": str(top_up.id),
        "status": "pending",
        "card_no": card.number,
        "provider": "sandbox",
        "amount": "500.00",
        "currency": "TWD",
        "created_at": asked.json()["created_at"],
        "expires_at": asked.json()["expires_at"],
        "pay_url": f"http://testserver/sandbox/pay/{top_up.order_id}",
    }
    assert top_up.expires_at - top_up.created_at == timedelta(hours=1)
    assert len(top_up.order_id) == 32
    assert snapshot().value == before
    one = f"{url_of(card)}/{top_up.id}"
    assert client.get(one).json() == {
        **asked.json(),
        "failure_code": None,
        "tx_no": None,
        "credited_to": None,
        "late": False,
    }

    assert call_back(report_of(top_up)).json() == {"received": True}

    done = client.get(one).json()
    assert (done["status"], done["tx_no"], done["credited_to"], done["pay_url"], done["late"]) == (
        *("completed", "RCG0000000001", "card", None, False),
    )
    assert balances_of(card) == (Decimal("500.00"), 0)
    assert client.get(url_of(card)).json()["results"] == [done]
    history = client.get("/api/v1/me/transactions").json()["results"]
    assert [(each["tx_no"], each["payment_method"]) for each in history] == [
        ("RCG0000000001", "sandbox")
    ]
    assert last_event()[0] == "RECHARGE_COMPLETED"
    assert last_context() == {
        "amount": "500.00",
        "method": "sandbox",
        "order": fresh(top_up).payment_id,
        "card": card.number,
        "top_up": str(top_up.id),
        "late": False,
        "credited_to": "card",
    }


def test_the_same_key_is_the_same_top_up(owner: Any, card: Card) -> None:
    first = start(card, owner, idempotency_key="K")
    again = start(card, owner, idempotency_key="K")

    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    for fields in ({"amount": Decimal("1.00")}, {"return_path": "/elsewhere"}):
        assert outcome(lambda fields=fields: start(card, owner, idempotency_key="K", **fields)) == (
            "IDEMPOTENCY_KEY_REUSED"
        )
    assert fetch("SELECT count(*) FROM payments_topup") == 1
    answer = factories.member_client(owner).post(
        url_of(card), {"amount": "1", "provider": "sandbox"}, content_type="application/json"
    )
    assert answer.json()["code"] == "IDEMPOTENCY_KEY_REQUIRED"


WHO_MAY = {
    "owner": "ok",
    "admin": "ok",
    "member": "PERMISSION_DENIED",
    "viewer": "PERMISSION_DENIED",
    "": "CARD_NOT_FOUND",
}


@pytest.mark.parametrize("make", [factories.make_prepaid, factories.make_corporate])
def test_who_may_top_up(owner: Any, make: Any) -> None:
    card = make(owner)
    asking = {"owner": owner}
    for role in ("admin", "member", "viewer", ""):
        asking[role], _ = factories.make_member()
        if role:
            sharing.bind_member(card_id=card.id, member_id=asking[role].id, role=role)
    before = snapshot()

    for number, (role, expected) in enumerate(WHO_MAY.items(), 1):
        assert outcome(lambda role=role: start(card, asking[role])) == expected, role
        assert last_event()[0] == ("TOP_UP_STARTED" if expected == "ok" else "TOP_UP_REFUSED")
        assert snapshot().events == before.events + number

    assert snapshot().value == before.value
    assert fetch("SELECT count(*) FROM payments_topup") == 2
    # Who has part in the card sees them.
    for role, member in asking.items():
        shown = factories.member_client(member).get(url_of(card))
        assert shown.status_code == (200 if role else 404)
        assert len(shown.json().get("results", [])) == (2 if role else 0)


def test_which_cards_are_topped_up(owner: Any, database: str) -> None:
    _, standard = factories.make_member()
    with principal_scope("platform_admin"):
        standard_owner = standard.owner
    voucher = vouchers.issue_voucher_card(owner_id=owner.id, kind="percent", value=Decimal(20))
    frozen, past = factories.make_prepaid(owner), factories.make_prepaid(owner)
    card_status.freeze_card(card_id=frozen.id, reason="")
    execute("UPDATE cards_card SET expires_at = now() - interval '1 s' WHERE id = %s", [past.id])
    full = factories.make_prepaid(owner, "9000000.00")
    before = snapshot()

    refusals = [
        outcome(lambda: start(standard, standard_owner)),
        outcome(lambda: start(voucher, owner)),
        outcome(lambda: start(frozen, owner, idempotency_key="frozen")),
        outcome(lambda: start(past, owner)),
    ]

    assert refusals == [
        *["UNSUPPORTED_CARD_TYPE_FOR_RECHARGE"] * 2,
        *("CARD_NOT_ACTIVE", "CARD_EXPIRED"),
    ]
    assert snapshot().value == before.value
    # Each is the stored answer to its key, and one event.
    assert snapshot().answers == before.answers + 4
    assert snapshot().events == before.events + 4
    again = start(frozen, owner, idempotency_key="frozen")
    assert (again.status, again.replayed) == (409, True)
    assert fetch("SELECT count(*) FROM payments_topup") == 0
    assert outcome(lambda: start(full, owner, "1.00")) == "ok"


def test_a_card_that_would_hold_too_much_is_refused(owner: Any, card: Card, settings: Any) -> None:
    settings.MPS_MAX_BALANCE = Decimal("500.00")

    assert outcome(lambda: start(card, owner, "500.01")) == "LIMIT_EXCEEDED"
    waiting = [begin(card, owner), begin(card, owner)]

    # What was paid is credited all the same.
    assert [call_back(report_of(each)).status_code for each in waiting] == [200, 200]
    assert balances_of(card)[0] == Decimal("1000.00")


def test_a_suspended_member_does_not_top_up(owner: Any, card: Card) -> None:
    admin, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=admin.id, role="admin")
    members.suspend_member(member_id=admin.id, reason="risk")

    assert outcome(lambda: start(card, admin)) == "MEMBER_SUSPENDED"
    assert outcome(lambda: start(card, owner)) == "ok"


OTHER_SITES = ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\\b", "/a b"]


def test_the_payer_returns_to_this_site_only(owner: Any, card: Card) -> None:
    for path in OTHER_SITES:
        assert outcome(lambda path=path: start(card, owner, return_path=path)) == "INVALID_REQUEST"
    assert fetch("SELECT count(*) FROM payments_topup") == 0


def test_a_provider_that_is_not_offered(owner: Any, card: Card, settings: Any) -> None:
    waiting = begin(card, owner)
    offered = factories.member_client(owner)
    assert offered.get("/api/v1/me/topup-providers").json() == {"providers": ["sandbox"]}
    assert outcome(lambda: start(card, owner, provider="stripe")) == "INVALID_REQUEST"
    settings.MPS_TOPUP_PROVIDERS = []
    assert offered.get("/api/v1/me/topup-providers").json() == {"providers": []}
    assert outcome(lambda: start(card, owner)) == "INVALID_REQUEST"
    assert call_back(report_of(waiting)).status_code == 404
    assert fresh(waiting).status == "pending"


def test_a_member_token_cannot_credit(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    other, _ = factories.make_member()
    foreign = factories.make_prepaid(other)
    statements = [
        ("UPDATE payments_topup SET status = 'expired', closed_at = now()", []),
        ("SELECT ledger_post('recharge', %s, '{}', '{}')", [uuid.uuid4()]),
        (
            "INSERT INTO payments_topup (order_id, provider, card_id, member_id, amount, currency,"
            " idempotency_key, request_hash, expires_at, status) VALUES ('a', 'sandbox', %s, %s,"
            " 1, 'TWD', 'k', '', now(), 'expired')",
            [card.id, owner.id],
        ),
        (
            "INSERT INTO payments_topup (order_id, provider, card_id, member_id, amount, currency,"
            " idempotency_key, request_hash, expires_at) VALUES ('a', 'sandbox', %s, %s,"
            " 1, 'TWD', 'k', '', now())",
            [foreign.id, owner.id],
        ),
    ]
    for statement, parameters in statements:
        with (
            pytest.raises(DatabaseError),
            principal_scope("member_app", owner.id),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, parameters)
    for role, principal in (("member_app", other.id), ("member_app", None)):
        with principal_scope(role, principal):  # type: ignore[arg-type]
            assert TopUp.objects.count() == 0
    assert fresh(top_up).status == "pending"


# --- what the provider says ----------------------------------------------------------------------


def test_replayed_callbacks_credit_once(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    callback = sandbox.sign_callback(report_of(top_up))

    answers = [send(callback.body, callback.headers) for _ in range(3)]
    before = snapshot()
    answers.append(call_back(report_of(top_up)))

    assert [(each.status_code, each.json()) for each in answers] == [(200, {"received": True})] * 4
    assert snapshot() == before
    assert balances_of(card)[0] == Decimal("500.00")
    assert events_of("RECHARGE_COMPLETED") == 1


def test_a_second_payment_of_an_order_is_told_and_not_credited(
    owner: Any, card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    top_up = begin(card, owner)
    call_back(report_of(top_up))

    with caplog.at_level(logging.ERROR):
        again = call_back(report_of(top_up, payment_id="sbx_another-payment"))

    assert again.status_code == 200
    assert balances_of(card)[0] == Decimal("500.00")
    assert events_of("TOP_UP_PAID_TWICE") == 1
    (said,) = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert said == "a top-up was paid twice"


def test_a_member_begins_only_so_many_that_are_not_paid(owner: Any, card: Card) -> None:
    begun = [begin(card, owner, "1.00", idempotency_key=f"K-{number}") for number in range(20)]

    assert_refused(lambda: start(card, owner, "1.00"), "RATE_LIMITED", action="TOP_UP_REFUSED")
    # A retry of one that was begun is that one; and who pays or lets expire begins again.
    assert begin(card, owner, "1.00", idempotency_key="K-0").id == begun[0].id
    call_back(report_of(begun[0]))
    shift(begun[1], "-2 hours")
    assert start(card, owner, "1.00").status == start(card, owner, "1.00").status == 201


def test_late_payments_are_credited_and_marked(owner: Any, card: Card) -> None:
    expired, cancelled, unnoticed = (begin(card, owner, "1.00") for _ in range(3))
    shift(expired, "-2 hours")
    assert member_topups.expire_top_ups() == 1
    call_back(report_of(cancelled, Outcome.CLOSED))
    shift(unnoticed, "-2 hours")
    assert [fresh(each).status for each in (expired, cancelled, unnoticed)] == [
        *("expired", "cancelled", "pending")
    ]

    for each in (expired, cancelled, unnoticed):
        assert call_back(report_of(each)).status_code == 200

    assert {(fresh(each).status, fresh(each).late) for each in (expired, cancelled, unnoticed)} == {
        ("completed", True)
    }
    assert balances_of(card)[0] == Decimal("3.00")
    assert last_context()["late"] is True


def test_money_paid_for_a_card_that_changed_is_not_lost(owner: Any) -> None:
    frozen, closed = factories.make_prepaid(owner), factories.make_prepaid(owner)
    for_frozen, for_closed = begin(frozen, owner), begin(closed, owner)
    card_status.freeze_card(card_id=frozen.id, reason="")
    card_status.close_card(card_id=closed.id, reason="")

    assert call_back(report_of(for_frozen)).status_code == 200
    assert call_back(report_of(for_closed)).status_code == 200

    assert balances_of(frozen)[0] == Decimal("500.00")
    assert balances_of(closed)[0] == Decimal("0.00")
    unclaimed = (
        "SELECT coalesce(sum(amount), 0) FROM ledger_entry e JOIN ledger_account a"
        " ON a.id = account_id WHERE a.kind = 'unclaimed'"
    )
    assert fetch(unclaimed) == Decimal("500.00")
    shown = factories.member_client(owner).get(f"{url_of(closed)}/{for_closed.id}").json()
    assert (shown["status"], shown["credited_to"]) == ("completed", "unclaimed")


def _forgeries(top_up: TopUp) -> list[tuple[bytes, dict[str, str]]]:
    callback = sandbox.sign_callback(report_of(top_up))
    body, headers = callback.body, callback.headers
    old = {**headers, "Webhook-Timestamp": str(int(headers["Webhook-Timestamp"]) - 3600)}
    other = sandbox.sign_callback(report_of(top_up, payment_id="sbx_other"))
    return [
        (body, {}),
        (body, {**headers, "Webhook-Signature": "v1,AAAA"}),
        (body, {**headers, "Webhook-Signature": "nonsense"}),
        (body, {**headers, "Webhook-Signature": "v1,é"}),
        (body, {**headers, "Webhook-Id": "msg_other"}),
        (body, {**headers, "Webhook-Timestamp": "soon"}),
        (body, old),
        (other.body, headers),
        (body.replace(b"500.00", b"900.00"), headers),
        (b"\xff\xfe", headers),
        (b"", headers),
    ]


def test_forged_callbacks_move_nothing(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    before = snapshot()
    forgeries = _forgeries(top_up)

    for number, (body, headers) in enumerate(forgeries, 1):
        answer = send(body, headers)

        assert answer.status_code == 401, (body, headers, answer.content)
        assert answer.json()["code"] == "NOT_AUTHENTICATED"
        assert snapshot().events == before.events + number
        assert last_event()[:3] == (*("TOP_UP_CALLBACK_REFUSED", "NOT_AUTHENTICATED", "anonymous"),)

    assert snapshot().value == before.value
    assert fresh(top_up).status == "pending"
    too_large = send(b"x" * (3 * 1024 * 1024), {})
    assert too_large.status_code == 413
    assert Client().get("/api/v1/callbacks/topups/sandbox").status_code == 405


def test_a_secret_of_another_installation_forges(owner: Any, card: Card, settings: Any) -> None:
    top_up = begin(card, owner)
    ours = settings.SECRET_KEY
    settings.SECRET_KEY = "another-installation"
    forged = sandbox.sign_callback(report_of(top_up))
    settings.SECRET_KEY = ours

    assert send(forged.body, forged.headers).status_code == 401


def test_genuine_callbacks_that_say_nothing_are_refused(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    said = json.loads(sandbox.sign_callback(report_of(top_up)).body)
    broken: list[Any] = [
        [],
        "text",
        {},
        {**said, "outcome": "maybe"},
        {**said, "amount": "NaN"},
        {**said, "amount": "1e99"},
        {**said, "amount": []},
        {**said, "currency": "dollars"},
        {**said, "payment_id": ""},
        {**said, "payment_id": "x" * 65},
        {**said, "paid_at": "yesterday"},
    ]
    before = snapshot().value
    for each in broken:
        answer = _send_signed(json.dumps(each))
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), each
    assert snapshot().value == before


def _send_signed(body: str) -> Any:
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": sandbox._webhook().sign("msg_1", now, body),
    }
    return send(body.encode(), headers)


OTHER_SUMS: list[tuple[dict[str, Any], str]] = [
    ({"amount": Decimal("499.99")}, "AMOUNT_DIFFERS"),
    ({"amount": Decimal("500.01")}, "AMOUNT_DIFFERS"),
    ({"amount": Decimal("-500.00")}, "AMOUNT_DIFFERS"),
    ({"currency": "USD"}, "CURRENCY_DIFFERS"),
]


def test_another_sum_is_not_credited_and_staff_see_it(
    owner: Any,
    card: Card,
    caplog: pytest.LogCaptureFixture,
    console: Client,  # noqa: F811
) -> None:
    for number, (said, difference) in enumerate(OTHER_SUMS, 1):
        top_up = begin(card, owner)
        before = snapshot().value

        with caplog.at_level(logging.ERROR):
            answers = [call_back(report_of(top_up, **said)) for _ in range(2)]

        assert [each.status_code for each in answers] == [200, 200]
        assert snapshot().value == before
        found = fresh(top_up)
        assert (found.status, found.failure_code, found.tx_id) == ("failed", difference, None)
        assert events_of("TOP_UP_MISMATCH") == number
        messages = [each.message for each in caplog.records if each.levelname == "ERROR"]
        assert messages == ["a paid top-up was not credited"] * number
        assert difference in console.get(page_url(found)).content.decode()
    # When the provider has put it right, it is credited.
    assert call_back(report_of(top_up)).status_code == 200
    assert fresh(top_up).status == "completed"
    assert balances_of(card)[0] == Decimal("500.00")


def test_unknown_orders_and_providers_are_not_found(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    before = snapshot()

    unknown = call_back(report_of(top_up, order_id="x" * 32))
    nobody = call_back(report_of(top_up), provider="nobody")

    assert [(each.status_code, each.json()["code"]) for each in (unknown, nobody)] == [
        (404, "NOT_FOUND")
    ] * 2
    assert "x" * 32 not in unknown.content.decode()
    assert snapshot().value == before.value
    assert events_of("TOP_UP_CALLBACK_REFUSED") == 2


def test_an_order_that_was_closed_unpaid(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    before = snapshot()
    call_back(report_of(top_up, Outcome.OPEN))
    assert (fresh(top_up).status, snapshot()) == ("pending", before)

    for _ in range(2):
        assert call_back(report_of(top_up, Outcome.CLOSED)).status_code == 200

    assert fresh(top_up).status == "cancelled"
    assert snapshot().value == before.value
    assert events_of("TOP_UP_CANCELLED") == 1


def test_one_payment_is_credited_once_whoever_says_so(owner: Any, card: Card) -> None:
    by_staff, same, elsewhere = (begin(card, owner) for _ in range(3))
    done = topups.recharge_card(
        card_id=card.id,
        amount=Decimal("500.00"),
        scope_id=uuid.uuid4(),
        idempotency_key="staff",
        payment_method="sandbox",
        provider_order_id="sbx_one",
    )
    before = snapshot().value

    assert call_back(report_of(by_staff, payment_id="sbx_one")).status_code == 200
    assert call_back(report_of(same, payment_id="sbx_one")).status_code == 200
    other = begin(card, owner, "1.00")
    assert call_back(report_of(other, payment_id="sbx_one")).status_code == 200

    assert snapshot().value == before
    assert fetch("SELECT tx_no FROM payments_transaction WHERE id = %s", [fresh(by_staff).tx_id])
    assert done.body["tx_no"] == last_number(by_staff)
    assert {fresh(each).failure_code for each in (same, other)} == {"PAYMENT_CREDITED_OTHERWISE"}
    assert fresh(elsewhere).status == "pending"


def last_number(top_up: TopUp) -> str:
    number: str = fetch(
        "SELECT tx_no FROM payments_transaction WHERE id = %s", [fresh(top_up).tx_id]
    )
    return number


def test_what_was_credited_stays_so(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    call_back(report_of(top_up))
    for change in ("status = 'failed', failure_code = 'X', tx_id = NULL", "amount = 1"):
        with pytest.raises(DatabaseError, match="top-up"):
            execute(f"UPDATE payments_topup SET {change}")
    for change in ("DELETE FROM payments_topup", "TRUNCATE payments_topup CASCADE"):
        with pytest.raises(DatabaseError, match="append-only"):
            execute(change)
    before = snapshot()
    call_back(report_of(top_up, Outcome.CLOSED))
    call_back(report_of(top_up, amount=Decimal("1.00")))
    assert snapshot() == before


# --- at once -------------------------------------------------------------------------------------


def confirm_together(top_up: TopUp, times: int) -> Counter[str]:
    callback = sandbox.sign_callback(report_of(top_up))

    def confirm() -> str:
        return outcome(
            lambda: topup_confirmations.receive_callback(
                provider="sandbox", body=callback.body, headers=callback.headers
            )
        )

    return Counter(map(str, run_together([confirm] * times)))


def test_16_twin_callbacks_credit_once(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)

    results = confirm_together(top_up, 16)

    assert results == {"ok": 16}
    assert balances_of(card)[0] == Decimal("500.00")
    assert events_of("RECHARGE_COMPLETED") == 1


def test_control_without_the_locks_twins_credit_twice(
    unchecked_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    top_up = begin(card, owner)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self.all())
    # The registry of providers' payments stands behind the row's lock.
    execute("ALTER TABLE payments_providerorder DROP CONSTRAINT payments_providerorder_pkey")
    execute("DROP TRIGGER payments_topup_guard ON payments_topup")
    execute(
        "CREATE OR REPLACE FUNCTION payments_lock_name(p_scope uuid, p_name text) RETURNS void"
        " LANGUAGE sql AS 'SELECT pg_sleep(2)'"
    )

    confirm_together(top_up, 8)

    assert fetch("SELECT count(*) FROM payments_transaction WHERE type = 'recharge'") > 1


def test_twins_asking_with_one_key_are_one_top_up(owner: Any, card: Card) -> None:
    results = run_together([lambda: start(card, owner, idempotency_key="K")] * 12)

    assert len({each.body["id"] for each in results}) == 1  # type: ignore[union-attr]
    assert fetch("SELECT count(*) FROM payments_topup") == 1
    assert events_of("TOP_UP_STARTED") == 1


def test_a_payment_that_comes_while_it_expires(owner: Any, card: Card) -> None:
    top_up = begin(card, owner)
    shift(top_up, "-2 hours")
    callback = sandbox.sign_callback(report_of(top_up))

    run_together(
        [
            *[member_topups.expire_top_ups] * 4,
            *[
                lambda: topup_confirmations.receive_callback(
                    provider="sandbox", body=callback.body, headers=callback.headers
                )
            ]
            * 4,
        ]
    )

    assert (fresh(top_up).status, fresh(top_up).late) == ("completed", True)
    assert balances_of(card)[0] == Decimal("500.00")


# --- by themselves -------------------------------------------------------------------------------


def test_pending_ones_close_by_themselves(owner: Any, card: Card) -> None:
    due, fine, paid = (begin(card, owner) for _ in range(3))
    call_back(report_of(paid))
    for each in (due, paid):
        shift(each, "-61 minutes")
    before = snapshot().value
    out = io.StringIO()
    call_command("expire_top_ups", "--dry-run", stdout=out)

    assert tasks.expire_top_ups() == 1
    call_command("expire_top_ups", stdout=out)

    assert out.getvalue().splitlines() == ["1 would be closed.", "0 closed."]
    assert [fresh(each).status for each in (due, fine, paid)] == ["expired", "pending", "completed"]
    assert snapshot().value == before
    shown = factories.member_client(owner).get(f"{url_of(card)}/{due.id}").json()
    assert (shown["status"], shown["pay_url"]) == ("expired", None)


def test_what_an_unreachable_provider_left_closes_by_itself(owner: Any, card: Card) -> None:
    execute("ALTER TABLE payments_sandboxorder RENAME TO away")
    try:
        with pytest.raises(DatabaseError):
            start(card, owner, idempotency_key="K")
    finally:
        execute("ALTER TABLE away RENAME TO payments_sandboxorder")
    left = fresh(fetch("SELECT id::text FROM payments_topup"))
    assert (left.status, left.pay_url) == ("pending", "")

    # The same key goes on with it.
    assert start(card, owner, idempotency_key="K").body["id"] == str(left.id)
    # Another member who left one: it ends.
    shift(left, "-2 hours")
    assert member_topups.expire_top_ups() == 1


def today() -> date:
    return datetime.now(ZoneInfo("Asia/Taipei")).date()


def settled_world(owner: Any, card: Card) -> dict[str, TopUp]:
    """One top-up of each kind a comparison may meet."""
    names = ("agreed", "lost", "unpaid", "invented", "smaller", "wrong")
    world = {name: begin(card, owner) for name in names}
    topup_confirmations.pay_in_sandbox(order_id=world["agreed"].order_id, paid=True)
    for name in ("lost", "smaller", "wrong"):
        sandbox.decide(order_id=world[name].order_id, paid=True)
    call_back(report_of(world["invented"]))
    call_back(report_of(world["smaller"]))
    execute(
        "UPDATE payments_sandboxorder SET amount = 400 WHERE order_id IN (%s, %s)",
        [world["smaller"].order_id, world["wrong"].order_id],
    )
    execute(
        "INSERT INTO payments_sandboxorder (order_id, amount, currency, return_path, status,"
        " payment_id, expires_at, decided_at) VALUES ('theirs', 9, 'TWD', '', 'paid', 'sbx_t',"
        " now(), now())"
    )
    return world


def test_a_days_comparison_finds_what_differs(
    owner: Any, card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    world = settled_world(owner, card)
    before = snapshot()

    with caplog.at_level(logging.ERROR):
        found = topup_comparison.compare_top_ups(day=today())

    kinds = {each.order_id: each.kind for each in found.differences}
    assert kinds == {
        world["lost"].order_id: "not_credited",
        world["invented"].order_id: "not_paid",
        world["smaller"].order_id: "amount_differs",
        world["wrong"].order_id: "not_credited",
        "theirs": "unknown_order",
    }
    assert (found.compared, found.unreachable) == (6, ())
    assert snapshot().value == before.value
    assert events_of("TOP_UP_DIFFERENCE") == 5
    messages = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert messages == ["books differ from a provider's"] * 5
    assert topup_comparison.compare_top_ups(day=today() - timedelta(days=7)).differences == ()


def test_the_daily_comparison_looks_back_three_days(owner: Any, card: Card) -> None:
    lost = [begin(card, owner) for _ in range(3)]
    for each, ago in zip(lost, ("-1 day", "-3 days", "-5 days"), strict=True):
        sandbox.decide(order_id=each.order_id, paid=True)
        shift(each, ago)

    assert tasks.compare_top_ups() == {"compared": 2, "differences": 2, "unreachable": []}


def test_the_command_names_each_difference_and_exits_1(owner: Any, card: Card) -> None:
    out = io.StringIO()
    call_command("compare_top_ups", "--date", str(today()), stdout=out)
    lost = begin(card, owner)
    sandbox.decide(order_id=lost.order_id, paid=True)

    with pytest.raises(CommandError):
        call_command("compare_top_ups", "--date", str(today()), stdout=out)
    with pytest.raises(CommandError):
        call_command("compare_top_ups", "--date", "today", stdout=out)

    assert out.getvalue().splitlines() == [
        "0 compared, 0 differ.",
        f"not_credited sandbox {lost.order_id}: here pending 500.00 TWD, there 500.00 TWD",
        "1 compared, 1 differ.",
    ]


# --- staff ---------------------------------------------------------------------------------------


def test_staff_ask_the_provider(owner: Any, card: Card, console: Client) -> None:  # noqa: F811
    lost, waiting, gone, odd = (begin(card, owner) for _ in range(4))
    sandbox.decide(order_id=lost.order_id, paid=True)
    sandbox.decide(order_id=gone.order_id, paid=False)
    sandbox.decide(order_id=odd.order_id, paid=True)
    execute("UPDATE payments_sandboxorder SET amount = 1 WHERE order_id = %s", [odd.order_id])

    assert texts(act(console, TopUp, "confirm", lost))
    for each in (waiting, gone, odd, lost):
        topup_confirmations.confirm_with_provider(top_up_id=each.id)

    assert [fresh(each).status for each in (lost, waiting, gone, odd)] == [
        *("completed", "pending", "cancelled", "failed")
    ]
    assert balances_of(card)[0] == Decimal("500.00")
    assert events_of("TOP_UP_CHECKED") == 2
    by = "SELECT actor_type || ' ' || actor FROM audit_event WHERE action = 'RECHARGE_COMPLETED'"
    assert fetch(by) == "staff boss"
    page = console.get(page_url(fresh(lost))).content.decode()
    assert last_number(lost) in page
    for query in (
        {"status__exact": "completed"},
        {"q": lost.order_id},
        {"q": fresh(lost).payment_id},
    ):
        listed = console.get(list_url(TopUp), query).content.decode()
        assert page_url(lost) in listed
        assert page_url(waiting) not in listed
    assert page_url(waiting) in console.get(list_url(TopUp), {"q": card.number}).content.decode()
    number = last_number(lost)
    with principal_scope("platform_admin"):
        credited = Transaction.objects.get(tx_no=number)
    assert lost.order_id in console.get(page_url(credited)).content.decode()


def test_asking_of_a_top_up_nobody_has(database: str) -> None:
    assert (
        outcome(lambda: topup_confirmations.confirm_with_provider(top_up_id=uuid.uuid4()))
        == "NOT_FOUND"
    )
    assert last_event()[0] == "TOP_UP_CHECK_REFUSED"


def test_where_to_pay_is_shown_to_whoever_asked(owner: Any, card: Card) -> None:
    friend, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=friend.id, role="viewer")
    top_up = begin(card, owner)
    assert top_up.pay_url.startswith(SITE)

    seen = factories.member_client(friend).get(f"{url_of(card)}/{top_up.id}").json()

    assert (seen["status"], seen["pay_url"]) == ("pending", None)
    assert factories.member_client(friend).get(f"{url_of(card)}/{uuid.uuid4()}").status_code == 404
    assert invariants.check() == []
