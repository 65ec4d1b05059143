"""Record who did what, including refused actions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from django.db import connection
from django.utils.translation import gettext as _

from mps.base.core import context, errors, problems
from mps.base.core.text_validation import CONTROL, is_text

MAX_REASON = 200
_MAX_NAME = 80


def record(
    action: str, *, object_type: str, object_id: object, details: Mapping[str, Any] | None = None
) -> None:
    """Append one event with the current actor, request and address. Commits with its surroundings.

    :param action: upper-case words, e.g. `CARD_FROZEN`.
    :param details: what a reader needs to understand it (before and after, reason); never a secret.
    """
    now = context.current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_record(p_actor_type => %s, p_actor => %s, p_action => %s,"
            " p_object_type => %s, p_object_id => %s, p_context => %s::jsonb,"
            " p_request_id => %s, p_address => %s)",
            [
                now.actor_type,
                _writable(now.actor),
                action,
                object_type,
                _writable(str(object_id)),
                orjson.dumps(dict(details or {})).decode(),
                now.request_id,
                now.address,
            ],
        )


def require_reason(reason: str) -> None:
    """Let staff do what weighs on somebody only when they say why.

    :raises InvalidRequestError: there is no reason, or a longer one than the log keeps.
    """
    if not is_text(reason, at_most=MAX_REASON):
        raise errors.InvalidRequestError(
            errors={"reason": [_("Must be 1 to %(count)s characters.") % {"count": MAX_REASON}]}
        )


def _writable(name: str) -> str:
    """Return a name as the log can keep it: whoever was refused may have named anything."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", name)[:_MAX_NAME]


@contextmanager
def refusals(
    action: str, *, object_type: str, object_id: object, details: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Record a refusal of the block, after its database transaction was rolled back.

    To be opened outside the scope of the service. A defect is no refusal: it is logged, not
    recorded.
    """
    try:
        yield
    except Exception as exception:
        error = problems.as_mps_error(exception)
        if error is not None:
            record(
                action,
                object_type=object_type,
                object_id=object_id,
                details={**(details or {}), "error": error.code},
            )
        raise
