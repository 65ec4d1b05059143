"""One-time codes, sent to a phone or an e-mail address to prove that the member can read there.

The database keeps a nonce; the six digits are an HMAC of it under a key the database does not have,
so that the worker that sends a code makes it itself and no task carries one. Asking for a code
costs the same for somebody unknown: everything is done but the sending.
"""

import hmac
import logging
import secrets
from typing import Any, Literal
from uuid import UUID

import celery
import kombu.exceptions
import redis
from django.conf import settings
from django.db import connection
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language, gettext, override

from members import messages, rate_limits, selectors
from members.errors import InvalidCredentialsError
from mps.base.core import errors, throttle

Purpose = Literal["sign_in", "verify", "reset"]
TTL_SECONDS = 600
TRIES = 5
SEND_TASK = "members.send_code"
_NO_BROKER = (kombu.exceptions.KombuError, redis.RedisError, OSError)
# A queue that does not answer must not hang a request.
_AT_ONCE = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
}
_logger = logging.getLogger(__name__)


def request_code(purpose: Purpose, *, destination: str, member_id: UUID | None) -> None:
    """Make a code and have it sent. Those the destination had for this purpose are dead.

    :param destination: a phone or an e-mail address, as it is stored.
    :param member_id: whose; None: nobody's, and nothing is sent.
    :raises RateLimitedError: too many messages there, or from here.
    :raises UnavailableError: nobody is there to send it.
    """
    throttle.count_guesses(rate_limits.message(destination))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT members_make_code(p_purpose => %s, p_destination => %s, p_member_id => %s,"
            " p_nonce => %s, p_ttl_seconds => %s)",
            [purpose, destination, member_id, secrets.token_bytes(32), TTL_SECONDS],
        )
        code_id: UUID = cursor.fetchone()[0]
    app: Any = celery.current_app
    try:
        with app.connection_for_write(transport_options=_AT_ONCE) as queue:
            app.send_task(SEND_TASK, [str(code_id), get_language()], retry=False, connection=queue)
    except _NO_BROKER as error:
        _logger.warning("a code is not sent: %s", type(error).__name__)
        raise errors.UnavailableError from None


def redeem_code(
    purpose: Purpose, *, destination: str, code: str, member_id: UUID | None = None
) -> UUID:
    """Use a code up; return whose it is. Counted before anything is looked up; a right one is not.

    :param member_id: who must have asked for it; None: whoever the destination belongs to.
    :raises InvalidCredentialsError: it is not the one that was sent there last, or is over.
    :raises RateLimitedError: too many were wrong.
    """
    guesses = rate_limits.one_time_code(f"{purpose}:{member_id or ''}:{destination}")
    throttle.count_guesses(guesses)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, nonce, member_id FROM members_try_code(p_purpose => %s,"
            " p_destination => %s, p_member_id => %s, p_tries => %s)",
            [purpose, destination, member_id, TRIES],
        )
        code_id, nonce, owner_id = cursor.fetchone() or (None, b"", None)
        right = hmac.compare_digest(_digits(nonce), code.encode("utf-8", "surrogatepass"))
        if not right or owner_id is None:
            raise InvalidCredentialsError("The code is incorrect, already used or expired.")
        cursor.execute("SELECT members_use_code(%s)", [code_id])
        if not cursor.fetchone()[0]:
            raise InvalidCredentialsError("The code is incorrect, already used or expired.")
    throttle.give_guesses_back(guesses)
    found: UUID = owner_id
    return found


def deliver_code(code_id: UUID, *, language: str | None = None) -> None:
    """Send a code that was asked for, if it lives and is anybody's.

    :param language: of whoever asked; None: the platform's.
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
    with override(language or settings.LANGUAGE_CODE):
        subject = gettext("Your code")
        text = gettext(
            "%(code)s is your code. It can be used once and expires in %(minutes)s "
            "minutes. Do not share it. We will never ask you for it."
        ) % {"code": _digits(nonce).decode(), "minutes": TTL_SECONDS // 60}
    messages.send(to=destination, subject=subject, text=text)
    _logger.info("code sent to %s", selectors.mask_identifier(destination))


def _digits(nonce: bytes) -> bytes:
    """Return the six digits that belong to a nonce."""
    mac = salted_hmac("members.onetime", bytes(nonce).hex(), algorithm="sha256")
    return b"%06d" % (int.from_bytes(mac.digest()[:8]) % 1_000_000)
