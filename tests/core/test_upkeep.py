"""Jobs that keep the database in shape: partitions, purges, the archive, and their schedule."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from celery.schedules import crontab, schedule
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django_celery_beat.models import IntervalSchedule, PeriodicTask

import members.tasks
import mps.base.core.tasks
import payments.tasks
from members import retention as members_upkeep
from members import services as members_services
from mps.base.core import invariants, jobs, retention
from mps.base.core.scheduling import Scheduler
from mps.celery import app
from payments import refunds
from payments import retention as payments_upkeep
from tests import factories
from tests.core import test_partitions
from tests.core.test_partitions import PARTITIONED, children
from tests.snapshots import execute, fetch, last_event


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


# --- partitions -----------------------------------------------------------------------------------


def test_job_make_partitions_makes_the_missing_months_guarded_as_all(database: str) -> None:
    tables = fetch("SELECT count(*) FROM pg_partitioned_table")
    for parent in PARTITIONED:
        for month in (children(parent)[0], children(parent)[-1]):
            execute(f"DROP TABLE {month}")
    assert fetch("SELECT partition_months_ahead()") == 3

    # As the web's login, which owns nothing. Last month is not made again.
    assert mps.base.core.tasks.make_partitions() == len(PARTITIONED) <= tables

    assert fetch("SELECT partition_months_ahead()") == 4
    assert fetch(
        "SELECT bool_and(relowner = 'mps_owner'::regrole) FROM pg_class WHERE relkind = 'r'"
        " AND relispartition"
    )
    for parent in PARTITIONED:
        execute(f"DROP TABLE {children(parent)[0]}")
    test_partitions.test_a_partition_has_all_that_guards_its_table(database)
    assert run("make_partitions") == f"{len(PARTITIONED)} partitions made.\n"
    assert run("make_partitions") == "0 partitions made.\n"
    for role in ("mps_web", "merchant_api", "member_app"):
        assert not fetch(
            "SELECT has_function_privilege(%s, 'core_make_partitions()', 'EXECUTE')", [role]
        )


# --- the archive ----------------------------------------------------------------------------------


@contextmanager
def ago(span: timedelta) -> Iterator[None]:
    """Let what the services do in the block have happened so long ago: as the owner, who may."""
    usual = connections[DEFAULT_DB_ALIAS]
    owner = connections.create_connection("owner")
    owner.settings_dict = connections["owner"].settings_dict
    owner.alias = DEFAULT_DB_ALIAS
    connections[DEFAULT_DB_ALIAS] = owner
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('mps.clock_shift', %s, false)", [f"-{span.days} days"]
            )
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = usual
        owner.close()


@pytest.fixture
def old_payment(database: str) -> Any:
    """A payment of 100.00, made 14 months ago at a shop's till; returns the till and its number."""
    span = timedelta(days=425)
    for table in PARTITIONED:
        execute("SELECT make_partition(%s::regclass, (now() - %s)::date)", [table, span])
    with ago(span):
        member, _ = factories.make_member()
        card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
        till = factories.make_till()
        paid = factories.charge(till, factories.make_code(card, member), "100.00")
        assert paid.status == 201
    return till, paid.body["tx_no"]


def where_is(tx_no: str) -> str:
    return str(
        fetch(
            "SELECT n.nspname FROM payments_transaction t JOIN pg_class c ON c.oid = t.tableoid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE tx_no = %s",
            [tx_no],
        )
    )


def test_job_archive_transactions_moves_whole_old_months_that_stay_in_sight(
    old_payment: Any,
) -> None:
    till, tx_no = old_payment
    would_move = run("archive_transactions", "--dry-run")
    [month] = re.findall(r"^(payments_transaction_y\d{4}m\d\d) would be moved$", would_move, re.M)
    seen = "SELECT md5(string_agg(t::text, ';' ORDER BY tx_id)) FROM report.transactions t"
    before = fetch(seen)
    assert where_is(tx_no) == "public"

    assert payments.tasks.archive_transactions() == {"moved": [month]}

    assert where_is(tx_no) == "archive"
    assert last_event()[0] == "TRANSACTIONS_ARCHIVED"
    assert fetch(seen) == before
    assert invariants.check() == []
    # Only transactions move, and only what is older than a year.
    assert fetch("SELECT count(*) FROM pg_tables WHERE schemaname = 'archive'") == 1
    assert payments.tasks.archive_transactions() == {"moved": []}
    assert run("archive_transactions") == "0 moved.\n"
    assert run("archive_transactions", "--dry-run") == "Nothing is old enough.\n"
    # A late refund finds its payment, and is one of today.
    refunded = refunds.refund_payment(
        till=till, tx_no=tx_no, amount=Decimal("30.00"), idempotency_key=factories.new_key()
    )
    assert (refunded.status, refunded.body["remaining"]) == (201, "70.00")
    assert where_is(refunded.body["tx_no"]) == "public"
    # Nobody goes to the archive round the parent.
    for role in ("mps_web", "merchant_api", "member_app", "platform_admin", "mps_report"):
        assert not fetch(
            "SELECT has_table_privilege(%s, %s, 'SELECT, INSERT, UPDATE, DELETE')",
            [role, f"archive.{month}"],
        )
    # A year ago to the day, the month is not over.
    execute("SELECT make_partition('payments_transaction', (now() - interval '1 year')::date)")
    assert payments_upkeep.find_archivable() == []


def test_an_archive_that_is_being_read_waits_for_the_next_run(old_payment: Any) -> None:
    _till, tx_no = old_payment
    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT count(*) FROM payments_transaction")
        with pytest.raises(CommandError, match="busy"):
            run("archive_transactions")
        cursor.execute("ROLLBACK")
    assert where_is(tx_no) == "public"

    assert len(payments.tasks.archive_transactions()["moved"]) == 1


# --- purges ---------------------------------------------------------------------------------------


def test_job_purge_forgets_sessions_that_ran_out_and_old_runs(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for seconds in (-1, -5, -9, 3600):
        session = SessionStore()
        session.set_expiry(seconds)
        session.create()
    for _ in range(2):
        jobs.run("test.old", lambda: None)
    execute("UPDATE core_jobrun SET started_at = now() - interval '91 days'")
    assert run("purge", "--dry-run") == "4 would be deleted.\n"

    assert mps.base.core.tasks.purge() == 4

    assert Session.objects.count() == 1
    left = fetch("SELECT array_agg(name::text ORDER BY name) FROM core_jobrun")
    assert left == ["core.purge", "test.old"]
    assert run("purge") == "0 deleted.\n"


def test_job_purge_tokens_forgets_sign_ins_that_ran_out_long_ago(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    member, _ = factories.make_member()
    for days in (31, 32, 33, 29, -1):
        members_services.issue_token(user_id=member.user_id)
        execute(
            "UPDATE members_membertoken SET expires_at = now() - make_interval(days => %s)"
            " WHERE id = (SELECT id FROM members_membertoken ORDER BY created_at DESC LIMIT 1)",
            [days],
        )
    assert run("purge_tokens", "--dry-run") == "3 would be deleted.\n"
    assert list(members_upkeep.purge_tokens()) == [2, 3]
    assert members.tasks.purge_tokens() == 0
    assert run("purge_tokens") == "0 deleted.\n"

    assert fetch("SELECT count(*) FROM members_membertoken") == 2


def test_job_purge_idempotency_forgets_answers_older_than_30_days(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for days in (29, 31, 31, 31, 400):
        execute(
            "INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body,"
            " created_at) VALUES (%s, 'K', '', 200, '{}', now() - make_interval(days => %s))",
            [uuid.uuid4(), days],
        )
    assert run("purge_idempotency", "--dry-run") == "4 would be deleted.\n"

    assert payments.tasks.purge_idempotency() == 4

    assert fetch("SELECT count(*) FROM payments_idempotency") == 1
    assert run("purge_idempotency") == "0 deleted.\n"
    execute("TRUNCATE payments_idempotency")


def test_an_order_stays_paid_when_its_key_is_forgotten(database: str) -> None:
    member, card = factories.make_member()
    till = factories.make_till()
    fields = {"payment_method": "cash", "external_order_id": "ORDER-1"}
    first = factories.charge(till, factories.make_code(card, member), "10.00", **fields)
    execute("UPDATE payments_idempotency SET created_at = now() - interval '31 days'")
    assert payments.tasks.purge_idempotency() == 1

    again = factories.charge(till, factories.make_code(card, member), "10.00", **fields)

    assert again.body["tx_no"] == first.body["tx_no"]
    assert fetch("SELECT count(*) FROM payments_transaction") == 1


def test_nobody_deletes_past_the_purges(database: str) -> None:
    for role in ("mps_web", "merchant_api", "member_app", "platform_admin"):
        for table in ("payments_idempotency", "members_membertoken", "core_jobrun"):
            assert not fetch("SELECT has_table_privilege(%s, %s, 'DELETE')", [role, table])


# --- the schedule ---------------------------------------------------------------------------------


def start_beat() -> None:
    """Do what beat does to its schedule when it starts."""
    Scheduler(app=app)


def test_every_job_is_scheduled_and_is_a_task(database: str) -> None:
    app.loader.import_default_modules()
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"] in app.tasks, name
    assert {
        "cards.rotate_codes": 300.0,
        "core.make_partitions": "daily",
        "core.purge": "daily",
        "members.purge_tokens": "daily",
        "payments.purge_idempotency": "daily",
        "payments.archive_transactions": "weekly",
        "cards.drop_code_history": "weekly",
    }.items() <= {
        entry["task"]: how_often(entry["schedule"]) for entry in app.conf.beat_schedule.values()
    }.items()

    start_beat()

    assert set(PeriodicTask.objects.values_list("name", flat=True)) == set(app.conf.beat_schedule)


def how_often(when: Any) -> Any:
    if not isinstance(when, crontab):
        return when
    return "daily" if len(when.day_of_week) == 7 else "weekly"


def test_what_staff_change_outlives_a_start_of_beat(database: str) -> None:
    start_beat()
    rotate = PeriodicTask.objects.get(task="cards.rotate_codes")
    rotate.interval, _ = IntervalSchedule.objects.get_or_create(every=7, period="minutes")
    rotate.save()
    PeriodicTask.objects.filter(task="core.purge").update(enabled=False)

    scheduler = Scheduler(app=app)

    assert scheduler.schedule[rotate.name].schedule == schedule(timedelta(minutes=7))
    assert "purge sessions and job runs" not in scheduler.schedule
    rotate.refresh_from_db()
    assert rotate.interval.every == 7


def test_the_framework_s_own_scheduler_would_take_it_back(database: str) -> None:
    start_beat()
    rotate = PeriodicTask.objects.get(task="cards.rotate_codes")
    rotate.interval, _ = IntervalSchedule.objects.get_or_create(every=7, period="minutes")
    rotate.save()

    Scheduler.__bases__[0](app=app)

    rotate.refresh_from_db()
    assert rotate.interval.every == 300
