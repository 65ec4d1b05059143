"""The frame every job runs in: one at a time, written down, superseded when its process died.

That a killed process's run is superseded is shown with the rotation of codes, in tests/cards.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connections

from mps.base.core import commands, context, jobs
from mps.base.core.db_scope import principal_scope
from mps.base.core.models import JobRun
from tests.concurrency.racing import run_together
from tests.snapshots import execute, fetch


def runs() -> list[tuple[Any, ...]]:
    with principal_scope("platform_admin"):
        return list(JobRun.objects.order_by("id").values_list("name", "outcome", "result", "error"))


def test_a_run_is_written_down_with_its_result(database: str) -> None:
    seen = []

    ran = jobs.run("test.count", lambda: seen.append(context.current().actor) or 7)

    assert ran == jobs.Ran(started=True, result=7)
    assert seen == ["test.count"]
    assert runs() == [("test.count", "ok", 7, "")]
    assert fetch("SELECT finished_at >= started_at FROM core_jobrun")


def test_a_run_that_fails_leaves_the_error_s_class_and_frees_the_name(database: str) -> None:
    def fail() -> None:
        raise ValueError("a secret")

    with pytest.raises(ValueError, match="a secret"):
        jobs.run("test.fail", fail)
    assert jobs.run("test.fail", lambda: {"made": 2}).result == {"made": 2}

    assert runs() == [
        ("test.fail", "failed", None, "ValueError"),
        ("test.fail", "ok", {"made": 2}, ""),
    ]


def test_a_job_fired_many_times_at_once_runs_once(database: str) -> None:
    entered, told = [], threading.Semaphore(0)

    def work() -> int:
        entered.append(1)
        # The others are told at once, while this one is still at it.
        for _ in range(7):
            assert told.acquire(timeout=30)
        return 1

    def fire() -> bool:
        ran = jobs.run("test.once", work)
        if not ran.started:
            told.release()
        return ran.started

    started = run_together([fire] * 8, workers=8)

    assert sorted(started) == [False] * 7 + [True]  # type: ignore[type-var]
    assert len(entered) == 1
    assert runs() == [("test.once", "ok", 1, "")]


def test_without_the_lease_it_would_run_many_times(database: str) -> None:
    execute("DROP INDEX core_jobrun_running")
    execute(
        "CREATE OR REPLACE FUNCTION core_start_job(p_name text, p_lease_seconds integer)"
        " RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS"
        " 'INSERT INTO core_jobrun (name, lease_until) VALUES (p_name, core_now()) RETURNING id'"
    )
    both = threading.Barrier(2)

    started = run_together(
        [lambda: jobs.run("test.once", lambda: both.wait(30)).started] * 2, workers=2
    )

    assert started == [True, True]


def test_jobs_of_other_names_run_beside_it(database: str) -> None:
    def outer() -> bool:
        return jobs.run("test.two", lambda: None).started

    assert jobs.run("test.one", outer).result is True


def test_a_task_is_a_job_and_says_so_when_it_is_running(database: str) -> None:
    @jobs.job("test.task")
    def task() -> Any:
        """Call itself."""
        return again()

    again: Callable[[], Any] = task
    assert task() == "already running"
    assert task.name == "test.task"
    assert runs() == [("test.task", "ok", "already running", "")]


def test_by_hand_it_is_the_same_job(database: str) -> None:
    def work() -> int:
        with pytest.raises(CommandError, match=r"test\.hand is running already"):
            commands.run_job("test.hand", lambda: 2)
        return 1

    assert commands.run_job("test.hand", work) == 1
    assert runs() == [("test.hand", "ok", 1, "")]


def test_a_run_renews_its_lease_while_it_works(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RENEW_SECONDS", 0.01)

    def work() -> bool:
        first = fetch("SELECT lease_until FROM core_jobrun")
        deadline = time.monotonic() + 30
        while fetch("SELECT lease_until FROM core_jobrun") == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return True

    assert jobs.run("test.long", work).result is True


def test_a_run_that_outlived_its_lease_is_superseded(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> str:
        execute("UPDATE core_jobrun SET lease_until = now() - interval '1 second'")
        return str(jobs.run("test.slept", lambda: 2).result)

    assert jobs.run("test.slept", work).result == "2"

    assert runs() == [("test.slept", "unfinished", None, ""), ("test.slept", "ok", 2, "")]
    assert "superseded" in caplog.text


def test_a_long_result_is_left_out(database: str) -> None:
    assert jobs.run("test.wordy", lambda: {"text": "x" * 3000}).started

    assert runs() == [("test.wordy", "ok", None, "")]


def test_a_job_holds_no_database_transaction(database: str) -> None:
    def work() -> int:
        return int(
            fetch(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%%' OR xact_start IS NOT NULL"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    assert jobs.run("test.idle", work).result == 0


def test_only_old_runs_are_purged(database: str) -> None:
    ages = {"good": (8, 6), "failed": (91, 89), "newest": (92, 91)}
    for name, days in ages.items():
        for age in days:
            jobs.run(f"test.{name}", lambda: None)
            execute(
                "UPDATE core_jobrun SET started_at = now() - make_interval(days => %s), error = %s,"
                " outcome = CASE name WHEN 'test.failed' THEN 'failed' ELSE outcome END"
                " WHERE id = (SELECT max(id::text)::uuid FROM core_jobrun)",
                [age, str(age)],
            )
    with principal_scope("platform_admin") as scope:
        old = {run.error for run in jobs.old_runs(scope)}

    assert jobs.purge_runs() == 3

    assert old == {"8", "91", "92"}
    with principal_scope("platform_admin"):
        left = {run.error for run in JobRun.objects.all()}
    assert left == {"6", "89", "91"}


def test_nobody_writes_runs_past_the_frame(database: str) -> None:
    for role in ("mps_web", "merchant_api", "member_app", "platform_admin"):
        assert not fetch(
            "SELECT has_table_privilege(%s, 'core_jobrun', 'INSERT, UPDATE, DELETE')", [role]
        )
    connections["default"].close()
