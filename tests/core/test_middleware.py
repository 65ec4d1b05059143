"""Every request has an id, an address, and a clean end."""

from time import perf_counter
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from mps.base.core import context, errors, middleware
from tests import factories


def answer(request: HttpRequest) -> tuple[HttpResponse, context.Context, dict[str, Any]]:
    """Send a request through; return the response, and what was known while it was answered."""
    seen: list[Any] = []

    def page(request: HttpRequest) -> HttpResponse:
        seen.extend((context.current(), structlog.contextvars.get_contextvars()))
        return HttpResponse()

    response = middleware.RequestContextMiddleware(page)(request)
    return response, seen[0], seen[1]


def test_a_request_gets_an_id_that_the_log_and_the_caller_see() -> None:
    response, acting, logged = answer(RequestFactory().get("/"))
    assert len(acting.request_id) == 32
    assert response["X-Request-ID"] == acting.request_id == logged["request_id"]
    assert (acting.actor_type, acting.actor, acting.address) == ("anonymous", "", "127.0.0.1")


def test_two_requests_have_two_ids_and_leave_nothing_behind() -> None:
    before = context.current()
    first, second = (answer(RequestFactory().get("/"))[1].request_id for _ in range(2))
    assert first != second
    assert context.current() == before
    assert "request_id" not in structlog.contextvars.get_contextvars()


def test_a_sane_id_of_the_caller_is_kept() -> None:
    response, acting, _ = answer(RequestFactory().get("/", headers={"X-Request-ID": "till-7.0001"}))
    assert response["X-Request-ID"] == acting.request_id == "till-7.0001"


@pytest.mark.parametrize(
    "offered", ["short", "x" * 65, "with space", "é" * 10, "a\nb-a\nb-a", "<script>x", "１" * 9]
)
def test_any_other_is_replaced(offered: str) -> None:
    response, _, _ = answer(RequestFactory().get("/", headers={"X-Request-ID": offered}))
    assert response["X-Request-ID"] != offered
    assert len(response["X-Request-ID"]) == 32


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "2001:DB8::1", "2001:db8::1"),
        ("10.0.0.1", "no address", ""),
        ("10.0.0.1", "1.2.3.4\x00", ""),
        ("", "", ""),
    ],
)
def test_forwarding_headers_count_from_a_configured_proxy_only(
    settings: Any, remote: str, forwarded: str, address: str
) -> None:
    settings.MPS_TRUSTED_PROXIES = frozenset({"10.0.0.1"})
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote)
    assert middleware.client_address(request) == address


@pytest.mark.parametrize(
    ("path", "exception", "status"),
    [
        ("/api/v1/x", errors.NotFoundError(), 404),
        ("/rest/v1/x", errors.UnavailableError(), 503),
        ("/api/v1/x", ZeroDivisionError(), None),
        ("/admin/x", errors.NotFoundError(), None),
    ],
)
def test_a_known_refusal_of_a_program_becomes_a_problem(
    path: str, exception: Exception, status: int | None
) -> None:
    outermost = middleware.RequestContextMiddleware(lambda request: HttpResponse())
    response = outermost.process_exception(RequestFactory().get(path), exception)
    assert (response.status_code if response else None) == status


def test_a_request_is_one_line_by_its_route_and_without_what_it_carried(
    database: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    till, key = factories.make_till_and_key()
    member, _ = factories.make_member()
    code = factories.make_code(factories.make_prepaid(member, "1.00"), member)
    caplog.set_level("INFO", logger="mps.requests")
    began = perf_counter()

    client.post(
        "/api/v1/pos/charges",
        {"code": code, "amount": "10.00"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "a-key"},
    )
    client.get("/api/v1/me/cards/PPD00000099")
    client.get("/no/such/secret")

    poor, stranger, unknown = caplog.records
    assert poor.getMessage() == "POST /api/v1/pos/charges"
    assert vars(poor).items() >= {
        ("status", 402),
        ("code", "INSUFFICIENT_BALANCE"),
        ("actor_type", "terminal"),
        ("actor", str(till.terminal_id)),
    }
    assert stranger.getMessage() == "GET /api/v1/me/cards/<str:card_no>"
    assert vars(stranger).items() >= {("status", 401), ("actor_type", "anonymous")}
    assert unknown.getMessage() == "GET no such address"
    for record in caplog.records:
        assert not {"secret", code, key} & set(map(str, vars(record).values()))
    spent = sum(vars(record)["milliseconds"] for record in caplog.records)
    assert 0 < spent <= (perf_counter() - began) * 1000


def test_whoever_watches_is_not_logged_while_all_is_well(
    database: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="mps.requests")

    assert client.get("/healthz").status_code == 200
    assert client.get("/static/pages/common/base.css").status_code == 200
    assert caplog.records == []
    assert client.post("/healthz").status_code == 405

    assert [each.getMessage() for each in caplog.records] == ["POST /healthz"]
