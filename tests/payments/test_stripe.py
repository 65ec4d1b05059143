"""Stripe Checkout by Stripe's own library, against a stand-in on this machine.

The stand-in answers what Stripe documents; callbacks are signed here, independently of the library,
with a secret made for the test.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from cards.models import Card
from cards.selectors import balances_of
from mps.base.core.errors import InvalidAmountError
from payments import topup_comparison, topup_confirmations
from payments.models import TopUp
from payments.providers import stripe_checkout
from tests import factories
from tests.payments.topups import fresh, send, start
from tests.snapshots import fetch, outcome, snapshot


class StandIn:
    """What Stripe does for us: makes sessions, shows one, lists them. Keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], dict[str, list[str]]]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.error: tuple[int, dict[str, Any]] | None = None
        self.page_size = 100
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, "")

            def do_POST(self) -> None:
                outer.answer(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: str) -> None:
        url = urlsplit(handler.path)
        asked = parse_qs(body or url.query)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((handler.command, url.path, headers, asked))
        status, said = self.error or self.say(handler.command, url.path, headers, asked)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Stripe-Should-Retry", "false")
        handler.end_headers()
        handler.wfile.write(json.dumps(said).encode())

    def say(
        self, method: str, path: str, headers: dict[str, str], asked: dict[str, list[str]]
    ) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            made = self.by_key.setdefault(headers["idempotency-key"], f"cs_{secrets.token_hex(30)}")
            self.sessions.setdefault(made, self.session(made, asked))
            return 200, self.sessions[made]
        if path == "/v1/checkout/sessions":
            after = asked.get("starting_after", [""])[0]
            all_of_them = list(self.sessions.values())
            start = [each["id"] for each in all_of_them].index(after) + 1 if after else 0
            page = all_of_them[start : start + self.page_size]
            more = start + self.page_size < len(all_of_them)
            return 200, {"object": "list", "data": page, "has_more": more, "url": path}
        session = self.sessions.get(path.rsplit("/", 1)[1])
        if session is None:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}
            return 404, {"error": error}
        return 200, session

    def session(self, name: str, asked: dict[str, list[str]]) -> dict[str, Any]:
        return {
            "object": "checkout.session",
            "id": name,
            "url": f"https://checkout.stripe.com/c/pay/{name}",
            "client_reference_id": asked["client_reference_id"][0],
            "metadata": {"mps": asked["metadata[mps]"][0]},
            "amount_total": int(asked["line_items[0][price_data][unit_amount]"][0]),
            "currency": asked["line_items[0][price_data][currency]"][0],
            "created": int(time.time()),
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
        }

    def pay(self, top_up: TopUp, **fields: Any) -> dict[str, Any]:
        """Let a payer pay a session; return it."""
        session = self.sessions[top_up.reference]
        session.update(
            status="complete",
            payment_status="paid",
            payment_intent=f"pi_{secrets.token_hex(12)}",
            **fields,
        )
        return session


@pytest.fixture
def stripe_api(settings: Any) -> Iterator[StandIn]:
    """A stand-in, and an installation that works with it."""
    stand_in = StandIn()
    settings.MPS_TOPUP_PROVIDERS = ["stripe"]
    settings.MPS_STRIPE_SECRET_KEY = f"sk_test_{secrets.token_hex(12)}"
    settings.MPS_STRIPE_WEBHOOK_SECRET = f"whsec_{secrets.token_hex(16)}"
    settings.MPS_STRIPE_API_BASE = stand_in.url
    yield stand_in
    stand_in.stop()


@pytest.fixture
def owner(database: str) -> Any:
    return factories.make_member()[0]


@pytest.fixture
def card(owner: Any) -> Card:
    return factories.make_prepaid(owner)


def begin(card: Card, member: Any, amount: str = "500.00", **fields: Any) -> TopUp:
    return fresh(start(card, member, amount, provider="stripe", **fields).body["id"])


def call_back(
    session: Any, settings: Any, kind: str = "checkout.session.completed", **how: Any
) -> Any:
    """Send an event as Stripe does; sign it by the published scheme."""
    event = {
        "object": "event",
        "id": f"evt_{secrets.token_hex(8)}",
        "type": kind,
        "data": {"object": session},
    }
    body = how.get("body", json.dumps(event))
    moment = int(time.time()) + how.get("shift_seconds", 0)
    secret = how.get("secret", settings.MPS_STRIPE_WEBHOOK_SECRET)
    mac = hmac.new(secret.encode(), f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": how.get("signature", f"t={moment},v1={mac}")}
    return send(how.get("sent", body).encode(), headers, provider="stripe")


def test_a_session_is_made_with_what_stripe_needs(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    answer = start(card, owner, "500.50", provider="stripe", return_path="/wallet")

    top_up = fresh(answer.body["id"])
    assert answer.body["pay_url"].startswith("https://checkout.stripe.com/c/pay/cs_")
    ((method, path, headers, asked),) = stripe_api.requests
    assert (method, path) == ("POST", "/v1/checkout/sessions")
    assert headers["authorization"] == f"Bearer {settings.MPS_STRIPE_SECRET_KEY}"
    assert headers["idempotency-key"] == top_up.order_id
    assert asked == {
        "mode": ["payment"],
        "client_reference_id": [top_up.order_id],
        "metadata[mps]": ["top_up"],
        "line_items[0][quantity]": ["1"],
        "line_items[0][price_data][currency]": ["twd"],
        "line_items[0][price_data][unit_amount]": ["50050"],
        "line_items[0][price_data][product_data][name]": ["Card top-up"],
        "success_url": ["https://pay.example.com/wallet"],
        "cancel_url": ["https://pay.example.com/wallet"],
        "expires_at": [str(int(top_up.expires_at.timestamp()))],
    }
    assert fetch("SELECT count(*) FROM audit_event WHERE context::text ~ 'sk_test|whsec'") == 0


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("500.50", "TWD", 50050),
        ("500.50", "USD", 50050),
        ("500.00", "JPY", 500),
        ("500.00", "KRW", 500),
        ("500.50", "KWD", 500500),
        ("5.00", "ISK", 500),
        ("5.00", "UGX", 500),
    ],
)
def test_amounts_in_stripes_units(amount: str, currency: str, units: int) -> None:
    assert stripe_checkout.to_minor(Decimal(amount), currency) == units
    assert stripe_checkout.from_minor(units, currency) == Decimal(amount)


@pytest.mark.parametrize("currency", ["JPY", "ISK"])
def test_a_currency_without_fractions_refuses_them(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any, currency: str
) -> None:
    with pytest.raises(InvalidAmountError):
        stripe_checkout.to_minor(Decimal("500.50"), currency)
    settings.MPS_CURRENCY = currency

    answer = start(card, owner, "500.50", provider="stripe", idempotency_key="K")

    assert (answer.status, answer.body["code"]) == (400, "INVALID_AMOUNT")
    top_up = fetch("SELECT status || ' ' || failure_code FROM payments_topup")
    assert top_up == "failed REFUSED_BY_PROVIDER"
    again = start(card, owner, "500.50", provider="stripe", idempotency_key="K")
    assert (again.status, again.replayed) == (400, True)
    assert stripe_api.requests == []


def test_a_paid_session_is_credited_once(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    top_up = begin(card, owner)
    session = stripe_api.pay(top_up)

    answers = [call_back(session, settings) for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 200]
    done = fresh(top_up)
    assert (done.status, done.payment_id) == ("completed", session["payment_intent"])
    assert balances_of(card)[0] == Decimal("500.00")
    assert fetch("SELECT payment_method FROM payments_transaction") == "stripe"


def test_a_payment_that_takes_days(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    good, bad = begin(card, owner), begin(card, owner)
    for top_up in (good, bad):
        waiting = stripe_api.sessions[top_up.reference]
        waiting.update(status="complete")
        assert call_back(waiting, settings).status_code == 200
        assert fresh(top_up).status == "pending"

    paid = stripe_api.pay(good)
    call_back(paid, settings, "checkout.session.async_payment_succeeded")
    call_back(stripe_api.sessions[bad.reference], settings, "checkout.session.async_payment_failed")

    assert (fresh(good).status, fresh(bad).status) == ("completed", "cancelled")


def test_sessions_that_end_unpaid(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    top_up = begin(card, owner)
    session = {**stripe_api.sessions[top_up.reference], "status": "expired"}
    before = snapshot().value
    assert call_back(session, settings, "checkout.session.expired").status_code == 200
    assert fresh(top_up).status == "cancelled"
    assert snapshot().value == before


def test_forged_and_stale_callbacks_move_nothing(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    top_up = begin(card, owner)
    session = stripe_api.pay(top_up)
    before = snapshot()
    forged: list[dict[str, Any]] = [
        {"secret": "whsec_other"},
        {"signature": ""},
        {"signature": "nonsense"},
        {"signature": "t=1,v1=00"},
        {"shift_seconds": -3600},
        {"sent": json.dumps({"object": "event"})},
        {"body": ""},
    ]
    for number, how in enumerate(forged, 1):
        answer = call_back(session, settings, **how)
        if how == {"body": ""}:
            assert answer.status_code == 400
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED"), how
        assert snapshot().events == before.events + number
    assert send(b"\xff", {"Stripe-Signature": "t=1,v1=0"}, provider="stripe").status_code == 400
    assert snapshot().value == before.value
    assert fresh(top_up).status == "pending"


def test_genuine_events_that_are_not_about_us_or_say_nothing(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    top_up = begin(card, owner)
    session = stripe_api.pay(top_up)
    before = snapshot()
    assert call_back(session, settings, "invoice.paid").status_code == 200
    assert call_back({**session, "metadata": {}}, settings).status_code == 200
    assert call_back({**session, "metadata": None}, settings).status_code == 200
    assert snapshot() == before
    for broken in (
        {**session, "amount_total": None},
        {**session, "currency": "dollars"},
        {**session, "payment_intent": None},
        {**session, "created": "soon"},
    ):
        assert call_back(broken, settings).status_code == 400, broken
    for body in ("[]", '"text"', "{}", '{"object": "event", "type": 1}'):
        assert call_back(None, settings, body=body).status_code == 400, body
    unknown = call_back({**session, "client_reference_id": "x" * 32}, settings)
    assert unknown.status_code == 404
    assert snapshot().value == before.value


OTHER_SUMS: list[tuple[dict[str, Any], str]] = [
    ({"amount_total": 49999}, "AMOUNT_DIFFERS"),
    ({"amount_total": 500}, "AMOUNT_DIFFERS"),
    ({"currency": "usd"}, "CURRENCY_DIFFERS"),
    ({"currency": "jpy"}, "CURRENCY_DIFFERS"),
]


def test_another_sum_is_not_credited(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    before = snapshot().value
    for said, difference in OTHER_SUMS:
        top_up = begin(card, owner)
        assert call_back(stripe_api.pay(top_up, **said), settings).status_code == 200
        assert (fresh(top_up).status, fresh(top_up).failure_code) == ("failed", difference)
    assert snapshot().value == before


UNUSABLE: list[tuple[int, dict[str, Any]]] = [
    (500, {"type": "api_error"}),
    (401, {"type": "invalid_request_error"}),
    (400, {"type": "invalid_request_error", "code": "parameter_unknown"}),
    (429, {"type": "invalid_request_error"}),
]


def test_an_unusable_stripe_leaves_nothing_to_pay(
    owner: Any,
    card: Card,
    stripe_api: StandIn,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = snapshot()
    for status, error in UNUSABLE:
        stripe_api.error = (status, {"error": {**error, "message": "a secret of theirs"}})

        assert outcome(lambda: start(card, owner, provider="stripe", idempotency_key="K")) == (
            "UNAVAILABLE"
        )

        assert (snapshot().value, snapshot().answers) == (before.value, before.answers)
        assert fetch("SELECT string_agg(status || pay_url, ',') FROM payments_topup") == "pending"
    for secret in (settings.MPS_STRIPE_SECRET_KEY, "a secret of theirs"):
        assert secret not in caplog.text
    # Once Stripe answers, the same key goes on, with the same order.
    stripe_api.error = None
    assert start(card, owner, provider="stripe", idempotency_key="K").status == 201
    keys = {headers["idempotency-key"] for _, _, headers, _ in stripe_api.requests}
    assert len(keys) == fetch("SELECT count(*) FROM payments_topup") == 1


def test_without_a_connection_it_is_unavailable(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    settings.MPS_STRIPE_API_BASE = "http://127.0.0.1:1"
    client = factories.member_client(owner)

    answer = client.post(
        f"/api/v1/me/cards/{card.number}/topups",
        {"amount": "5.00", "provider": "stripe"},
        content_type="application/json",
        headers={"Idempotency-Key": "K"},
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer["Retry-After"]) >= 1


def test_an_amount_stripe_does_not_take(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    error = {"type": "invalid_request_error", "code": "amount_too_small", "message": "too small"}
    stripe_api.error = (400, {"error": error})
    answer = start(card, owner, "0.01", provider="stripe")
    assert (answer.status, answer.body["code"]) == (400, "INVALID_AMOUNT")


def test_a_session_without_a_page(owner: Any, card: Card, stripe_api: StandIn) -> None:
    stripe_api.error = (200, {"object": "checkout.session", "id": "cs_1", "url": None})
    assert outcome(lambda: start(card, owner, provider="stripe")) == "UNAVAILABLE"


def test_asking_stripe_credits_what_it_says_was_paid(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    paid, waiting, missing, foreign = (begin(card, owner) for _ in range(4))
    stripe_api.pay(paid)
    del stripe_api.sessions[missing.reference]
    stripe_api.pay(foreign, client_reference_id=paid.order_id)

    for top_up in (paid, waiting, missing, foreign):
        topup_confirmations.confirm_with_provider(top_up_id=top_up.id)

    assert [fresh(each).status for each in (paid, waiting, missing, foreign)] == [
        *("completed", "pending", "pending", "pending")
    ]
    assert balances_of(card)[0] == Decimal("500.00")
    stripe_api.error = (500, {"error": {"type": "api_error"}})
    assert (
        outcome(lambda: topup_confirmations.confirm_with_provider(top_up_id=waiting.id))
        == "UNAVAILABLE"
    )


def test_asking_of_a_session_that_was_never_made(
    owner: Any, card: Card, stripe_api: StandIn
) -> None:
    stripe_api.error = (500, {"error": {"type": "api_error"}})
    assert outcome(lambda: start(card, owner, provider="stripe")) == "UNAVAILABLE"
    left = fetch("SELECT id FROM payments_topup")
    assert topup_confirmations.confirm_with_provider(top_up_id=left).status == "pending"


def today() -> date:
    return datetime.now(ZoneInfo("Asia/Taipei")).date()


def test_the_comparison_reads_stripes_list(
    owner: Any, card: Card, stripe_api: StandIn, settings: Any
) -> None:
    stripe_api.page_size = 2
    credited, lost, _waiting = (begin(card, owner) for _ in range(3))
    call_back(stripe_api.pay(credited), settings)
    stripe_api.pay(lost)
    stripe_api.sessions["cs_other"] = {
        **stripe_api.sessions[lost.reference],
        "id": "cs_other",
        "metadata": {},
    }

    found = topup_comparison.compare_top_ups(day=today())

    assert [(each.kind, each.order_id) for each in found.differences] == [
        ("not_credited", lost.order_id)
    ]
    assert found.compared == 3
    listed = [asked for method, path, _, asked in stripe_api.requests if method == "GET"]
    assert len(listed) == 2
    start_of_day = datetime.combine(today(), datetime.min.time(), ZoneInfo("Asia/Taipei"))
    asked_from = datetime.fromtimestamp(int(listed[0]["created[gte]"][0]), UTC)
    assert start_of_day - asked_from == timedelta(hours=1)
    stripe_api.error = (500, {"error": {"type": "api_error"}})
    assert topup_comparison.compare_top_ups(day=today()).unreachable == ("stripe",)
