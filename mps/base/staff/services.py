"""Change staff passwords and second factors, and record each change in the audit log."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.staff import passkeys, second_factors, sessions

MAX_PASSKEYS = 10


def reset_second_factor(*, username: str) -> int:
    """Take somebody's second factors away, who has lost them; return how many there were.

    :raises NotFoundError: there is nobody of this name on the staff.
    """
    with (
        audit.refusals("SECOND_FACTOR_RESET_REFUSED", object_type="user", object_id=username),
        db_scope.principal_scope("platform_admin"),
    ):
        user = User.objects.filter(username=username, is_staff=True).first()
        if user is None:
            raise errors.NotFoundError("No staff user has this name.")
        gone = second_factors.forget(user)
        sessions.end_sessions(user)
        audit.record(
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
        audit.refusals("PASSKEY_ADD_REFUSED", object_type="user", object_id=user.get_username()),
        db_scope.principal_scope("platform_admin"),
    ):
        User.objects.select_for_update().get(pk=user.pk)
        if passkeys.of_user(user).count() >= MAX_PASSKEYS:
            raise errors.InvalidRequestError(_("You have reached the maximum number of passkeys."))
        passkey_id = passkeys.id_of(credential)
        if passkeys.staff_have(passkey_id):
            raise errors.AlreadyExistsError(_("This passkey has already been added."))
        passkeys.add(user, name, credential, passkey_id)
        audit.record(
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
        audit.refusals("PASSKEY_REMOVE_REFUSED", object_type="user", object_id=user.get_username()),
        db_scope.principal_scope("platform_admin"),
    ):
        User.objects.select_for_update().get(pk=user.pk)
        passkey = passkeys.of_user(user).filter(pk=passkey_id).first()
        if passkey is None:
            raise errors.NotFoundError
        name = str(passkey)
        passkey.delete()
        if not second_factors.has_second_factor(user):
            raise errors.InvalidRequestError(_("You cannot remove your only second factor."))
        audit.record(
            "PASSKEY_REMOVED",
            object_type="user",
            object_id=user.get_username(),
            details={"name": name},
        )
