"""Create and revoke service keys; look up a code's card for a trusted backend."""

import uuid
from uuid import UUID

from django.db.models.functions import Now

from cards import codes
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, keys
from mps.base.core.text_validation import is_text
from mps.product.rpc.models import ServiceKey
from payments import charge_decision
from payments import selectors as payments


def create_service_key(*, name: str) -> tuple[ServiceKey, str]:
    """Make a trusted backend's key; return it with its text, which cannot be shown again.

    :param name: by whom it is used, as the audit log names it.
    :raises InvalidRequestError: the name is empty, too long, or not printable.
    """
    name = name.strip()
    if not is_text(name, at_most=80):
        raise errors.InvalidRequestError(errors={"name": ["Must be 1 to 80 printable characters."]})
    key_id = uuid.uuid4()
    text, secret_hash = keys.make_key("s", key_id)
    with db_scope.principal_scope("platform_admin"):
        key = ServiceKey.objects.create(id=key_id, name=name, secret_hash=secret_hash)
        audit.record(
            "SERVICE_KEY_CREATED",
            object_type="service_key",
            object_id=key_id,
            details={"name": name},
        )
    return key, text


def revoke_service_key(*, service_key_id: UUID, reason: str = "") -> None:
    """Shut a trusted backend out at once.

    :raises NotFoundError: there is no such key, or it was revoked before.
    """
    with (
        audit.refusals(
            "SERVICE_KEY_REVOKE_REFUSED", object_type="service_key", object_id=service_key_id
        ),
        db_scope.principal_scope("platform_admin"),
    ):
        live = ServiceKey.objects.filter(id=service_key_id, revoked_at=None)
        if not live.update(revoked_at=Now()):
            raise errors.NotFoundError("Service key not found.")
        audit.record(
            "SERVICE_KEY_REVOKED",
            object_type="service_key",
            object_id=service_key_id,
            details={"reason": reason},
        )


def find_card_of_code(*, code: str) -> UUID:
    """Return the card a live code belongs to, without burning it, for a trusted backend.

    :raises InvalidCodeError: the code is malformed.
    :raises CodeExpiredOrInvalidError: unknown, expired, used and revoked alike.
    """
    hashes = codes.look_up_hashes(codes.require_code(code))
    with (
        audit.refusals("CODE_CHECK_REFUSED", object_type="payment_code", object_id=""),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        return charge_decision.require_live(payments.read_code(scope, hashes)).card_id
