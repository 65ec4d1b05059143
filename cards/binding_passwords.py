"""Validate and set the passwords for joining shared cards."""

from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.utils.translation import gettext

from cards import holding
from cards.errors import CardNotFoundError, CardTypeNotShareableError
from cards.models import Binding, Card
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors

MIN_BINDING_PASSWORD = 4


def set_binding_password(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    password: str,
    by_member_id: UUID | None = None,
) -> None:
    """Set the password by which members join a shared card; empty takes it away.

    Whoever joined by the one before stays.

    :param card_id: the card, or `card_no`: its number.
    :param by_member_id: the member who asks, who must own the card; None: the platform.
    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises PermissionDeniedError: whoever asks does not own it.
    :raises CardTypeNotShareableError: the card is not shared.
    :raises MemberSuspendedError: whoever asks is suspended.
    :raises InvalidRequestError: the password is too short.
    """
    which = holding.which_card(card_id, card_no)
    if password:
        require_long_enough(password, "password")
    hashed = make_password(password) if password else ""
    role: db_scope.Role = "member_app" if by_member_id else "platform_admin"
    with (
        audit.refusals(
            "BINDING_PASSWORD_REFUSED", object_type="card", object_id=card_no or card_id
        ),
        db_scope.principal_scope(role, by_member_id) as scope,
    ):
        if by_member_id is not None:
            binding = holding.require_bound(scope, which, by_member_id)
            holding.require_active(binding.member)
            if binding.role != Binding.Role.OWNER:
                raise errors.PermissionDeniedError
        card = Card.objects.filter(**which).first()
        if card is None:
            raise CardNotFoundError
        if not card.type.may_be_shared:
            raise CardTypeNotShareableError
        Card.objects.filter(id=card.id).update(binding_password=hashed)
        audit.record("BINDING_PASSWORD_SET", object_type="card", object_id=card.number)


def require_long_enough(password: str, field: str) -> None:
    """Refuse a binding password that is too short, by the name of its field."""
    if len(password) < MIN_BINDING_PASSWORD:
        raise errors.InvalidRequestError(
            errors={
                field: [
                    gettext("Must be at least %(count)s characters.")
                    % {"count": MIN_BINDING_PASSWORD}
                ]
            }
        )
