"""Send messages to members by SMS or e-mail, through the configured backend.

An SMS backend is a class with `send(*, to, text)`; `MPS_SMS_BACKEND` names one of ours, or a class
of yours by its dotted path.
"""

import logging
from typing import Protocol

import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string

from members import selectors

_logger = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 5


class NotSentError(Exception):
    """A message was not taken; trying again may work. Says nothing of the message."""


class SmsBackend(Protocol):
    """What takes short messages to phones."""

    def send(self, *, to: str, text: str) -> None:
        """Hand over a message; :raises NotSentError: it was not taken."""


class ConsoleSms:
    """For development: logs that a message was sent; what it said, under DEBUG or MPS_DEMO only."""

    def send(self, *, to: str, text: str) -> None:
        """Write it to the log."""
        shown = text if settings.DEBUG or settings.MPS_DEMO else "sent"
        _logger.info("SMS to %s: %s", selectors.mask_identifier(to), shown)


class HttpSms:
    """A gateway: posts `{"to", "text"}` to MPS_SMS_URL, MPS_SMS_KEY as bearer; 2xx is a yes."""

    def send(self, *, to: str, text: str) -> None:
        """Post it."""
        try:
            answer = requests.post(
                settings.MPS_SMS_URL,
                json={"to": to, "text": text},
                headers={"Authorization": f"Bearer {settings.MPS_SMS_KEY}"},
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise NotSentError(type(error).__name__) from None
        if not answer.ok or answer.is_redirect:
            raise NotSentError(f"status {answer.status_code}")


_OURS: dict[str, type[SmsBackend]] = {"console": ConsoleSms, "http": HttpSms}


def send(*, to: str, subject: str, text: str) -> None:
    """Send a message to a phone or an e-mail address.

    :raises NotSentError: it was not taken, or there is nothing to send it with.
    """
    if "@" in to:
        try:
            EmailMessage(subject=subject, body=text, to=[to]).send()
        except OSError as error:
            # smtplib's errors are OSErrors; they quote the address.
            raise NotSentError(type(error).__name__) from None
        return
    name = settings.MPS_SMS_BACKEND
    if not name:
        raise NotSentError("MPS_SMS_BACKEND is not set")
    backend: type[SmsBackend] = _OURS.get(name) or import_string(name)
    backend().send(to=to, text=text)
