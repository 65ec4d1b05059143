"""Alerts go out by log, e-mail and webhook; one channel that is away keeps no other from it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings as django_settings
from django.core import mail
from standardwebhooks import Webhook, WebhookVerificationError

from mps.product.monitoring import services
from mps.product.monitoring.checks import Finding
from tests.monitoring.conftest import Receiver
from tests.snapshots import execute, fetch

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FAILED = Finding("failed_payments", {"payments": 40, "failed": 8})


def note(finding: Finding | None) -> None:
    services._note({"failed_payments": finding})
    services.tell_all()


@pytest.fixture
def lines() -> Iterator[Any]:
    """What the log says, as it is written: one JSON object a line."""
    stream = io.StringIO()
    formatter = django_settings.LOGGING["formatters"]["json"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.getLogger("mps.product.monitoring.alerts")
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_the_log_says_what_and_since_when(database: str, lines: Any) -> None:
    note(FAILED)
    note(None)

    opened, closed = lines()
    assert (opened["level"], opened["event"], opened["kind"]) == (
        "error",
        "incident opened",
        "failed_payments",
    )
    assert opened["details"] == FAILED.details
    assert (closed["level"], closed["event"]) == ("warning", "incident closed")
    assert closed["incident"] == opened["incident"]


def test_an_e_mail_says_what_and_what_to_do(database: str, settings: Any) -> None:
    settings.MPS_ALERT_EMAILS = ["ops@example.com", "boss@example.com"]

    note(FAILED)
    note(None)

    opened, closed = mail.outbox
    assert opened.to == ["ops@example.com", "boss@example.com"]
    assert opened.subject == "[MPS] too many payments fail"
    assert "failed: 8" in opened.body
    assert "docs/watching.md" in opened.body
    assert closed.subject == "[MPS] resolved: too many payments fail"


def test_a_webhook_is_signed_as_standard_webhooks(
    database: str, receiver: Receiver, settings: Any
) -> None:
    settings.MPS_ALERT_WEBHOOK_SECRET = SECRET

    note(FAILED)

    [(headers, body)] = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert event["type"] == "incident.opened"
    assert event["data"]["details"] == FAILED.details
    assert event["data"]["title"] == "too many payments fail"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").verify(body, headers)


def test_without_a_secret_it_is_not_signed(database: str, receiver: Receiver) -> None:
    note(FAILED)

    [(headers, _body)] = receiver.requests
    assert "webhook-signature" not in headers


def test_a_receiver_that_fails_is_told_again_and_the_others_are_not(
    database: str, receiver: Receiver, settings: Any, lines: Any
) -> None:
    settings.MPS_ALERT_EMAILS = ["ops@example.com"]
    receiver.status = 500
    for _ in range(2):
        note(FAILED)
    assert fetch("SELECT notified_at IS NULL FROM monitoring_incident")

    receiver.status = 200
    for _ in range(2):
        note(FAILED)

    assert fetch("SELECT notified_at IS NOT NULL FROM monitoring_incident")
    assert len(mail.outbox) == 1
    assert len(receiver.requests) == 3
    # The same thing told again has the same id.
    assert len({headers["webhook-id"] for headers, _body in receiver.requests}) == 1
    assert [line["event"] for line in lines()] == [
        "incident opened",
        "alert not sent",
        "alert not sent",
    ]
    assert receiver.url not in json.dumps(lines())


def test_a_mail_server_that_is_away_keeps_nobody_from_hearing(
    database: str, receiver: Receiver, settings: Any
) -> None:
    settings.MPS_ALERT_EMAILS = ["ops@example.com"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    note(FAILED)

    assert receiver.events == [("incident.opened", "failed_payments")]
    assert fetch("SELECT told::text FROM monitoring_incident") == "{opened:log,opened:webhook}"


def test_what_is_over_before_anybody_was_told_is_told_in_order(
    database: str, receiver: Receiver
) -> None:
    receiver.status = 503
    note(FAILED)
    receiver.status = 204
    note(None)

    events = [json.loads(body)["type"] for _headers, body in receiver.requests]
    assert events == ["incident.opened", "incident.opened", "incident.closed"]


def test_nobody_is_told_of_what_is_long_over(database: str, receiver: Receiver) -> None:
    receiver.status = 503
    note(FAILED)
    note(None)
    seen = len(receiver.requests)
    execute("UPDATE monitoring_incident SET last_seen_at = now() - interval '25 hours'")
    services.tell_all()

    assert len(receiver.requests) == seen
