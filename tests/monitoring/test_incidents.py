"""Once per incident, and once at its end, whoever fires and whoever dies."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection

from mps.base.core import jobs
from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import InvalidRequestError, NotFoundError
from mps.product.monitoring import alerts, outages, services, tasks
from mps.product.monitoring.models import Incident
from tests.concurrency.racing import run_together
from tests.monitoring.conftest import Receiver
from tests.servers import ROOT
from tests.snapshots import execute, fetch, last_event, snapshot


@pytest.fixture
def partitions_run_out(database: str) -> None:
    """Something is wrong."""
    execute(
        "CREATE OR REPLACE FUNCTION partition_months_ahead() RETURNS integer"
        " LANGUAGE sql AS 'SELECT 1'"
    )


def mend() -> None:
    execute(
        "CREATE OR REPLACE FUNCTION partition_months_ahead() RETURNS integer"
        " LANGUAGE sql AS 'SELECT 4'"
    )


def incidents() -> list[Incident]:
    with principal_scope("platform_admin"):
        return list(Incident.objects.order_by("id"))


def test_all_is_well(database: str, receiver: Receiver) -> None:
    assert services.check_health() == []

    assert incidents() == []
    assert receiver.events == []


def test_an_incident_is_told_once_and_so_is_its_end(
    partitions_run_out: None, receiver: Receiver
) -> None:
    for _ in range(3):
        assert [finding.kind for finding in services.check_health()] == ["partitions"]

    [incident] = incidents()
    assert (incident.kind, incident.closed_at, incident.told) == (
        "partitions",
        None,
        ["opened:log", "opened:webhook"],
    )
    assert incident.notified_at is not None
    assert incident.last_seen_at > incident.opened_at
    assert receiver.events == [("incident.opened", "partitions")]

    mend()
    for _ in range(3):
        assert services.check_health() == []

    [incident] = incidents()
    assert incident.closed_at is not None
    assert incident.resolution_notified_at is not None
    assert receiver.events[1:] == [("incident.closed", "partitions")]


def test_a_second_incident_of_a_kind_is_told_anew(
    partitions_run_out: None, receiver: Receiver
) -> None:
    services.check_health()
    mend()
    services.check_health()
    execute(
        "CREATE OR REPLACE FUNCTION partition_months_ahead() RETURNS integer"
        " LANGUAGE sql AS 'SELECT 0'"
    )
    services.check_health()

    assert len(incidents()) == 2
    assert [event for event, _kind in receiver.events] == [
        "incident.opened",
        "incident.closed",
        "incident.opened",
    ]


def test_fired_ten_times_at_once_it_is_told_once(
    partitions_run_out: None, receiver: Receiver
) -> None:
    run_together([services.check_health] * 10, workers=10)

    assert len(incidents()) == 1
    assert receiver.events == [("incident.opened", "partitions")]


def test_without_the_lease_it_is_told_many_times(
    partitions_run_out: None, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(incident_id: Any) -> Incident:
        with principal_scope("platform_admin"):
            return Incident.objects.get(id=incident_id)

    monkeypatch.setattr(services, "_claim", take)
    monkeypatch.setattr(alerts, "is_told", lambda _phase, _told: False)
    monkeypatch.setattr(alerts, "tell", lambda alert, told: alerts_sent(alert))
    run_together([services.check_health] * 10, workers=10)

    assert len(receiver.events) > 1


def alerts_sent(alert: alerts.Alert) -> set[str]:
    alerts.channels()["webhook"](alert)
    return set()


def test_without_the_unique_index_it_is_opened_many_times(
    partitions_run_out: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute("DROP INDEX monitoring_incident_one_open_of_a_kind")

    def open_blindly(_scope: Any, finding: Any) -> None:
        Incident.objects.create(kind=finding.kind, details={})

    monkeypatch.setattr(services, "_open", open_blindly)
    run_together([services.check_health] * 10, workers=10)

    assert len(incidents()) > 1


def test_killed_between_opening_and_telling_the_next_tells(
    partitions_run_out: None, database: str, receiver: Receiver
) -> None:
    script = (
        "import django, os, signal; django.setup()\n"
        "from django.db import connections\n"
        f"connections['default'].settings_dict['NAME'] = {database!r}\n"
        "from mps.product.monitoring import alerts, services\n"
        "alerts.tell = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "services.check_health()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "MPS_ALERT_WEBHOOK_URL": receiver.url},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    [incident] = incidents()
    assert incident.notified_at is None

    # Somebody may still be telling, until the lease has run out.
    services.check_health()
    assert receiver.events == []
    execute("UPDATE monitoring_incident SET claimed_until = now()")
    services.check_health()

    assert receiver.events == [("incident.opened", "partitions")]


def test_a_check_that_cannot_be_made_is_an_incident_and_the_others_are_made(
    partitions_run_out: None, receiver: Receiver
) -> None:
    execute("REVOKE SELECT ON audit_unsealed FROM platform_admin")

    kinds = [finding.kind for finding in services.check_health()]

    assert sorted(kinds) == ["check_failed", "partitions"]
    [details] = [each.details for each in incidents() if each.kind == "check_failed"]
    assert details == {"checks": [{"check": "audit_unsealed", "error": "ProgrammingError"}]}


# --- the database, or Redis, is away -------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def away(database: str, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> Iterator[Any]:
    """A database that can be sent away, and comes back."""
    patch = pytest.MonkeyPatch()

    def go() -> None:
        connection.close()
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", closed_port)

    def come_back() -> None:
        connection.close()
        patch.undo()

    yield SimpleNamespace(go=go, come_back=come_back)
    come_back()
    outages.forget()


@pytest.mark.parametrize("redis_too", [False, True])
def test_a_database_that_is_away_is_told_once_and_so_is_its_return(
    away: Any, receiver: Receiver, settings: Any, closed_port: int, redis_too: bool
) -> None:
    if redis_too:
        settings.REDIS_URL = f"redis://127.0.0.1:{closed_port}/0"
    away.go()
    for _ in range(3):
        assert services.check_health()[0].kind == "database"
    assert receiver.events == [("incident.opened", "database")]

    away.come_back()
    for _ in range(3):
        assert "database" not in {finding.kind for finding in services.check_health()}

    assert [event for event in receiver.events if event[1] == "database"] == [
        ("incident.opened", "database"),
        ("incident.closed", "database"),
    ]
    [incident] = [each for each in incidents() if each.kind == "database"]
    assert incident.closed_at is not None
    assert incident.opened_at < incident.closed_at


def test_who_is_killed_while_telling_of_the_outage_leaves_it_to_the_next(
    away: Any, receiver: Receiver
) -> None:
    away.go()
    assert outages.claim() is not None
    services.check_health()
    assert receiver.events == []

    outages.forget()
    services.check_health()

    assert receiver.events == [("incident.opened", "database")]


def test_the_job_runs_also_when_it_cannot_be_written_down(away: Any, receiver: Receiver) -> None:
    away.go()

    assert tasks.check_health() == ["database"]

    assert receiver.events == [("incident.opened", "database")]


def test_redis_away_is_told_once(
    database: str, receiver: Receiver, settings: Any, closed_port: int
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{closed_port}/0"
    for _ in range(2):
        services.check_health()

    assert receiver.events == [("incident.opened", "redis")]


# --- job, command, staff -------------------------------------------------------------------------


def test_the_job_is_written_down(partitions_run_out: None) -> None:
    assert tasks.check_health() == ["partitions"]

    assert fetch("SELECT result::text FROM core_jobrun") == '{"findings": ["partitions"]}'


def test_the_command_says_what_is_wrong(
    partitions_run_out: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="1 findings"):
        call_command("check_health")
    assert capsys.readouterr().err == 'partitions: {"months_ahead": 1}\n'

    mend()
    call_command("check_health")
    assert capsys.readouterr().out == "All is well.\n"


def test_the_command_leaves_a_running_job_alone(database: str) -> None:
    def again() -> int:
        with pytest.raises(CommandError, match="running already"):
            call_command("check_health")
        return 0

    assert jobs.run("monitoring.check_health", again).started


def test_staff_close_an_incident_with_a_reason(
    partitions_run_out: None, receiver: Receiver
) -> None:
    services.check_health()
    [incident] = incidents()

    for _ in range(2):
        services.close_incident(incident_id=incident.id, reason="known")

    assert fetch("SELECT count(*) FROM audit_event WHERE action = 'INCIDENT_CLOSED'") == 1
    mend()
    services.check_health()
    assert [event for event, _kind in receiver.events] == ["incident.opened", "incident.closed"]


def test_closing_what_is_not_there_is_refused(database: str) -> None:
    before = snapshot()
    with pytest.raises(NotFoundError):
        services.close_incident(incident_id=fetch("SELECT uuidv7()"), reason="known")

    assert last_event()[:2] == ("INCIDENT_CLOSE_REFUSED", "NOT_FOUND")
    for reason in ("", "x" * 201, "two\nlines"):
        with pytest.raises(InvalidRequestError):
            services.close_incident(incident_id=fetch("SELECT uuidv7()"), reason=reason)
    assert snapshot().value == before.value
    assert mail.outbox == []
