"""Shops are told what happened: what they get, when it fails, and that nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from standardwebhooks import WebhookVerificationError

from merchants import tasks
from merchants.selectors import Till
from merchants.webhooks import delivery as webhook_delivery
from merchants.webhooks import endpoints, outbox
from merchants.webhooks.models import WebhookEndpoint
from mps.base.audit.models import Event
from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import InvalidRequestError, NotFoundError, PermissionDeniedError
from payments import refunds
from settlements import services as settlements
from settlements.api import SettlementOut
from settlements.representations import settlement_document
from tests import factories
from tests.concurrency.racing import run_together
from tests.conftest import url_for
from tests.merchants.receiver import Message, Receiver, receiving
from tests.servers import ROOT
from tests.settlements import helpers
from tests.snapshots import execute, fetch


@pytest.fixture
def till(database: str) -> Till:
    """A till that may manage webhook endpoints."""
    return factories.make_till_and_key(can_manage_webhooks=True)[0]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A shop's web server that takes everything."""
    with receiving() as receiver:
        yield receiver


def listen(
    till: Till, receiver: Receiver, events: list[str] | None = None
) -> tuple[WebhookEndpoint, str]:
    return endpoints.create_endpoint(till=till, url=receiver.url, events=events)


def emit(till: Till, number: int = 1, event_type: str = "payment.completed") -> None:
    """Let something happen at this shop."""
    shop = till.merchant_id
    with principal_scope("merchant_api", shop) as scope:
        for n in range(number):
            data = {"amount": f"{n}.00"}
            outbox.emit_event(scope, merchant_id=shop, event_type=event_type, data=data)


def let_time_pass() -> None:
    """Let every planned attempt be due, and every lease have run out."""
    execute("UPDATE merchants_webhookdelivery SET next_attempt_at = now() WHERE state = 'pending'")


def states() -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT state, attempts, last_status, last_error FROM merchants_webhookdelivery"
            " ORDER BY id"
        )
        return cursor.fetchall()


def outbox_counts() -> tuple[int, int]:
    """Return how many events and deliveries there are."""
    return (
        fetch("SELECT count(*) FROM merchants_webhookevent"),
        fetch("SELECT count(*) FROM merchants_webhookdelivery"),
    )


def audited(action: str) -> list[dict[str, Any]]:
    with principal_scope("platform_admin"):
        return [event.context for event in Event.objects.filter(action=action).order_by("id")]


# --- what a shop gets ----------------------------------------------------------------------------


def test_a_charge_is_told_to_the_shop(till: Till, receiver: Receiver) -> None:
    _endpoint, secret = listen(till, receiver)
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")

    answer = factories.charge(
        till, factories.make_code(card, member), "60.00", external_order_id="ORDER-1"
    )
    counts = webhook_delivery.deliver_due()

    assert counts == {"delivered": 1, "failed": 0}
    [message] = receiver.messages
    body = message.verify(secret)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "payment.completed"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo == UTC
    assert {
        name: body["data"][name] for name in ("tx_no", "final_amount", "external_order_id")
    } == {
        "tx_no": answer.body["tx_no"],
        "final_amount": "60.00",
        "external_order_id": "ORDER-1",
    }
    assert message.path == "/mps?to=till"
    assert message.headers["content-type"] == "application/json"
    assert states() == [("delivered", 1, 204, "")]


def test_a_declined_charge_is_told_to_the_shop(till: Till, receiver: Receiver) -> None:
    _endpoint, secret = listen(till, receiver)
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "10.00")

    answer = factories.charge(till, factories.make_code(card, member), "60.00")
    webhook_delivery.deliver_due()

    assert answer.body["code"] == "INSUFFICIENT_BALANCE"
    [message] = receiver.messages
    assert message.verify(secret)["type"] == "payment.failed"


def test_a_refund_is_told_to_the_shop(till: Till, receiver: Receiver) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    tx_no = helpers.pay(till, card, member, "60.00")
    _endpoint, secret = listen(till, receiver)

    answer = helpers.refund(till, tx_no, "20.00")
    webhook_delivery.deliver_due()

    [message] = receiver.messages
    body = message.verify(secret)
    assert body["type"] == "refund.completed"
    assert {name: body["data"][name] for name in answer.body} == answer.body
    assert body["data"]["payment_status"] == "completed"


def test_a_reversal_is_told_from_a_refund(till: Till, receiver: Receiver) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    helpers.pay(till, card, member, "60.00", external_order_id="O-1")
    _endpoint, secret = listen(till, receiver)

    refunds.reverse_order(till=till, external_order_id="O-1")
    webhook_delivery.deliver_due()

    told = receiver.messages[0].verify(secret)["data"]
    assert (told["payment_status"], told["external_order_id"]) == ("cancelled", "O-1")


def test_a_settlement_is_told_to_the_shop(till: Till, receiver: Receiver) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    helpers.pay(till, card, member, "60.00")
    _endpoint, secret = listen(till, receiver)

    settlement = helpers.settle(till)
    helpers.settle(till, end=settlement.period_end)
    settlements.approve_settlement(settlement_id=settlement.id)
    for _ in range(2):
        settlement = settlements.mark_paid(settlement_id=settlement.id, payout_reference="BANK-1")
    webhook_delivery.deliver_due()

    told = {body["type"]: body["data"] for body in (m.verify(secret) for m in receiver.messages)}
    assert len(receiver.messages) == len(told) == 2
    assert told["settlement.generated"]["net"] == "60.00"
    assert told["settlement.generated"]["status"] == "pending"
    assert told["settlement.paid"] == dict(SettlementOut(settlement).data)
    assert settlement_document(settlement) == told["settlement.paid"]


def test_what_did_not_commit_is_not_told(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)

    shop, kind = till.merchant_id, "payment.completed"
    with pytest.raises(ZeroDivisionError), principal_scope("merchant_api", shop) as scope:
        outbox.emit_event(scope, merchant_id=shop, event_type=kind, data={"a": "1.00"})
        _ = 1 / 0
    webhook_delivery.deliver_due()

    assert receiver.messages == []
    assert outbox_counts() == (0, 0)


def test_nothing_is_written_when_nobody_wants_it(till: Till, receiver: Receiver) -> None:
    emit(till)
    listen(factories.make_till_and_key(can_manage_webhooks=True)[0], receiver)
    emit(till)
    endpoint, _secret = listen(till, receiver, ["settlement.paid"])
    emit(till)
    assert outbox_counts() == (0, 0)

    emit(till, event_type="settlement.paid")
    endpoints.change_endpoint(till=till, endpoint_id=endpoint.id, changes={"enabled": False})
    emit(till, event_type="settlement.paid")

    assert outbox_counts() == (1, 1)


def test_each_endpoint_gets_what_it_chose(till: Till, receiver: Receiver) -> None:
    with receiving() as other:
        _all, secret = listen(till, receiver)
        _some, other_secret = listen(till, other, ["refund.completed", "payment.failed"])
        for event_type in ("payment.completed", "payment.failed", "refund.completed"):
            emit(till, event_type=event_type)
        webhook_delivery.deliver_due()

        got = {message.id: message.verify(secret)["type"] for message in receiver.messages}
        chosen = {message.id: message.verify(other_secret)["type"] for message in other.messages}
        assert sorted(got.values()) == ["payment.completed", "payment.failed", "refund.completed"]
        assert sorted(chosen.values()) == ["payment.failed", "refund.completed"]
        # The id is the event's, the same for each endpoint.
        assert chosen.items() <= got.items()
        with pytest.raises(WebhookVerificationError):
            other.messages[0].verify(secret)


def test_a_test_is_sent_on_request(till: Till, receiver: Receiver) -> None:
    endpoint, secret = listen(till, receiver, ["settlement.paid"])

    delivery = endpoints.send_test(till=till, endpoint_id=endpoint.id)
    webhook_delivery.deliver_due()

    [message] = receiver.messages
    assert message.verify(secret)["type"] == "ping"
    assert message.id == str(delivery.event_id)


# --- when it fails -------------------------------------------------------------------------------


def test_a_receiver_that_fails_ten_times_gets_the_same_id_each_time(
    till: Till, receiver: Receiver
) -> None:
    endpoint, secret = listen(till, receiver)
    receiver.answer = lambda _message: 500 if len(receiver.messages) <= 10 else 200
    emit(till)

    waits = []
    for _ in range(11):
        webhook_delivery.deliver_due()
        waits.append(
            fetch(
                "SELECT round(extract(epoch FROM next_attempt_at - last_attempt_at))"
                " FROM merchants_webhookdelivery"
            )
        )
        let_time_pass()

    assert len(receiver.messages) == 11
    assert len(set(receiver.ids)) == 1
    assert {message.verify(secret)["data"]["amount"] for message in receiver.messages} == {"0.00"}
    assert waits[:10] == [5, 30, 120, 600, 1800, 3600, 10800, 21600, 21600, 21600]
    assert states() == [("delivered", 11, 200, "")]
    assert fetch("SELECT failing_since FROM merchants_webhookendpoint") is None
    # Between two attempts nothing is sent.
    assert webhook_delivery.deliver_due() == {"delivered": 0, "failed": 0}
    assert endpoint.enabled


def test_an_attempt_is_signed_afresh(till: Till, receiver: Receiver) -> None:
    _endpoint, secret = listen(till, receiver)
    receiver.answer = lambda _message: 503
    emit(till)
    webhook_delivery.deliver_due()
    [first] = receiver.messages
    assert abs(datetime.now(UTC).timestamp() - int(first.headers["webhook-timestamp"])) < 60

    with pytest.raises(WebhookVerificationError):
        replace(first, body=first.body.replace(b"0.00", b"9.00")).verify(secret)
    late = {**first.headers, "webhook-timestamp": str(int(first.headers["webhook-timestamp"]) + 9)}
    with pytest.raises(WebhookVerificationError):
        replace(first, headers=late).verify(secret)


def test_after_three_days_it_is_given_up_and_the_endpoint_disabled(
    till: Till, receiver: Receiver
) -> None:
    endpoint, _secret = listen(till, receiver)
    receiver.answer = lambda _message: 500
    emit(till)
    webhook_delivery.deliver_due()
    execute(
        "UPDATE merchants_webhookdelivery SET give_up_at = now(), next_attempt_at = now();"
        "UPDATE merchants_webhookendpoint SET failing_since = now() - interval '2 days'"
    )
    emit(till)
    webhook_delivery.deliver_due()

    # The first is given up; the second, and the endpoint, have time.
    assert [state for state, *_ in states()] == ["failed", "pending"]
    assert fetch("SELECT enabled FROM merchants_webhookendpoint")

    execute("UPDATE merchants_webhookendpoint SET failing_since = now() - interval '3 days'")
    let_time_pass()
    webhook_delivery.deliver_due()

    assert not fetch("SELECT enabled FROM merchants_webhookendpoint")
    assert states()[1] == ("failed", 2, 500, "endpoint disabled")
    assert audited("WEBHOOK_ENDPOINT_DISABLED") == [
        {"reason": "Nothing has reached it for 3 days."}
    ]
    emit(till)
    assert outbox_counts() == (2, 2)

    # Staff let it go on: what was held goes out, what was given up does not.
    receiver.answer = lambda _message: 200
    endpoints.enable_endpoint(endpoint_id=endpoint.id, reason="They repaired it")
    webhook_delivery.deliver_due()
    assert [state for state, *_ in states()] == ["failed", "delivered"]


def test_a_slow_endpoint_starves_no_other(till: Till, receiver: Receiver) -> None:
    told = threading.Event()
    seen = []

    def dawdle(_message: Message) -> int:
        seen.append(told.wait(8))
        return 200

    with receiving(dawdle) as slow:
        listen(till, slow)
        emit(till, 30)
        listen(till, receiver)
        receiver.answer = lambda _message: told.set() or 200
        emit(till)

        counts = webhook_delivery.deliver_due()

    assert counts == {"delivered": 32, "failed": 0}
    assert seen == [True] * 31


def test_endpoints_that_fail_leave_room_for_the_others(till: Till) -> None:
    for _ in range(2):
        execute(
            "WITH e AS (INSERT INTO merchants_webhookendpoint"
            " (merchant_id, url, secret_key_id, failing_since)"
            f" SELECT '{till.merchant_id}', 'http://127.0.0.1:9/', 't2',"
            " CASE WHEN n > 2 THEN now() END FROM generate_series(1, 12) n RETURNING id)"
            " SELECT count(*) FROM e"
        )
    emit(till, 8)

    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT is_failing, endpoint_id FROM merchants_claim_deliveries(20,5,6,'{}',9)"
        )
        taken = cursor.fetchall()
        cursor.execute(
            "SELECT count(*) FROM merchants_claim_deliveries(20, 5, 0, %s, 9)",
            [[endpoint for failing, endpoint in taken if not failing]],
        )
        assert cursor.fetchone()[0] == 0

    # Of the four that answer as many as there is room for; of those that fail one each, six in all.
    failing = [endpoint for is_failing, endpoint in taken if is_failing]
    assert len(taken) == 20
    assert len(failing) == len(set(failing)) <= 6
    assert len({endpoint for is_failing, endpoint in taken if not is_failing}) == 4


# --- when a worker dies, or two work -------------------------------------------------------------


def test_a_killed_worker_loses_nothing(database: str, till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till, 30)
    stuck, killed = threading.Semaphore(0), threading.Event()

    def answer(_message: Message) -> int:
        if len(receiver.messages) > 12:
            stuck.release()
            killed.wait(60)
        return 200

    receiver.answer = answer
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "deliver_webhooks"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url_for(os.environ["DATABASE_URL"], database)},
    )
    with worker:
        assert stuck.acquire(timeout=60)
        worker.send_signal(signal.SIGKILL)
    killed.set()

    # What it had taken is not free before its lease runs out.
    under_way = fetch(
        "SELECT count(*) FROM merchants_webhookdelivery"
        " WHERE state = 'pending' AND attempts = 1 AND next_attempt_at > now()"
    )
    assert 1 <= under_way <= 5
    webhook_delivery.deliver_due()
    assert [state for state, *_ in states()].count("pending") == under_way
    let_time_pass()
    webhook_delivery.deliver_due()

    assert {state for state, *_ in states()} == {"delivered"}
    ids = fetch("SELECT array_agg(id::text ORDER BY id) FROM merchants_webhookevent")
    assert sorted(set(receiver.ids)) == ids
    assert len(ids) == 30
    assert 30 < len(receiver.messages) <= 30 + under_way


def test_two_workers_deliver_once(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till, 40)

    results = run_together(
        [webhook_delivery.deliver_due, webhook_delivery.deliver_due, webhook_delivery.deliver_due]
    )

    assert len(receiver.messages) == len(set(receiver.ids)) == 40
    assert sum(result["delivered"] for result in results) == 40  # type: ignore[index]
    assert set(states()) == {("delivered", 1, 200, "")} or set(states()) == {
        ("delivered", 1, 204, "")
    }


def claim_at_once() -> tuple[set[UUID], set[UUID]]:
    """Let two workers claim what is due, the second before the first has committed."""
    claim = "SELECT delivery_id FROM merchants_claim_deliveries(20, 5, 10, '{}', 60)"
    second: list[UUID] = []

    def take() -> None:
        with psycopg.connect(url) as other:
            second.extend(row[0] for row in other.execute(claim).fetchall())

    url = url_for(os.environ["DATABASE_OWNER_URL"], connections["owner"].settings_dict["NAME"])
    with psycopg.connect(url) as one:
        first = {row[0] for row in one.execute(claim).fetchall()}
        thread = threading.Thread(target=take)
        thread.start()
        while thread.is_alive() and not fetch(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        ):
            thread.join(0.01)
    thread.join(30)
    return first, set(second)


def test_what_one_has_taken_the_other_leaves(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till, 5)

    first, second = claim_at_once()

    assert len(first) == 5
    assert second == set()


def test_without_the_lock_both_would_take_it(till: Till, receiver: Receiver) -> None:
    body = fetch("SELECT pg_get_functiondef('merchants_claim_deliveries'::regproc)")
    assert body.count("FOR UPDATE SKIP LOCKED") == 1
    execute(body.replace("FOR UPDATE SKIP LOCKED", ""))
    listen(till, receiver)
    emit(till, 5)

    first, second = claim_at_once()

    assert first == second
    assert len(first) == 5


def test_who_lost_the_lease_writes_nothing_down(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till)

    def outlive(_message: Message) -> int:
        if len(receiver.messages) == 1:
            let_time_pass()
            webhook_delivery.deliver_due()
            connections.close_all()
            return 500
        return 200

    receiver.answer = outlive
    webhook_delivery.deliver_due()

    assert len(set(receiver.ids)) == 1
    assert states() == [("delivered", 2, 200, "")]


def test_the_jobs_are_the_services(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till)

    assert tasks.deliver_webhooks() == {"delivered": 1, "failed": 0}
    output = StringIO()
    call_command("deliver_webhooks", stdout=output)

    assert output.getvalue() == "0 delivered, 0 failed.\n"


def test_old_events_are_forgotten_unless_they_wait(till: Till, receiver: Receiver) -> None:
    listen(till, receiver)
    emit(till, 4)
    webhook_delivery.deliver_due()
    execute(
        "CREATE TEMP TABLE aged AS SELECT id AS young,"
        " CASE WHEN row_number() OVER (ORDER BY id) = 4 THEN id ELSE uuidv7('-31 days') END AS old"
        " FROM merchants_webhookevent;"
        "UPDATE merchants_webhookdelivery SET event_id = old FROM aged WHERE event_id = young;"
        "UPDATE merchants_webhookevent SET id = old FROM aged WHERE id = young;"
        "UPDATE merchants_webhookdelivery SET state = 'pending', delivered_at = NULL"
        " WHERE event_id = (SELECT min(id::text)::uuid FROM merchants_webhookevent)"
    )

    output = StringIO()
    call_command("purge_webhooks", "--dry-run", stdout=output)
    assert outbox_counts() == (4, 4)
    assert tasks.purge_webhooks() == 2

    assert outbox_counts() == (2, 2)
    assert "2" in output.getvalue()


# --- secrets -------------------------------------------------------------------------------------


def test_both_secrets_sign_while_one_is_changed(till: Till, receiver: Receiver) -> None:
    endpoint, old = listen(till, receiver)
    _endpoint, new = endpoints.rotate_secret(till=till, endpoint_id=endpoint.id)
    assert new != old
    emit(till)
    webhook_delivery.deliver_due()
    for secret in (old, new):
        assert receiver.messages[0].verify(secret)
    assert fetch(
        "SELECT old_secret_until BETWEEN now() + '86390 s' AND now() + '86400 s'"
        " FROM merchants_webhookendpoint"
    )

    execute("UPDATE merchants_webhookendpoint SET old_secret_until = now()")
    emit(till)
    webhook_delivery.deliver_due()
    _endpoint, newest = endpoints.rotate_secret(
        till=till, endpoint_id=endpoint.id, overlap_seconds=0
    )
    emit(till)
    webhook_delivery.deliver_due()

    assert receiver.messages[1].verify(new)
    assert receiver.messages[2].verify(newest)
    for message, secret in zip(receiver.messages[1:], (old, new), strict=True):
        with pytest.raises(WebhookVerificationError):
            message.verify(secret)


def test_the_server_s_keys_can_be_changed(till: Till, receiver: Receiver, settings: Any) -> None:
    endpoint, secret = listen(till, receiver)
    newest = f"t3:{'Aw' * 21}A="

    settings.MPS_WEBHOOK_KEYS = f"{newest},{settings.MPS_WEBHOOK_KEYS}"
    emit(till)
    webhook_delivery.deliver_due()
    assert receiver.messages[0].verify(secret)

    settings.MPS_WEBHOOK_KEYS = newest
    emit(till)
    webhook_delivery.deliver_due()
    assert states()[1] == ("pending", 1, None, "signing key not configured")

    _endpoint, secret = endpoints.rotate_secret(till=till, endpoint_id=endpoint.id)
    let_time_pass()
    webhook_delivery.deliver_due()
    assert receiver.messages[1].verify(secret)


def test_a_secret_is_nowhere(
    till: Till, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    endpoint, first = listen(till, receiver)
    _endpoint, second = endpoints.rotate_secret(till=till, endpoint_id=endpoint.id)
    receiver.answer = lambda _message: 500
    emit(till)
    webhook_delivery.deliver_due()

    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        tables = [row[0] for row in cursor.fetchall()]
        found = [fetch(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" t') for table in tables]
    text = "\n".join(filter(None, found)) + caplog.text
    assert str(endpoint.id) in text
    for secret in (first, second):
        bare = secret.removeprefix("whsec_")
        assert bare not in text
    # Nor is what may be secret in an address where many can read it.
    assert receiver.url not in json.dumps(audited("WEBHOOK_ENDPOINT_CREATED"))
    assert f"127.0.0.1:{receiver.port}" in json.dumps(audited("WEBHOOK_ENDPOINT_CREATED"))


# --- who may -------------------------------------------------------------------------------------


def test_every_act_is_audited_once(till: Till, receiver: Receiver) -> None:
    endpoint, _secret = listen(till, receiver)
    endpoints.change_endpoint(
        till=till, endpoint_id=endpoint.id, changes={"events": ["refund.completed"]}
    )
    endpoints.rotate_secret(till=till, endpoint_id=endpoint.id)
    endpoints.send_test(till=till, endpoint_id=endpoint.id)
    endpoints.disable_endpoint(endpoint_id=endpoint.id, reason="It is noisy")
    endpoints.remove_endpoint(till=till, endpoint_id=endpoint.id)

    with principal_scope("platform_admin"):
        found = Event.objects.filter(object_id=str(endpoint.id)).order_by("id")
        actions = list(found.values_list("action", flat=True))
    assert actions == [
        f"WEBHOOK_ENDPOINT_{act}"
        for act in ("CREATED", "CHANGED", "SECRET_ROTATED", "TESTED", "DISABLED", "REMOVED")
    ]
    assert audited("WEBHOOK_ENDPOINT_CHANGED") == [
        {
            "merchant": str(till.merchant_id),
            "events": {"before": "all", "after": "refund.completed"},
        }
    ]


def test_another_shop_s_endpoint_is_not_there(till: Till, receiver: Receiver) -> None:
    endpoint, _secret = listen(till, receiver)
    other, _key = factories.make_till_and_key(can_manage_webhooks=True)
    before = fetch("SELECT e::text FROM merchants_webhookendpoint e")

    for endpoint_id in (endpoint.id, uuid4()):
        for act in (
            lambda **who: endpoints.change_endpoint(**who, changes={"enabled": False}),
            endpoints.remove_endpoint,
            endpoints.rotate_secret,
            endpoints.send_test,
        ):
            with pytest.raises(NotFoundError):
                act(till=other, endpoint_id=endpoint_id)  # type: ignore[operator]
        for read in (endpoints.get_endpoint, endpoints.list_deliveries):
            shop = other.merchant_id
            with pytest.raises(NotFoundError), principal_scope("merchant_api", shop) as scope:
                read(scope, till=other, endpoint_id=endpoint_id)
    with principal_scope("merchant_api", other.merchant_id) as scope:
        assert list(endpoints.list_endpoints(scope, till=other)) == []
        # Nor to whoever forgets to filter.
        assert WebhookEndpoint.objects.count() == 0

    assert fetch("SELECT e::text FROM merchants_webhookendpoint e") == before
    assert outbox_counts() == (0, 0)


def test_a_terminal_needs_the_right(till: Till, receiver: Receiver) -> None:
    endpoint, _secret = listen(till, receiver)
    clerk = replace(till, can_manage_webhooks=False)
    before = fetch("SELECT e::text FROM merchants_webhookendpoint e")

    for act in (endpoints.remove_endpoint, endpoints.rotate_secret, endpoints.send_test):
        with pytest.raises(PermissionDeniedError):
            act(till=clerk, endpoint_id=endpoint.id)
    with pytest.raises(PermissionDeniedError):
        listen(clerk, receiver)

    assert fetch("SELECT e::text FROM merchants_webhookendpoint e") == before
    assert [each["error"] for each in audited("WEBHOOK_ENDPOINT_REFUSED")] == [
        "PERMISSION_DENIED"
    ] * 4


def test_a_shop_has_ten_endpoints_at_most(till: Till, receiver: Receiver) -> None:
    results = run_together([lambda: listen(till, receiver)] * 14, workers=4)

    assert sum(isinstance(result, InvalidRequestError) for result in results) == 4
    assert fetch("SELECT count(*) FROM merchants_webhookendpoint") == 10


def test_what_waits_is_held_while_the_endpoint_is_disabled(till: Till, receiver: Receiver) -> None:
    endpoint, _secret = listen(till, receiver)
    emit(till, 2)
    for enabled in (False, False):
        endpoints.change_endpoint(till=till, endpoint_id=endpoint.id, changes={"enabled": enabled})
    webhook_delivery.deliver_due()
    assert receiver.messages == []
    with pytest.raises(InvalidRequestError):
        endpoints.send_test(till=till, endpoint_id=endpoint.id)

    endpoints.change_endpoint(till=till, endpoint_id=endpoint.id, changes={"enabled": True})
    webhook_delivery.deliver_due()
    assert len(receiver.messages) == 2

    emit(till)
    endpoints.remove_endpoint(till=till, endpoint_id=endpoint.id)
    webhook_delivery.deliver_due()
    assert len(receiver.messages) == 2
    with pytest.raises(NotFoundError):
        endpoints.enable_endpoint(endpoint_id=endpoint.id, reason="Bring it back")


def test_staff_send_again(till: Till, receiver: Receiver) -> None:
    endpoint, _secret = listen(till, receiver)
    emit(till)
    delivery_id = fetch("SELECT id FROM merchants_webhookdelivery")
    with pytest.raises(InvalidRequestError):
        endpoints.resend_delivery(delivery_id=delivery_id, reason="It is on its way already")
    webhook_delivery.deliver_due()

    endpoints.resend_delivery(delivery_id=delivery_id, reason="They lost it")
    webhook_delivery.deliver_due()

    assert len(receiver.messages) == 2
    assert len(set(receiver.ids)) == 1
    endpoints.disable_endpoint(endpoint_id=endpoint.id, reason="It is noisy")
    with pytest.raises(InvalidRequestError):
        endpoints.resend_delivery(delivery_id=delivery_id, reason="They lost it")
    with pytest.raises(NotFoundError):
        endpoints.resend_delivery(delivery_id=uuid4(), reason="They lost it")
    assert len(audited("WEBHOOK_RESENT")) == 1
    assert len(audited("WEBHOOK_RESEND_REFUSED")) == 3


# --- over HTTP -----------------------------------------------------------------------------------


def test_a_shop_manages_its_endpoints(database: str, receiver: Receiver) -> None:
    _till, key = factories.make_till_and_key(can_manage_webhooks=True)

    def call(method: str, path: str = "", body: Any = None) -> Any:
        response = Client().generic(
            method,
            f"/api/v1/pos/webhook-endpoints{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        return response.status_code, response.json() if response.content else None

    status, made = call("POST", "", {"url": receiver.url, "events": ["refund.completed"]})
    assert status == 201
    secret = made.pop("secret")
    path = f"/{made['id']}"
    assert call("GET", path) == (200, made)
    assert call("GET") == (200, {"results": [made], "next": None, "previous": None})

    status, changed = call("PATCH", path, {"events": [], "description": "All of it"})
    assert (status, changed) == (200, {**made, "events": [], "description": "All of it"})
    status, rotated = call("POST", f"{path}/rotate-secret", {"overlap_seconds": 0})
    assert status == 200
    assert rotated.pop("secret") != secret
    assert rotated == changed

    status, sent = call("POST", f"{path}/test", {})
    assert (status, sent["type"], sent["state"]) == (201, "ping", "pending")
    webhook_delivery.deliver_due()
    status, page = call("GET", f"{path}/deliveries")
    [sent_one] = page["results"]
    assert (sent_one["webhook_id"], sent_one["state"], sent_one["next_attempt_at"]) == (
        receiver.messages[0].id,
        "delivered",
        None,
    )

    assert call("DELETE", path) == (204, None)
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": True}),
        ("DELETE", "", None),
        ("POST", "/test", {}),
        ("GET", "/deliveries", None),
    ):
        assert call(method, path + rest, body)[0] == 404
    for body in (
        {"url": "ftp://example.com/"},
        {"url": receiver.url, "events": ["payment.everything"]},
        {"url": receiver.url, "events": "payment.completed"},
        {},
    ):
        assert call("POST", "", body)[1]["code"] == "INVALID_REQUEST"


def test_a_terminal_without_the_right_is_refused_over_http(
    database: str, receiver: Receiver
) -> None:
    _till, key = factories.make_till_and_key()

    response = Client().get(
        "/api/v1/pos/webhook-endpoints", headers={"Authorization": f"Bearer {key}"}
    )

    assert (response.status_code, response.json()["code"]) == (403, "PERMISSION_DENIED")
    assert len(audited("WEBHOOK_ENDPOINT_REFUSED")) == 1
