"""Write down who did what, also when it was refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.db import connection
from django.utils.translation import gettext as _

from mps.base.core import context, db_scope, errors, passkeys, problems, staff
from mps.base.core.text_validation import CONTROL, is_text

MAX_REASON = 200
MAX_PASSKEYS = 10
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
            "SELECT audit_record(%s, %s, %s, %s, %s, %s::jsonb, %s, %s)",
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
            errors={"reason": [_("1 to %(count)s characters.") % {"count": MAX_REASON}]}
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


def reset_second_factor(*, username: str) -> int:
    """Take somebody's second factors away, who has lost them; return how many there were.

    :raises NotFoundError: there is nobody of this name on the staff.
    """
    with (
        refusals("SECOND_FACTOR_RESET_REFUSED", object_type="user", object_id=username),
        db_scope.principal_scope("platform_admin"),
    ):
        user = User.objects.filter(username=username, is_staff=True).first()
        if user is None:
            raise errors.NotFoundError("There is nobody of this name on the staff.")
        gone = staff.forget_second_factors(user)
        record(
            "SECOND_FACTOR_RESET",
            object_type="user",
            object_id=username,
            details={"factors": gone},
        )
    return gone


def add_passkey(*, user: User, name: str, credential: Mapping[str, Any]) -> None:
    """Let one of the staff use a passkey as a second factor.

    :param credential: what the passkey said when it was made; the caller has verified it.
    :raises AlreadyExistsError: one of the staff has it already.
    :raises InvalidRequestError: they have as many as one may have.
    """
    with (
        refusals("PASSKEY_ADD_REFUSED", object_type="user", object_id=user.get_username()),
        db_scope.principal_scope("platform_admin"),
    ):
        User.objects.select_for_update().get(pk=user.pk)
        if passkeys.of_user(user).count() >= MAX_PASSKEYS:
            raise errors.InvalidRequestError(_("You have as many passkeys as one may have."))
        passkey_id = passkeys.id_of(credential)
        if passkeys.staff_have(passkey_id):
            raise errors.AlreadyExistsError(_("This passkey is added already."))
        passkeys.add(user, name, credential, passkey_id)
        record(
            "PASSKEY_ADDED",
            object_type="user",
            object_id=user.get_username(),
            details={"name": name},
        )


def remove_passkey(*, user: User, passkey_id: int) -> None:
    """Take one of their passkeys from one of the staff.

    :raises NotFoundError: they have none of this id.
    :raises InvalidRequestError: without it the password alone would be asked for.
    """
    with (
        refusals("PASSKEY_REMOVE_REFUSED", object_type="user", object_id=user.get_username()),
        db_scope.principal_scope("platform_admin"),
    ):
        User.objects.select_for_update().get(pk=user.pk)
        passkey = passkeys.of_user(user).filter(pk=passkey_id).first()
        if passkey is None:
            raise errors.NotFoundError
        name = str(passkey)
        passkey.delete()
        if not staff.has_second_factor(user):
            raise errors.InvalidRequestError(_("It is your only second factor."))
        record(
            "PASSKEY_REMOVED",
            object_type="user",
            object_id=user.get_username(),
            details={"name": name},
        )
