"""Send alerts when an incident opens or closes, by log, e-mail and webhook."""

import logging
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from smtplib import SMTPException
from typing import Any, Literal
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import override
from standardwebhooks import Webhook

from mps.product.monitoring.models import Incident

Phase = Literal["opened", "closed"]

_TIMEOUT_SECONDS = 10
_RUNBOOK = "docs/watching.md"
_plain_log = logging.getLogger(__name__)
# Its fields become fields of the line.
_log: Any = structlog.wrap_logger(
    _plain_log,
    processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
)


@dataclass(frozen=True, slots=True)
class Alert:
    """What is said of an incident. The same thing said twice has the same id.

    :param opened_at: with the zone.
    """

    incident_id: UUID
    kind: str
    phase: Phase
    details: dict[str, Any]
    opened_at: datetime

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""
        with override(settings.LANGUAGE_CODE):
            return str(Incident.Kind(self.kind).label)


def channels() -> dict[str, Callable[[Alert], None]]:
    """Return the channels that are set up, by name. The log always is."""
    found: dict[str, Callable[[Alert], None]] = {"log": _write_log}
    if settings.MPS_ALERT_EMAILS:
        found["email"] = _send_email
    if settings.MPS_ALERT_WEBHOOK_URL:
        found["webhook"] = _call_webhook
    return found


def tell(alert: Alert, *, told: set[str]) -> set[str]:
    """Tell by each channel that has not been told by yet; return those by which it went out.

    :param told: as returned before, for any phase.
    """
    went_out = set()
    for name, send in channels().items():
        mark = f"{alert.phase}:{name}"
        if mark in told:
            continue
        try:
            send(alert)
        except (OSError, HTTPException, SMTPException, ValueError) as error:
            # Of the address or of what it answered nothing is logged: it may hold a secret.
            _log.error("alert not sent", channel=name, error=type(error).__name__)
        else:
            went_out.add(mark)
    return went_out


def is_told(phase: Phase, told: set[str]) -> bool:
    """Return whether every channel was told of this phase."""
    return all(f"{phase}:{name}" in told for name in channels())


def _write_log(alert: Alert) -> None:
    write = _log.error if alert.phase == "opened" else _log.warning
    write(
        f"incident {alert.phase}",
        incident=str(alert.incident_id),
        kind=alert.kind,
        title=alert.title,
        opened_at=alert.opened_at.isoformat(),
        details=alert.details,
    )


def _send_email(alert: Alert) -> None:
    resolved = "" if alert.phase == "opened" else "resolved: "
    body = "\n".join(
        [
            f"{alert.title}, since {alert.opened_at:%Y-%m-%d %H:%M:%S %Z}."
            if alert.phase == "opened"
            else f"Over: {alert.title}, since {alert.opened_at:%Y-%m-%d %H:%M:%S %Z}.",
            "",
            *(f"{name}: {value}" for name, value in alert.details.items()),
            "",
            f"What to do: {_RUNBOOK}, {alert.kind}. Incident {alert.incident_id}.",
        ]
    )
    EmailMessage(
        subject=f"[MPS] {resolved}{alert.title}",
        body=body,
        to=settings.MPS_ALERT_EMAILS,
        headers={"Message-ID": f"<{alert.incident_id}.{alert.phase}@mps.invalid>"},
    ).send()


def _call_webhook(alert: Alert) -> None:
    now = datetime.now(UTC)
    body = orjson.dumps(
        {
            "type": f"incident.{alert.phase}",
            "timestamp": now.isoformat(),
            "data": {
                "incident_id": str(alert.incident_id),
                "kind": alert.kind,
                "title": alert.title,
                "opened_at": alert.opened_at.isoformat(),
                "details": alert.details,
            },
        },
        default=str,
    ).decode()
    message_id = f"msg_{alert.incident_id.hex}_{alert.phase}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if settings.MPS_ALERT_WEBHOOK_SECRET:
        signer = Webhook(settings.MPS_ALERT_WEBHOOK_SECRET)
        headers["webhook-signature"] = signer.sign(message_id, now, body)
    request = urllib.request.Request(  # noqa: S310 -- the operator's own address; settings check it.
        settings.MPS_ALERT_WEBHOOK_URL, data=body.encode(), headers=headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
        pass
