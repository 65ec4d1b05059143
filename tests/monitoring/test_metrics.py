"""`/metrics` says what happened, to those who may know."""

import json
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from prometheus_client.parser import text_string_to_metric_families

from mps.base.core import jobs
from mps.launcher import __main__ as launcher
from mps.product.monitoring import metrics, selectors, services
from mps.product.monitoring.middleware import ChargeLatencyMiddleware
from tests import factories
from tests.servers_http import serve
from tests.snapshots import execute, fetch, outcome

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was read before."""
    monkeypatch.setattr(metrics, "CACHE_SECONDS", 0.0)


def read(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape() -> Figures:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return read(answer.content.decode())


def of(figures: Figures, name: str, **labels: str) -> float | None:
    return figures.get((name, tuple(sorted(labels.items()))))


def test_charges_and_codes_are_counted_by_what_became_of_them(shop: SimpleNamespace) -> None:
    for _ in range(3):
        shop.pay()
    shop.pay("5000.00")
    code = factories.make_code(shop.standard, shop.member)
    shop.pay()
    execute("UPDATE cards_paymentcode SET expires_at = now() WHERE ended_at IS NULL")
    assert outcome(lambda: factories.charge(shop.till, code, "1.00")) == "QR_EXPIRED_OR_INVALID"

    first = scrape()
    services.check_health()
    second = scrape()

    for figures in (first, second):
        assert of(figures, "mps_charges_total", outcome="completed") == 4
        assert of(figures, "mps_charges_total", outcome="QR_EXPIRED_OR_INVALID") == 1
        assert of(figures, "mps_charges_total", outcome="INSUFFICIENT_BALANCE") == 1
        assert of(figures, "mps_codes_issued_total") == 6
        assert of(figures, "mps_codes_used_total") == 5
        assert of(figures, "mps_codes_expired_total") == 1


def test_counters_go_on_where_they_were_counted_to(shop: SimpleNamespace) -> None:
    shop.pay()
    # As if two minutes had passed: what was counted is counted no more.
    execute(
        "CREATE OR REPLACE FUNCTION core_now() RETURNS timestamptz LANGUAGE sql STABLE"
        " AS 'SELECT now() + interval ''3 minutes'''"
    )
    for _ in range(2):
        services._count()
    assert fetch("SELECT total FROM monitoring_counter WHERE metric = 'charges'") == 1
    assert of(scrape(), "mps_charges_total", outcome="completed") == 1


def test_lags_jobs_queue_and_incidents_are_shown(shop: SimpleNamespace) -> None:
    with selectors.redis_client() as client:
        client.delete("celery")
    every = IntervalSchedule.objects.create(every=60, period="seconds")
    PeriodicTask.objects.create(name="a test", task="test.minutely", interval=every)
    jobs.run("test.minutely", lambda: None)
    execute("UPDATE core_jobrun SET started_at = now() - interval '17 minutes'")
    services.check_health()
    execute("UPDATE payments_unclaimed SET created_at = now() - interval '33 days'")

    figures = scrape()

    execute("UPDATE payments_unclaimed SET created_at = now()")
    assert of(figures, "mps_incident_open", kind="jobs") == 1
    assert (of(figures, "mps_job_overdue_seconds", job="test.minutely") or 0) > 900
    assert (of(figures, "mps_job_last_success_age_seconds", job="test.minutely") or 0) > 1000
    assert of(figures, "mps_job_failed", job="test.minutely") == 0
    assert of(figures, "mps_queue_depth", queue="celery") is not None
    assert of(figures, "mps_settlement_waiting") == 0
    assert of(figures, "mps_webhook_lag_seconds") == 0
    assert (of(figures, "mps_audit_seal_waiting") or 0) > 0
    assert (of(figures, "mps_partition_months_ahead") or 0) >= 3
    sources = [*metrics.OF_DATABASE, *metrics.OF_REDIS]
    for source in sources:
        assert of(figures, "mps_source_up", source=source.__name__) == 1


def test_one_source_that_fails_spoils_no_other(shop: SimpleNamespace) -> None:
    execute("REVOKE SELECT ON audit_unsealed FROM platform_admin")

    figures = scrape()

    assert of(figures, "mps_source_up", source="audit_seal") == 0
    assert of(figures, "mps_audit_seal_waiting") is None
    assert of(figures, "mps_source_up", source="partitions") == 1
    assert of(figures, "mps_charges_total", outcome="completed") == 0


def test_without_database_and_redis_it_still_answers(
    database: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with monkeypatch.context() as patch:
        connection.close()
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", 1)
        figures = scrape()
        connection.close()

    sources = [*metrics.OF_DATABASE, *metrics.OF_REDIS]
    assert {of(figures, "mps_source_up", source=each.__name__) for each in sources} == {0.0}


def test_a_reading_serves_for_a_while(
    shop: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrape()
    monkeypatch.setattr(metrics, "CACHE_SECONDS", 3600.0)
    shop.pay()

    assert of(scrape(), "mps_charges_total", outcome="completed") == 0
    monkeypatch.setattr(metrics, "CACHE_SECONDS", 0.0)
    assert of(scrape(), "mps_charges_total", outcome="completed") == 1


def test_queues_are_measured_in_redis() -> None:
    with selectors.redis_client() as client:
        assert isinstance(client, redis.Redis)
        # The other tests leave messages in the queue that nobody works on.
        client.delete("celery")
        client.rpush("celery", "x", "y")
        try:
            assert selectors.queue_depths()["celery"] == 2
        finally:
            client.delete("celery")


def test_every_queue_is_measured_and_has_a_worker_wherever_mps_runs(
    settings: Any, tmp_path: Path
) -> None:
    queues = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    assert set(selectors.queue_depths()) == {"celery", *queues}
    started = launcher._application(
        {"MPS_DATA_DIR": str(tmp_path)}, host="127.0.0.1", port=1, workers=1
    )
    commands = [" ".join(process.argv) for process in started]
    for queue in queues:
        assert any(f"--queues {queue} " in command for command in commands)
        for file in ("compose.yaml", "docs/operations.md"):
            assert f"worker --queues {queue} " in (settings.BASE_DIR / file).read_text("utf-8")


# --- who may see them ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "192.0.2.7"}, 403),
        ({"REMOTE_ADDR": "nonsense"}, 403),
        # A proxy on this machine speaks for somebody else.
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        ({"HTTP_FORWARDED": "for=192.0.2.7"}, 403),
        ({"HTTP_AUTHORIZATION": "Bearer "}, 200),
    ],
)
def test_without_a_token_only_this_machine_sees_them(
    request_of: dict[str, str], status: int
) -> None:
    assert Client(**request_of).get("/metrics").status_code == status


def test_the_token_lets_anybody_in_and_a_wrong_one_nobody(settings: Any) -> None:
    settings.MPS_METRICS_TOKEN = "a-token-for-scrapers"
    far = {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}
    for header, status in (
        ("Bearer a-token-for-scrapers", 200),
        ("bearer a-token-for-scrapers", 200),
        ("Bearer a-token-for-scraper", 403),
        ("Bearer ", 403),
        ("Basic a-token-for-scrapers", 403),
        ("", 403),
    ):
        assert Client(**far, HTTP_AUTHORIZATION=header).get("/metrics").status_code == status
    assert Client(HTTP_AUTHORIZATION="Bearer wrong").get("/metrics").status_code == 403
    assert Client().get("/metrics").status_code == 200


def test_behind_tls_the_token_is_the_only_way_in(settings: Any) -> None:
    settings.MPS_METRICS_TOKEN = "a-token-for-scrapers"
    settings.SECURE_SSL_REDIRECT = True

    assert Client().get("/metrics").status_code == 403
    token = {"HTTP_AUTHORIZATION": "Bearer a-token-for-scrapers"}
    assert Client(**token).get("/metrics").status_code == 200


def test_it_is_only_read() -> None:
    assert Client().post("/metrics").status_code == 405


# --- over HTTP, with several web processes -------------------------------------------------------


@pytest.mark.long
def test_all_web_processes_behind_a_port_count_together(
    shop: SimpleNamespace, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "metrics"

    def get(url: str) -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def charge(url: str) -> None:
        code = factories.make_code(shop.card, shop.member)
        request = urllib.request.Request(
            f"{url}/api/v1/pos/charges",
            data=json.dumps({"code": code, "amount": "1.00"}).encode(),
            headers={
                "Authorization": f"Bearer {shop.key}",
                "Idempotency-Key": factories.new_key(),
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201

    with serve(
        database, tmp_path / "web.log", workers=2, PROMETHEUS_MULTIPROC_DIR=str(folder)
    ) as url:
        for _ in range(12):
            charge(url)
        # Whichever process answers.
        pages = [read(get(f"{url}/metrics")) for _ in range(4)]

    for figures in pages:
        counted = of(figures, "mps_charge_seconds_count", door="pos", status="2xx")
        assert counted == 12
        assert of(figures, "mps_charge_seconds_bucket", door="pos", status="2xx", le="+Inf") == 12
        assert of(figures, "mps_charges_total", outcome="completed") == 12
    assert len(list(folder.glob("histogram_*.db"))) >= 2


def test_charges_are_timed_by_what_they_were_answered_and_nothing_else_is() -> None:
    answers = iter([201, 402, 503, 200, 200])
    timed = ChargeLatencyMiddleware(lambda _request: HttpResponse(status=next(answers)))
    ask = RequestFactory()
    before = scrape()
    for request in (
        ask.post("/api/v1/pos/charges"),
        ask.post("/api/v1/pos/charges"),
        ask.post("/rest/v1/rpc/merchant_charge_by_qr"),
        ask.get("/api/v1/pos/charges"),
        ask.post("/api/v1/pos/charges/PAY0000000001/refunds"),
    ):
        timed(request)
    after = scrape()

    moved = {
        dict(labels)["door"] + dict(labels)["status"]: value - before.get((name, labels), 0)
        for (name, labels), value in after.items()
        if name == "mps_charge_seconds_count" and value != before.get((name, labels), 0)
    }
    assert moved == {"pos2xx": 1, "pos4xx": 1, "rpc5xx": 1}
