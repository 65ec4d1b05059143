"""One-time codes: sent to a phone or an e-mail address, typed once, by whoever reads there.

The database keeps a nonce; the six digits are an HMAC of it under a key the database does not have,
so that the worker that sends a code makes it itself and no task carries one. Asking for a code
costs the same for somebody unknown: everything is done but the sending.
"""

import hmac
import logging
import secrets
from typing import Literal
from uuid import UUID

import celery
import kombu.exceptions
import redis
from django.db import connection
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from members import limits, messages, selectors
from members.errors import InvalidCredentialsError
from mps.core import errors, throttle

Purpose = Literal["sign_in", "verify", "reset"]
TTL_SECONDS = 600
TRIES = 5
SEND_TASK = "members.send_code"
_NO_BROKER = (kombu.exceptions.KombuError, redis.RedisError, OSError)
_logger = logging.getLogger(__name__)


def request_code(purpose: Purpose, *, destination: str, member_id: UUID | None) -> None:
    """Make a code and have it sent. Those the destination had for this purpose are dead.

    :param destination: a phone or an e-mail address, as it is stored.
    :param member_id: whose; None: nobody's, and nothing is sent.
    :raises RateLimitedError: too many messages there, or from here.
    :raises UnavailableError: nobody is there to send it.
    """
    throttle.count_guesses(limits.message(destination))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT members_make_code(%s, %s, %s, %s, %s)",
            [purpose, destination, member_id, secrets.token_bytes(32), TTL_SECONDS],
        )
        code_id: UUID = cursor.fetchone()[0]
    try:
        celery.current_app.send_task(SEND_TASK, [str(code_id)], retry=False)
    except _NO_BROKER as error:
        _logger.warning("a code is not sent", extra={"error": type(error).__name__})
        raise errors.UnavailableError from None


def redeem_code(
    purpose: Purpose, *, destination: str, code: str, member_id: UUID | None = None
) -> UUID:
    """Use a code up; return whose it is. Counted before anything is looked up; a right one is not.

    :param member_id: who must have asked for it; None: whoever the destination belongs to.
    :raises InvalidCredentialsError: it is not the one that was sent there last, or is over.
    :raises RateLimitedError: too many were wrong.
    """
    guesses = limits.one_time_code(f"{purpose}:{member_id or ''}:{destination}")
    throttle.count_guesses(guesses)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, nonce, member_id FROM members_try_code(%s, %s, %s, %s)",
            [purpose, destination, member_id, TRIES],
        )
        code_id, nonce, owner_id = cursor.fetchone() or (None, b"", None)
        right = hmac.compare_digest(_digits(nonce), code.encode("utf-8", "surrogatepass"))
        if not right or owner_id is None:
            raise InvalidCredentialsError("The code is wrong, used or over.")
        cursor.execute("SELECT members_use_code(%s)", [code_id])
        if not cursor.fetchone()[0]:
            raise InvalidCredentialsError("The code is wrong, used or over.")
    throttle.give_guesses_back(guesses)
    found: UUID = owner_id
    return found


def deliver_code(code_id: UUID) -> None:
    """Send a code that was asked for, if it lives and is anybody's.

    :raises NotSentError: the message was not taken; try again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT destination, nonce FROM members_code_to_send(%s)",
            [code_id],
        )
        row = cursor.fetchone()
    if row is None:
        return
    destination, nonce = row
    text = gettext(
        "%(code)s is your code. It works once, for %(minutes)s minutes. Tell it to nobody: we never"
        " ask for it."
    ) % {"code": _digits(nonce).decode(), "minutes": TTL_SECONDS // 60}
    messages.send(to=destination, subject=gettext("Your code"), text=text)
    _logger.info("code sent", extra={"to": selectors.mask_identifier(destination)})


def _digits(nonce: bytes) -> bytes:
    """Return the six digits that belong to a nonce."""
    mac = salted_hmac("members.onetime", bytes(nonce).hex(), algorithm="sha256")
    return b"%06d" % (int.from_bytes(mac.digest()[:8]) % 1_000_000)
