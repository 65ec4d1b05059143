"""Health, and what is shown where nothing else answers."""

import socket
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import connection, connections
from django.test import Client, RequestFactory

from mps.base.core import error_pages


def test_the_process_lives_without_asking_anybody(client: Any) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_when_database_and_redis_are(database: str, client: Any) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "redis": "ok"}


@pytest.fixture
def closed_port() -> Any:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_not_ready_without_the_database(
    database: str, client: Any, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    with monkeypatch.context() as patch:
        connection.close()
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", closed_port)
        response = client.get("/readyz")
        connection.close()
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "not reachable", "redis": "ok"}


def test_not_ready_without_redis(
    database: str, client: Any, settings: Any, closed_port: int
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{closed_port}/0"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["redis"] == "not reachable"


def test_not_ready_before_migrations(database: str, client: Any) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'payments'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"].startswith("migrations are missing")


def test_not_ready_when_partitions_run_out(database: str, client: Any) -> None:
    # One table, one month: later months are of no use before it.
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY\"m\"MM')"
        )
        month = cursor.fetchone()[0]
        cursor.execute(f"ALTER TABLE ledger_entry DETACH PARTITION ledger_entry_y{month}")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"].startswith("partitions run out")


@pytest.mark.parametrize(
    ("page", "exception", "status", "code"),
    [
        (error_pages.not_found, Exception(), 404, "NOT_FOUND"),
        (error_pages.bad_request, SuspiciousOperation(), 400, "INVALID_REQUEST"),
        (error_pages.bad_request, RequestDataTooBig(), 413, "PAYLOAD_TOO_LARGE"),
        (error_pages.permission_denied, PermissionDenied(), 403, "PERMISSION_DENIED"),
    ],
)
def test_programs_get_problems_and_people_get_pages(
    page: Any, exception: Exception, status: int, code: str
) -> None:
    for_program = page(RequestFactory().get("/api/v1/x"), exception)
    assert for_program.status_code == status
    assert for_program["Content-Type"] == "application/problem+json"
    assert f'"code":"{code}"'.encode() in for_program.content
    for_person = page(RequestFactory().get("/x"), exception)
    assert for_person["Content-Type"].startswith("text/html")
    assert 400 <= for_person.status_code < 500


def test_a_defect_tells_nothing() -> None:
    for_program = error_pages.server_error(RequestFactory().get("/api/v1/x"))
    assert (for_program.status_code, for_program["Content-Type"]) == (
        500,
        "application/problem+json",
    )
    assert b'"code":"INTERNAL_ERROR"' in for_program.content
    for_person = error_pages.server_error(RequestFactory().get("/x"))
    assert for_person.status_code == 500
    assert b"Something went wrong on our side" in for_person.content


@pytest.mark.parametrize(
    ("language", "missing", "too_old"),
    [
        ("en", "Page not found", "This form has expired"),
        ("zh-hant", "找不到這個頁面", "這份表單已過期"),
    ],
)
def test_people_are_told_in_their_language_what_is_wrong(
    language: str, missing: str, too_old: str
) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Accept-Language": language})

    not_found = client.get("/walet/")
    refused = client.post("/i18n/setlang/", {"language": "en"})

    assert (not_found.status_code, refused.status_code) == (404, 403)
    for answer, title in ((not_found, missing), (refused, too_old)):
        assert f"<h1>{title}</h1>" in answer.content.decode()
        assert 'role="button" href="/"' in answer.content.decode()


def test_a_host_we_do_not_serve_is_a_bad_request(database: str, client: Any) -> None:
    response = client.get("/api/v1/me", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/wallet", "/pos", "/shop", "/admin", "/api/docs", "/api/schema"])
def test_a_page_is_found_without_its_last_slash(client: Any, path: str) -> None:
    led = client.get(f"{path}?lang=en&x=%2F")
    sent = client.post(path, {"amount": "1.00"})

    assert (led.status_code, led["Location"]) == (301, f"{path}/?lang=en&x=%2F")
    assert client.head(path).status_code == 301
    # What is sent is never sent on.
    assert sent.status_code == 405
    assert "Location" not in sent.headers


def test_an_endpoint_has_one_address(client: Any) -> None:
    for path in ("/api/v1/pos/charges/", "/api/v1/auth/login/", "/rest/v1/rpc/freeze_card/"):
        assert client.post(path, "{}", "application/json").status_code in {401, 404}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_check_is_only_read(path: str) -> None:
    # As from outside, where a form's token is asked for.
    refused = Client(enforce_csrf_checks=True).post(path, {"a": "1"})

    assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "METHOD_NOT_ALLOWED"
