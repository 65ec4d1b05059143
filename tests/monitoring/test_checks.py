"""Each check finds what it is for, and nothing where all is well."""

import socket
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from mps.base.audit import chain
from mps.base.core import jobs
from mps.base.core.db_scope import Scope, principal_scope
from mps.product.monitoring import checks, selectors
from tests import factories
from tests.settlements import helpers
from tests.snapshots import execute


def look(check: Callable[[Scope], checks.Finding | None]) -> checks.Finding | None:
    with principal_scope("platform_admin") as scope:
        return check(scope)


@pytest.fixture
def few(settings: Any) -> None:
    """So few suffice to say something."""
    settings.MPS_HEALTH_MIN_CHARGES = 4
    settings.MPS_HEALTH_MIN_CODES = 4


def test_more_than_five_per_cent_of_payments_failing_is_found(
    shop: SimpleNamespace, few: None, settings: Any
) -> None:
    for _ in range(19):
        shop.pay()
    shop.pay("5000.00")
    # 1 of 20 are 5 %, and not more.
    assert look(checks.failed_payments) is None

    shop.pay("5000.00")

    found = look(checks.failed_payments)
    assert found is not None
    assert found.details == {
        "payments": 21,
        "failed": 2,
        "by_code": {"INSUFFICIENT_BALANCE": 2},
    }
    settings.MPS_HEALTH_WINDOW_SECONDS = -1
    assert look(checks.failed_payments) is None


def test_few_failing_are_no_alarm_and_top_ups_are_no_payments(shop: SimpleNamespace) -> None:
    shop.pay()
    shop.pay()
    shop.pay("5000.00")
    for _ in range(20):
        factories.top_up(shop.card, "1.00")

    assert look(checks.failed_payments) is None
    with principal_scope("platform_admin") as scope:
        found = selectors.recent_payments(scope, timedelta(minutes=15))
    assert found == selectors.Payments(3, 1, {"INSUFFICIENT_BALANCE": 1})


def expire(number: int) -> None:
    """Let so many live codes run out a minute ago."""
    execute(
        "UPDATE cards_paymentcode SET issued_at = now() - interval '16 minutes',"
        " expires_at = now() - interval '1 minute' WHERE id IN"
        " (SELECT id FROM cards_paymentcode"
        " WHERE ended_at IS NULL AND expires_at > now() LIMIT %s)",
        [number],
    )


def test_more_than_thirty_per_cent_of_codes_running_out_is_found(
    shop: SimpleNamespace, few: None, settings: Any
) -> None:
    members = [factories.make_member() for _ in range(4)]
    for member, card in members:
        factories.make_code(card, member)
    for _ in range(7):
        shop.pay()
    expire(3)
    # 3 of 10 are 30 %, and not more; the fourth code still lives.
    assert look(checks.expired_codes) is None

    expire(1)

    found = look(checks.expired_codes)
    assert found is not None
    assert found.details == {"codes": 11, "expired": 4}
    # A successor sends the expired one to the history; it is still the same one.
    for member, card in members:
        factories.make_code(card, member)
    assert look(checks.expired_codes) == found
    settings.MPS_HEALTH_MIN_CODES = 12
    assert look(checks.expired_codes) is None


def test_codes_nobody_asked_for_do_not_count(shop: SimpleNamespace, few: None) -> None:
    for _ in range(4):
        shop.pay()
    factories.make_code(shop.card, shop.member)
    execute(
        "UPDATE cards_paymentcode SET issued_at = now() - interval '6 minutes',"
        " expires_at = now() - interval '1 minute', ended_at = NULL, outcome = ''"
    )

    assert ended() == selectors.Codes(used=4, expired=0)

    execute("UPDATE cards_paymentcode SET issued_at = now() - interval '16 minutes'")
    assert ended() == selectors.Codes(used=4, expired=1)


def ended() -> selectors.Codes:
    with principal_scope("platform_admin") as scope:
        return selectors.recent_codes(scope, timedelta(minutes=15))


def test_traffic_without_audit_events_is_found(broken_shop: SimpleNamespace) -> None:
    assert look(checks.audit_silence) is None
    broken_shop.pay()
    assert look(checks.audit_silence) is None

    broken_shop.plant("DELETE FROM audit_event")

    assert look(checks.audit_silence) == checks.Finding("audit_silence")
    broken_shop.plant("DELETE FROM payments_transaction")
    assert look(checks.audit_silence) is None


def test_events_nobody_seals_are_found(shop: SimpleNamespace, settings: Any) -> None:
    assert look(checks.audit_unsealed) is None
    settings.MPS_HEALTH_MAX_SEAL_LAG_SECONDS = 0

    found = look(checks.audit_unsealed)

    assert found is not None
    assert found.details["events"] > 0
    chain.seal_events()
    assert look(checks.audit_unsealed) is None


def test_webhooks_that_are_due_are_found(shop: SimpleNamespace, settings: Any) -> None:
    assert look(checks.webhooks_late) is None
    execute(
        "INSERT INTO merchants_webhookendpoint (merchant_id, url, secret_key_id)"
        " VALUES (%s, 'https://shop.example/hook', 'k1')",
        [shop.till.merchant_id],
    )
    execute("SELECT merchants_emit(%s, 'payment.completed', '{}')", [shop.till.merchant_id])
    execute("UPDATE merchants_webhookdelivery SET next_attempt_at = now() - interval '16 minutes'")

    found = look(checks.webhooks_late)

    assert found is not None
    assert found.details["endpoints"] == 1
    assert 900 < found.details["overdue_seconds"] < 1200
    # One shop's receiver that is away is no incident of the platform.
    execute("UPDATE merchants_webhookendpoint SET failing_since = now()")
    assert look(checks.webhooks_late) is None


def test_shops_that_should_have_been_settled_are_found(
    unchecked_database: str, settings: Any
) -> None:
    settings.MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS = 0
    execute("UPDATE monitoring_progress SET began_at = 'epoch'")
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    # By mode, how long what was paid 33 days ago should have been settled, at least.
    for mode, days in (("monthly", 0), ("t_plus_1", 31), ("realtime", 33)):
        till = factories.make_till(settlement_mode=mode)
        helpers.pay(till, card, member, "10.00")
        # What was paid just now is due at once in real time only.
        assert (look(checks.settlement_late) is not None) == (mode == "realtime")

        execute("UPDATE payments_unclaimed SET created_at = now() - interval '33 days'")

        found = look(checks.settlement_late)
        assert found is not None
        assert found.details["shops"] == 1
        assert found.details["overdue_seconds"] >= days * 86400
        # What came with the installation is due since then.
        execute("UPDATE monitoring_progress SET began_at = now() + interval '1 hour'")
        assert look(checks.settlement_late) is None
        execute("UPDATE monitoring_progress SET began_at = 'epoch'")
        helpers.settle(till)
        assert look(checks.settlement_late) is None


def test_what_a_settlement_left_behind_belongs_to_the_next(
    unchecked_database: str, settings: Any
) -> None:
    settings.MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS = 0
    member, _ = factories.make_member()
    till = factories.make_till(settlement_mode="t_plus_1")
    card = factories.make_prepaid(member, "100.00")
    helpers.pay(till, card, member, "10.00")
    helpers.settle(till)
    helpers.pay(till, card, member, "10.00")
    execute("UPDATE payments_unclaimed SET created_at = now() - interval '3 days'")

    assert look(checks.settlement_late) is None


def test_partitions_running_out_are_found(database: str) -> None:
    assert look(checks.partitions) is None
    execute(
        "CREATE OR REPLACE FUNCTION partition_months_ahead() RETURNS integer"
        " LANGUAGE sql AS 'SELECT 1'"
    )

    assert look(checks.partitions) == checks.Finding("partitions", {"months_ahead": 1})


@pytest.fixture
def scheduled(database: str) -> PeriodicTask:
    """A job for every minute that has run."""
    every = IntervalSchedule.objects.create(every=60, period="seconds")
    task = PeriodicTask.objects.create(name="a test", task="test.minutely", interval=every)
    jobs.run("test.minutely", lambda: None)
    return task


def test_jobs_that_do_not_run_are_found(scheduled: PeriodicTask) -> None:
    assert look(checks.late_jobs) is None

    execute("UPDATE core_jobrun SET started_at = now() - interval '17 minutes'")

    found = look(checks.late_jobs)
    assert found is not None
    assert list(found.details["overdue_seconds"]) == ["test.minutely"]
    jobs.run("test.minutely", lambda: None)
    assert look(checks.late_jobs) is None


def test_jobs_that_fail_again_and_again_are_found(scheduled: PeriodicTask) -> None:
    execute("UPDATE core_jobrun SET started_at = now() - interval '17 minutes'")
    with pytest.raises(ZeroDivisionError):
        jobs.run("test.minutely", lambda: 1 // 0)

    assert look(checks.late_jobs) is not None


def test_jobs_that_are_off_never_ran_or_are_at_it_are_no_alarm(scheduled: PeriodicTask) -> None:
    execute("UPDATE core_jobrun SET started_at = now() - interval '17 minutes'")

    def look_meanwhile() -> int:
        assert look(checks.late_jobs) is None
        return 0

    jobs.run("test.minutely", look_meanwhile)
    execute("UPDATE core_jobrun SET started_at = now() - interval '17 minutes'")
    assert look(checks.late_jobs) is not None
    PeriodicTask.objects.update(enabled=False)
    PeriodicTask.objects.create(name="b", task="test.never", interval=scheduled.interval)
    assert look(checks.late_jobs) is None


def test_a_long_queue_is_found(database: str, settings: Any) -> None:
    assert checks.queue() is None
    settings.MPS_HEALTH_MAX_QUEUE_DEPTH = -1

    found = checks.queue()

    assert found is not None
    assert set(found.details["waiting"]) == {"celery", "messages"}


def test_redis_away_is_found(settings: Any) -> None:
    assert checks.redis_answers() is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"

        assert checks.redis_answers() == checks.Finding("redis", {"error": "ConnectionError"})
        # Which is one finding, not two.
        assert checks.queue() is None
