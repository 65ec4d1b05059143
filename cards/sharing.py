"""Share a card: join, invite, bind, change a role, leave, set its binding password.

Rules: docs/rules.md#sharing-a-card.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict, Unpack, cast
from uuid import UUID

from django.contrib.auth.hashers import check_password

from cards import holding, payment_codes, selectors
from cards.errors import (
    CannotRemoveLastOwnerError,
    CardNotActiveError,
    CardNotFoundError,
    CardTypeNotShareableError,
    InvalidBindingPasswordError,
)
from cards.models import SHAREABLE_TYPES, Binding, Card, FormerBinding
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, spending_limits, throttle
from mps.base.core.db_scope import Scope

# Wrong binding passwords: of one member, whatever the card, and at one card, whoever tries.
MEMBER_GUESSES, MEMBER_GUESS_SECONDS = 5, 300

CARD_GUESSES, CARD_GUESS_SECONDS = 20, 3600


class BindingChanges(TypedDict, total=False):
    """What may be changed of a member's part in a card; a limit that is None: none any more."""

    role: str
    limit_per_payment: Decimal | None
    limit_per_day: Decimal | None


def join_card(
    *, card_id: UUID | None = None, card_no: str = "", member_id: UUID, binding_password: str
) -> Binding:
    """Bind a member to a shared card by the card's password; they join as `member`. Safe to repeat.

    Whoever was bound to it before is held to the limits they had, and looks on if they did.

    An unknown card and a wrong password get the same answer after the same work, so that nobody
    finds out by trying which numbers exist. Wrong passwords are counted against the member and
    against the card, whether or not there is one.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: `card_no` has not the form of a card number.
    :raises CardTypeNotShareableError: the card is of a type that is not shared.
    :raises RateLimitedError: too many wrong passwords by this member or for this card.
    :raises InvalidBindingPasswordError: the password is wrong, the card has none, or there is no
        such card.
    :raises CardNotActiveError: the card is not active.
    :raises MemberSuspendedError: the member is suspended.
    """
    which = holding.which_card(card_id, card_no)
    with audit.refusals("CARD_JOIN_REFUSED", object_type="card", object_id=card_no or card_id):
        # Whoever is not bound to a card yet does not see it: the platform looks it up for them.
        with db_scope.principal_scope("platform_admin"):
            card = Card.objects.filter(**which).first()
        # The number tells a card's type, whether or not there is such a card.
        card_type = card.card_type if card else card_no[:3]
        if card_type and card_type not in SHAREABLE_TYPES:
            raise CardTypeNotShareableError
        guesses = [
            throttle.Guess("binding:member", member_id, MEMBER_GUESSES, MEMBER_GUESS_SECONDS),
            throttle.Guess(
                "binding:card", card.id if card else card_no, CARD_GUESSES, CARD_GUESS_SECONDS
            ),
        ]
        throttle.count_guesses(guesses)
        # bcrypt runs outside any database transaction, once, also when there is nothing to compare.
        correct = check_password(binding_password, card.binding_password if card else "")
        if card is None or not correct:
            raise InvalidBindingPasswordError
        throttle.give_guesses_back(guesses)
        with db_scope.principal_scope("platform_admin") as scope:
            member = holding.hold_member(scope, id=member_id)
            return _bind(
                scope,
                card.id,
                member,
                Binding.Role.MEMBER,
                "CARD_JOINED",
                former=FormerBinding.objects.filter(card=card, member=member).first(),
                in_any_role=True,
            )


def invite_member(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    member_id: UUID | None = None,
    member_no: str = "",
    role: str = Binding.Role.MEMBER,
    by_member_id: UUID,
    limit_per_payment: Decimal | None = None,
    limit_per_day: Decimal | None = None,
) -> Binding:
    """Let a member use a shared card, at the wish of its owner or an admin. Safe to repeat.

    :param card_id: the card, or `card_no`: its number; likewise the member.
    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises PermissionDeniedError: whoever asks is neither owner nor admin, or is an admin who
        would make an owner.
    :raises NotFoundError: there is no such member.
    :raises AlreadyExistsError: the member is bound in another role or with other limits.
    :raises CardTypeNotShareableError, CardNotActiveError: the card takes nobody in.
    :raises MemberSuspendedError: whoever asks, or the member, is suspended.
    :raises InvalidRequestError: the role or a limit is not as it must be.
    """
    _require_role(role)
    held_to = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**held_to)
    which = holding.which_card(card_id, card_no)
    with (
        audit.refusals("CARD_INVITE_REFUSED", object_type="card", object_id=card_no or card_id),
        _sharing_scope() as scope,
    ):
        asking = holding.require_bound(scope, which, by_member_id)
        holding.require_active(asking.member)
        if not asking.rights.may_manage:
            raise errors.PermissionDeniedError
        if role == Binding.Role.OWNER and asking.role != Binding.Role.OWNER:
            raise errors.PermissionDeniedError("Only an owner can add an owner.")
        invited = (
            holding.hold_member(scope, id=member_id)
            if member_id
            else holding.hold_member(scope, number=selectors.require_member_number(member_no))
        )
        return _bind(scope, asking.card_id, invited, role, "CARD_MEMBER_INVITED", held_to=held_to)


def bind_member(
    *,
    card_id: UUID,
    member_id: UUID,
    role: str = Binding.Role.MEMBER,
    binding_password: str | None = None,
) -> Binding:
    """Bind a member to a shared card on the platform's authority. Safe to repeat with the same
    role.

    :param binding_password: what the member gave as the card's password, if they were asked.
    :raises CardNotFoundError: there is no such card.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    :raises CardTypeNotShareableError: the card is not shared.
    :raises CardNotActiveError: the card is not active.
    :raises InvalidBindingPasswordError: a password was given, and it is wrong.
    """
    _require_role(role)
    with audit.refusals("CARD_BIND_REFUSED", object_type="card", object_id=card_id):
        if binding_password is not None:
            with db_scope.principal_scope("platform_admin"):
                card = Card.objects.filter(id=card_id).first()
            if card is None:
                raise CardNotFoundError
            # bcrypt runs outside any database transaction.
            if not check_password(binding_password, card.binding_password):
                raise InvalidBindingPasswordError
        with db_scope.principal_scope("platform_admin") as scope:
            return _bind(
                scope, card_id, holding.hold_member(scope, id=member_id), role, "CARD_BOUND"
            )


def change_binding(
    *, card_no: str, member_no: str, by_member_id: UUID, **changes: Unpack[BindingChanges]
) -> Binding:
    """Change a member's role on a shared card, or their limits, at the wish of its owner or an
    admin. What is not named stays. Who becomes a viewer loses their code.

    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises PermissionDeniedError: whoever asks is neither owner nor admin; or is an admin, and it
        is about an owner, or about the limits they are held to themself.
    :raises NotFoundError: the member is not bound to it.
    :raises CannotRemoveLastOwnerError: its last owner would be none any more.
    :raises MemberSuspendedError: whoever asks is suspended.
    :raises InvalidRequestError: the role or a limit is not as it must be.
    """
    role = changes.pop("role", None)
    new_limits = cast("dict[str, Decimal | None]", changes)
    spending_limits.require_limits(**new_limits)
    if role is not None:
        _require_role(role)
    which = holding.which_card(None, card_no)
    with (
        audit.refusals("BINDING_CHANGE_REFUSED", object_type="card", object_id=card_no),
        _sharing_scope() as scope,
    ):
        sharing = _lock_sharing(scope, which, by_member_id, member_no=member_no)
        binding, asking = sharing.binding, sharing.asking
        if asking is not None and not asking.rights.may_manage:
            raise errors.PermissionDeniedError
        new_role = binding.role if role is None else role
        sharing.require_may_become(new_role)
        if asking is binding and new_limits and binding.role != Binding.Role.OWNER:
            raise errors.PermissionDeniedError("Only an owner can set the limits of an admin.")
        before = {"role": binding.role, **binding.limits}
        for name, value in {"role": new_role, **new_limits}.items():
            setattr(binding, name, value)
        after = {"role": binding.role, **binding.limits}
        if before != after:
            heir = _change_part(
                scope, sharing, new_role, lambda: binding.save(update_fields=["role", *new_limits])
            )
            if not Binding.Role(new_role).may_pay:
                payment_codes.end_codes(scope, sharing.card.id, binding.member_id)
            audit.record(
                "BINDING_CHANGED",
                object_type="card",
                object_id=sharing.card.number,
                details={"member": binding.member.number, "before": before, "after": after, **heir},
            )
    return binding


def unbind_member(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    member_id: UUID | None = None,
    member_no: str = "",
    by_member_id: UUID | None = None,
) -> None:
    """Take a member off a shared card; their code for it dies.

    If the card is in the name of an owner who goes, it passes to who is its owner longest.

    :param card_id: the card, or `card_no`: its number.
    :param member_id: whom to take off, or `member_no`: their number.
    :param by_member_id: the member who asks: themself, or the card's owner or admin; None: the
        platform.
    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises NotFoundError: the member is not bound to it.
    :raises PermissionDeniedError: whoever asks may not remove others, or is an admin and would
        remove an owner.
    :raises CannotRemoveLastOwnerError: the member is its last owner.
    :raises MemberSuspendedError: whoever asks is suspended.
    """
    which = holding.which_card(card_id, card_no)
    with (
        audit.refusals("CARD_UNBIND_REFUSED", object_type="card", object_id=card_no or card_id),
        _sharing_scope() as scope,
    ):
        sharing = _lock_sharing(
            scope, which, by_member_id, member_id=member_id, member_no=member_no
        )
        binding = sharing.binding
        sharing.require_may_become("")
        FormerBinding.objects.update_or_create(
            card=sharing.card,
            member=binding.member,
            defaults={
                "role": binding.role,
                "limit_per_payment": binding.limit_per_payment,
                "limit_per_day": binding.limit_per_day,
            },
        )
        heir = _change_part(scope, sharing, "", binding.delete)
        payment_codes.end_codes(scope, sharing.card.id, binding.member_id)
        audit.record(
            "CARD_UNBOUND",
            object_type="card",
            object_id=sharing.card.number,
            details={"member": binding.member.number, "role": binding.role, **heir},
        )


def _bind(
    scope: Scope,
    card_id: UUID,
    member: Member,
    role: str,
    action: str,
    *,
    held_to: dict[str, Decimal | None] | None = None,
    former: FormerBinding | None = None,
    in_any_role: bool = False,
) -> Binding:
    """Bind a member to an active shared card, which stays active until the scope ends.

    :param scope: the platform's, in which the member is held.
    :param held_to: the limits of the binding; none by default.
    :param former: what held for the member before, and holds again.
    :param in_any_role: whoever is bound already stays as they are.
    """
    card = Card.objects.select_for_update(no_key=True).filter(id=card_id).first()
    if card is None:
        raise CardNotFoundError
    if not card.type.may_be_shared:
        raise CardTypeNotShareableError
    if card.status != Card.Status.ACTIVE:
        raise CardNotActiveError
    if former is not None:
        role = former.role if former.role == Binding.Role.VIEWER else role
        held_to = {name: getattr(former, name) for name in former.limits}
    wanted = Binding(card=card, member=member, role=role, **(held_to or {}))
    binding, made = Binding.objects.select_related("card", "member").get_or_create(
        card=card, member=member, defaults={"role": role, **(held_to or {})}
    )
    if made:
        FormerBinding.objects.filter(card=card, member=member).delete()
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"member": str(member.id), "role": role, **(wanted.limits if held_to else {})},
        )
    elif not in_any_role and (
        binding.role != role or (held_to is not None and binding.limits != wanted.limits)
    ):
        raise errors.AlreadyExistsError(
            "The member is already bound to this card with another role or other limits."
        )
    return binding


@dataclass(frozen=True, slots=True)
class _Sharing:
    """A card with all its bindings locked: the one that is meant, and that of who asks.

    :param asking: None: the platform.
    :param other_owners: the owners beside `binding`, who is so longest first.
    """

    card: Card
    binding: Binding
    asking: Binding | None
    other_owners: list[Binding]

    def require_may_become(self, role: str) -> None:
        """Let a card have an owner always, and only owners decide who is one.

        :param role: what the binding is to become; empty: it goes.
        :raises CannotRemoveLastOwnerError: the last owner would be none any more.
        :raises PermissionDeniedError: it is about an owner, and an admin asks.
        """
        is_owner = self.binding.role == Binding.Role.OWNER
        if is_owner and role != Binding.Role.OWNER and not self.other_owners:
            raise CannotRemoveLastOwnerError
        if (
            (is_owner or role == Binding.Role.OWNER)
            and self.asking is not None
            and self.asking.role != Binding.Role.OWNER
        ):
            raise errors.PermissionDeniedError("Only an owner can change or remove an owner.")


def _sharing_scope() -> AbstractContextManager[Scope]:
    """Open the scope of an act that is about other members, too, whom a member does not see.

    The act itself looks at what whoever asks may do.
    """
    return db_scope.principal_scope("platform_admin")


def _lock_sharing(
    scope: Scope,
    which: dict[str, UUID | str],
    by_member_id: UUID | None,
    *,
    member_id: UUID | None = None,
    member_no: str = "",
) -> _Sharing:
    """Lock who may use a card: two owners leaving at once cannot both be told that one stays."""
    card = Card.objects.filter(**which).first()
    if card is None:
        raise CardNotFoundError
    bindings = list(
        Binding.objects.select_for_update(of=("self",))
        .select_related("member")
        .filter(card=card)
        .order_by("id")
    )
    # Whoever was waited for may have left the card to another owner.
    card.refresh_from_db()
    asking = next((each for each in bindings if each.member_id == by_member_id), None)
    if by_member_id is not None and asking is None:
        raise CardNotFoundError
    binding = next(
        (each for each in bindings if member_id == each.member_id)
        if member_id is not None
        else (each for each in bindings if member_no == each.member.number),
        None,
    )
    if asking is not None:
        holding.require_active(asking.member)
        if asking is not binding and not asking.rights.may_manage:
            raise errors.PermissionDeniedError
    if binding is None:
        raise errors.NotFoundError("The member is not bound to this card.")
    owners = [each for each in bindings if each.role == Binding.Role.OWNER and each is not binding]
    return _Sharing(card, binding, asking, sorted(owners, key=lambda each: each.created_at))


def _change_part(
    scope: Scope, sharing: _Sharing, role: str, change: Callable[[], object]
) -> dict[str, str]:
    """Change a binding; a card in the name of who is its owner no more passes to another owner.

    Both are facts charges rest on: they change in id order, in which charges share them.

    :param role: what the binding becomes; empty: it goes.
    :returns: what the log keeps of the card's new owner; nothing if that stays.
    """
    card = sharing.card
    steps: dict[UUID, Callable[[], object]] = {sharing.binding.id: change}
    heir: dict[str, str] = {}
    if sharing.binding.member_id == card.owner_id and role != Binding.Role.OWNER:
        owner = sharing.other_owners[0].member
        steps[card.id] = lambda: Card.objects.filter(id=card.id).update(owner=owner)
        heir = {"owner": owner.number}
    for _fact, step in sorted(steps.items()):
        step()
    return heir


def _require_role(role: str) -> None:
    if role not in Binding.Role.values:
        raise errors.InvalidRequestError(
            errors={"role": [f"Must be one of {', '.join(Binding.Role.values)}."]}
        )
