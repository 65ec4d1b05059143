"""Issue cards, bind members to them, make payment codes, and change a card's status."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypedDict, Unpack, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.utils.translation import gettext

from cards import codes, selectors
from cards.errors import (
    CannotRemoveLastOwnerError,
    CardExpiredError,
    CardNotActiveError,
    CardNotEmptyError,
    CardNotFoundError,
    CardTypeNotShareableError,
    InvalidBindingPasswordError,
)
from cards.models import Binding, Card, CardType, FormerBinding, PaymentCode, Voucher
from members.errors import MemberSuspendedError
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, spending_limits, throttle
from mps.base.core.database import DatabaseNow
from mps.base.core.money import is_exact
from mps.base.ledger import services as ledger

MIN_TTL_SECONDS = 60
MAX_TTL_SECONDS = 24 * 3600
SHAREABLE = {CardType.PREPAID, CardType.CORPORATE}
MAY_PAY = {Binding.Role.OWNER, Binding.Role.ADMIN, Binding.Role.MEMBER}
MAY_TOP_UP = {Binding.Role.OWNER, Binding.Role.ADMIN}
MAY_MANAGE = {Binding.Role.OWNER, Binding.Role.ADMIN}
STOPPABLE = {Card.Status.ACTIVE, Card.Status.FROZEN, Card.Status.LOST, Card.Status.SUSPENDED}
MIN_BINDING_PASSWORD = 4
# Wrong binding passwords: of one member, whatever the card, and at one card, whoever tries.
MEMBER_GUESSES, MEMBER_GUESS_SECONDS = 5, 300
CARD_GUESSES, CARD_GUESS_SECONDS = 20, 3600


class BindingChanges(TypedDict, total=False):
    """What may be changed of a member's part in a card; a limit that is None: none any more."""

    role: str
    limit_per_payment: Decimal | None
    limit_per_day: Decimal | None


# --- issue ---------------------------------------------------------------------------------------


def issue_standard_card(*, owner_id: UUID) -> Card:
    """Issue the card that comes with a membership. Inside the new member's scope."""
    return _issue(CardType.STANDARD, owner_id)


def issue_shared_card(
    *,
    card_type: str,
    owner_id: UUID,
    name: str = "",
    fixed_discount: Decimal | None = None,
    binding_password: str = "",
    expires_at: datetime | None = None,
) -> Card:
    """Issue a prepaid or corporate card to its owner.

    :param fixed_discount: factor above 0 and up to 1; 0.95 makes 100.00 cost 95.00. None: by tier
        (prepaid) or none.
    :param binding_password: with which other members may join; empty: by invitation only.
    :raises CardTypeNotShareableError: another type.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    :raises InvalidRequestError: a value is not as described.
    """
    if card_type not in SHAREABLE:
        raise CardTypeNotShareableError
    wrong: dict[str, list[str]] = {}
    if fixed_discount is not None and not (
        fixed_discount.is_finite()
        and 0 < fixed_discount <= 1
        and fixed_discount == round(fixed_discount, 4)
    ):
        wrong["fixed_discount"] = ["Above 0 and up to 1, with at most four decimals."]
    if len(name) > 80:
        wrong["name"] = ["At most 80 characters."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    if binding_password:
        _require_long_enough(binding_password, "binding_password")
    password = make_password(binding_password) if binding_password else ""
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        db_scope.principal_scope("platform_admin"),
    ):
        _hold_member(id=owner_id)
        card = _issue(
            card_type,
            owner_id,
            name=name,
            fixed_discount=fixed_discount,
            binding_password=password,
            expires_at=expires_at,
        )
        audit.record(
            "CARD_ISSUED",
            object_type="card",
            object_id=card.number,
            details={
                "type": card_type,
                "owner": str(owner_id),
                "fixed_discount": str(fixed_discount or ""),
            },
        )
    return card


def issue_voucher_card(
    *,
    owner_id: UUID,
    kind: str,
    value: Decimal,
    min_spend: Decimal = Decimal(0),
    expires_at: datetime | None = None,
    merchant_ids: list[UUID] | None = None,
) -> Card:
    """Issue a voucher card: one promotion, one use.

    :param kind: `percent` (20 takes 20 % off) or `amount`.
    :param min_spend: list amount from which it applies.
    :param merchant_ids: where it applies; None or empty: everywhere.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    :raises InvalidRequestError: a value is not as described.
    """
    wrong: dict[str, list[str]] = {}
    if kind not in Voucher.Kind.values:
        wrong["kind"] = [f"One of {', '.join(Voucher.Kind.values)}."]
    most = Decimal(100) if kind == Voucher.Kind.PERCENT else settings.MPS_MAX_AMOUNT
    if not (is_exact(value) and 0 < value <= most):
        wrong["value"] = ["Above 0, at most 100 for percent; with at most two decimals."]
    if not (is_exact(min_spend) and 0 <= min_spend <= settings.MPS_MAX_AMOUNT):
        wrong["min_spend"] = ["Not negative, with at most two decimals."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        db_scope.principal_scope("platform_admin"),
    ):
        _hold_member(id=owner_id)
        card = _issue(CardType.VOUCHER, owner_id, expires_at=expires_at)
        Voucher.objects.create(
            card=card, kind=kind, value=value, min_spend=min_spend, merchant_ids=merchant_ids or []
        )
        audit.record(
            "CARD_ISSUED",
            object_type="card",
            object_id=card.number,
            details={
                "type": CardType.VOUCHER,
                "owner": str(owner_id),
                "kind": kind,
                "value": str(value),
            },
        )
    return card


# --- sharing -------------------------------------------------------------------------------------


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
    which = _which(card_id, card_no)
    with audit.refusals("CARD_JOIN_REFUSED", object_type="card", object_id=card_no or card_id):
        # Whoever is not bound to a card yet does not see it: the platform looks it up for them.
        with db_scope.principal_scope("platform_admin"):
            card = Card.objects.filter(**which).first()
        # The number tells a card's type, whether or not there is such a card.
        card_type = card.card_type if card else card_no[:3]
        if card_type and card_type not in SHAREABLE:
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
        with db_scope.principal_scope("platform_admin"):
            member = _hold_member(id=member_id)
            return _bind(
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
    which = _which(card_id, card_no)
    with (
        audit.refusals("CARD_INVITE_REFUSED", object_type="card", object_id=card_no or card_id),
        _sharing_scope(),
    ):
        asking = _require_bound(which, by_member_id)
        _require_active(asking.member)
        if asking.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
        if role == Binding.Role.OWNER and asking.role != Binding.Role.OWNER:
            raise errors.PermissionDeniedError("Only an owner makes an owner.")
        invited = (
            _hold_member(id=member_id)
            if member_id
            else _hold_member(number=selectors.require_member_number(member_no))
        )
        return _bind(asking.card_id, invited, role, "CARD_MEMBER_INVITED", held_to=held_to)


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
        with db_scope.principal_scope("platform_admin"):
            return _bind(card_id, _hold_member(id=member_id), role, "CARD_BOUND")


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
    which = _which(None, card_no)
    with (
        audit.refusals("BINDING_CHANGE_REFUSED", object_type="card", object_id=card_no),
        _sharing_scope(),
    ):
        sharing = _lock_sharing(which, by_member_id, member_no=member_no)
        binding, asking = sharing.binding, sharing.asking
        if asking is not None and asking.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
        new_role = binding.role if role is None else role
        sharing.require_may_become(new_role)
        if asking is binding and new_limits and binding.role != Binding.Role.OWNER:
            raise errors.PermissionDeniedError("An owner sets what an admin is held to.")
        before = {"role": binding.role, **binding.limits}
        for name, value in {"role": new_role, **new_limits}.items():
            setattr(binding, name, value)
        after = {"role": binding.role, **binding.limits}
        if before != after:
            heir = _change_part(
                sharing, new_role, lambda: binding.save(update_fields=["role", *new_limits])
            )
            if new_role not in MAY_PAY:
                _end_codes(sharing.card.id, binding.member_id)
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
    which = _which(card_id, card_no)
    with (
        audit.refusals("CARD_UNBIND_REFUSED", object_type="card", object_id=card_no or card_id),
        _sharing_scope(),
    ):
        sharing = _lock_sharing(which, by_member_id, member_id=member_id, member_no=member_no)
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
        heir = _change_part(sharing, "", binding.delete)
        _end_codes(sharing.card.id, binding.member_id)
        audit.record(
            "CARD_UNBOUND",
            object_type="card",
            object_id=sharing.card.number,
            details={"member": binding.member.number, "role": binding.role, **heir},
        )


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
    which = _which(card_id, card_no)
    if password:
        _require_long_enough(password, "password")
    hashed = make_password(password) if password else ""
    scope = (
        db_scope.principal_scope("member_app", by_member_id)
        if by_member_id
        else db_scope.principal_scope("platform_admin")
    )
    with (
        audit.refusals(
            "BINDING_PASSWORD_REFUSED", object_type="card", object_id=card_no or card_id
        ),
        scope,
    ):
        if by_member_id is not None:
            binding = _require_bound(which, by_member_id)
            _require_active(binding.member)
            if binding.role != Binding.Role.OWNER:
                raise errors.PermissionDeniedError
        card = Card.objects.filter(**which).first()
        if card is None:
            raise CardNotFoundError
        if card.card_type not in SHAREABLE:
            raise CardTypeNotShareableError
        Card.objects.filter(id=card.id).update(binding_password=hashed)
        audit.record("BINDING_PASSWORD_SET", object_type="card", object_id=card.number)


# --- payment codes -------------------------------------------------------------------------------


def issue_code(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    member_id: UUID,
    ttl_seconds: int | None = None,
) -> codes.ShownCode:
    """Make the member a new code for the card; the one before is dead at once.

    :param card_id: the card, or `card_no`: its number.
    :param ttl_seconds: 60 to 86,400; default `MPS_CODE_TTL_SECONDS` (900).
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member may look at the card, but not pay with it.
    :raises MemberSuspendedError: the member or the card's owner is suspended.
    :raises CardNotActiveError, CardExpiredError: the card cannot pay.
    :raises InvalidRequestError: `ttl_seconds` is out of bounds.
    """
    ttl_seconds = settings.MPS_CODE_TTL_SECONDS if ttl_seconds is None else ttl_seconds
    if not MIN_TTL_SECONDS <= ttl_seconds <= MAX_TTL_SECONDS:
        raise errors.InvalidRequestError(
            errors={"ttl_seconds": [f"From {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS}."]}
        )
    which = _which(card_id, card_no)
    with (
        audit.refusals("CODE_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id),
    ):
        card = _require_payable(_require_bound(which, member_id))
        key = codes.current_keys()[0]
        nonce = codes.new_nonce()
        code = codes.derive_code(key, nonce)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT issued_at, expires_at FROM cards_issue_codes("
                "%s::uuid[], %s::uuid[], %s::bytea[], %s, %s::bytea[], %s)",
                [
                    [card.id],
                    [member_id],
                    [nonce],
                    key.id,
                    [codes.hash_code(key, code)],
                    ttl_seconds,
                ],
            )
            issued_at, expires_at = cursor.fetchone()
        audit.record(
            "CODE_ISSUED",
            object_type="card",
            object_id=card.number,
            details={"member": str(member_id), "ttl_seconds": ttl_seconds},
        )
    return codes.ShownCode(code, issued_at, expires_at)


def revoke_code(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Kill the member's live code for the card at once. Safe to repeat.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    which = _which(card_id, card_no)
    with (
        audit.refusals("CODE_REVOKE_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id),
    ):
        card = _require_bound(which, member_id).card
        _end_codes(card.id, member_id)
        audit.record(
            "CODE_REVOKED",
            object_type="card",
            object_id=card.number,
            details={"member": str(member_id)},
        )


# --- status --------------------------------------------------------------------------------------


def freeze_card(*, card_id: UUID, reason: str = "") -> None:
    """Stop an active card from paying. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is lost, expired, suspended or closed.
    """
    _change_status(
        card_id,
        Card.Status.FROZEN,
        "CARD_FROZEN",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.FROZEN},
    )


def close_card(*, card_id: UUID, reason: str = "") -> None:
    """Close a card for ever; only an empty one closes. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotEmptyError: there is money on it.
    """
    with (
        audit.refusals("CARD_CLOSED_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin"),
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if card.status == Card.Status.CLOSED:
            return
        # The change waits for whoever rests on the card as it was; only then its balance stands.
        Card.objects.filter(id=card_id).update(
            status=Card.Status.CLOSED, status_reason=reason[:200], locked_by_member=False
        )
        if card.money_account_id is not None:
            balances = ledger.lock_balances([card.money_account_id])
            if balances[card.money_account_id]:
                raise CardNotEmptyError
        _end_codes(card_id)
        audit.record(
            "CARD_CLOSED",
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "reason": reason},
        )


def unfreeze_card(*, card_id: UUID, reason: str = "") -> None:
    """Let a frozen card pay again. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is lost, expired, suspended or closed; unfreezing does not
        help these.
    """
    _change_status(
        card_id,
        Card.Status.ACTIVE,
        "CARD_UNFROZEN",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.FROZEN},
    )


def mark_card_lost(*, card_id: UUID, reason: str) -> None:
    """Stop a card that was lost or stolen; its codes die. Only staff activate it again. Safe to
    repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    _stop_card(card_id, Card.Status.LOST, "CARD_MARKED_LOST", reason)


def suspend_card(*, card_id: UUID, reason: str) -> None:
    """Stop a card until staff activate it again; its codes die. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    _stop_card(card_id, Card.Status.SUSPENDED, "CARD_SUSPENDED", reason)


def activate_card(*, card_id: UUID, reason: str) -> None:
    """Let a card that is lost or suspended pay again. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is frozen, which unfreezing ends, or expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    audit.require_reason(reason)
    _change_status(
        card_id,
        Card.Status.ACTIVE,
        "CARD_ACTIVATED",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.LOST, Card.Status.SUSPENDED},
    )


def lock_card(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Let a member lock a card of theirs at once, e.g. a lost phone. Safe to repeat.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member neither owns nor administers it.
    :raises CardNotActiveError: the card is neither active nor locked by a member.
    """
    _member_lock(card_id, card_no, member_id, lock=True)


def unlock_card(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Let a member unlock what a member locked. Safe to repeat on an active card.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member neither owns nor administers it, or staff froze it.
    :raises CardNotActiveError: the card is neither frozen nor active.
    :raises MemberSuspendedError: the member is suspended, who may lock but not unlock.
    """
    _member_lock(card_id, card_no, member_id, lock=False)


# --- limits --------------------------------------------------------------------------------------


def set_card_limits(
    *,
    card_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what a card pays, whoever pays with it; None: no limit.

    :raises CardNotFoundError: there is no such card.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    with (
        audit.refusals("CARD_LIMITS_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin"),
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        audit.record(
            "CARD_LIMITS_SET",
            object_type="card",
            object_id=card.number,
            details={**spending_limits.write_limits(card, **new), "reason": reason},
        )


def set_binding_limits(
    *,
    binding_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what one member pays with one card, on the platform's authority; None: no limit.

    :raises NotFoundError: there is no such binding.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    with (
        audit.refusals("BINDING_LIMITS_REFUSED", object_type="binding", object_id=binding_id),
        db_scope.principal_scope("platform_admin"),
    ):
        binding = (
            Binding.objects.select_for_update(of=("self",))
            .select_related("card", "member")
            .filter(id=binding_id)
            .first()
        )
        if binding is None:
            raise errors.NotFoundError("There is no such binding.")
        audit.record(
            "BINDING_LIMITS_SET",
            object_type="card",
            object_id=binding.card.number,
            details={
                "member": binding.member.number,
                **spending_limits.write_limits(binding, **new),
                "reason": reason,
            },
        )


# --- for payments ---------------------------------------------------------------------------------


def hold_card(*, card_id: UUID | None = None, card_no: str = "") -> Card:
    """Return a card that stays as it is until the scope ends; nobody closes it meanwhile.

    Inside a shop's scope or the platform's. A shop sees of a card what moving its money takes.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card.
    """
    held = Card.objects.raw(
        "SELECT id, number, card_type, status, expires_at, owner_id, money_account_id,"
        " points_account_id FROM cards_hold(%s, %s)",
        [card_id, card_no],
    )
    for card in held:
        return card
    raise CardNotFoundError


def give_voucher_back(*, card_id: UUID, tx_id: UUID) -> None:
    """Let a voucher that a payment used be used again, if it is still valid.

    One on a frozen card is given back, too: like money, it waits there. Inside the shop's scope.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_give_voucher_back(%s, %s)", [card_id, tx_id])


# --- inside ---------------------------------------------------------------------------------------


def _issue(
    card_type: str,
    owner_id: UUID,
    *,
    name: str = "",
    fixed_discount: Decimal | None = None,
    binding_password: str = "",
    expires_at: datetime | None = None,
) -> Card:
    """Write a card with its accounts and its owner's binding. Inside a scope.

    :raises InvalidRequestError: its time would be over already.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_next_number(%s)", [card_type])
        number = cursor.fetchone()[0]
    card = Card.objects.create(
        number=number,
        card_type=card_type,
        owner_id=owner_id,
        name=name,
        fixed_discount=fixed_discount,
        binding_password=binding_password,
        expires_at=expires_at,
        money_account_id=(
            ledger.open_account(kind="card_money", unit=settings.MPS_CURRENCY)
            if card_type in SHAREABLE
            else None
        ),
        points_account_id=(
            ledger.open_account(kind="card_points", unit="PTS")
            if card_type in {CardType.STANDARD, CardType.PREPAID}
            else None
        ),
    )
    if expires_at and Card.objects.filter(id=card.id, expires_at__lte=DatabaseNow()).exists():
        raise errors.InvalidRequestError(errors={"expires_at": ["In the future."]})
    Binding.objects.create(card=card, member_id=owner_id, role=Binding.Role.OWNER)
    return card


def _bind(
    card_id: UUID,
    member: Member,
    role: str,
    action: str,
    *,
    held_to: dict[str, Decimal | None] | None = None,
    former: FormerBinding | None = None,
    in_any_role: bool = False,
) -> Binding:
    """Bind a member to an active shared card, which stays active until the scope ends. Inside a
    scope of the platform that holds the member.

    :param held_to: the limits of the binding; none by default.
    :param former: what held for the member before, and holds again.
    :param in_any_role: whoever is bound already stays as they are.
    """
    card = Card.objects.select_for_update(no_key=True).filter(id=card_id).first()
    if card is None:
        raise CardNotFoundError
    if card.card_type not in SHAREABLE:
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
            "The member is bound to this card in another role or with other limits."
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
            raise errors.PermissionDeniedError("Only an owner decides about owners.")


def _sharing_scope() -> AbstractContextManager[None]:
    """Open the scope of an act that is about other members, too, whom a member does not see.

    The act itself looks at what whoever asks may do.
    """
    return db_scope.principal_scope("platform_admin")


def _lock_sharing(
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
        _require_active(asking.member)
        if asking is not binding and asking.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
    if binding is None:
        raise errors.NotFoundError("The member is not bound to this card.")
    owners = [each for each in bindings if each.role == Binding.Role.OWNER and each is not binding]
    return _Sharing(card, binding, asking, sorted(owners, key=lambda each: each.created_at))


def _change_part(sharing: _Sharing, role: str, change: Callable[[], object]) -> dict[str, str]:
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


def _require_long_enough(password: str, field: str) -> None:
    if len(password) < MIN_BINDING_PASSWORD:
        raise errors.InvalidRequestError(
            errors={
                field: [gettext("At least %(count)s characters.") % {"count": MIN_BINDING_PASSWORD}]
            }
        )


def _require_role(role: str) -> None:
    if role not in Binding.Role.values:
        raise errors.InvalidRequestError(
            errors={"role": [f"One of {', '.join(Binding.Role.values)}."]}
        )


def _hold_member(**which: UUID | str) -> Member:
    """Return an active member, who stays so until the scope ends. Inside a scope of the platform,
    before the card is locked.

    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    """
    member = Member.objects.select_for_update(no_key=True).filter(**which).first()
    if member is None:
        raise errors.NotFoundError("There is no such member.")
    return _require_active(member)


def _require_active(member: Member) -> Member:
    """Let a member who is suspended look, and change nothing about sharing."""
    if member.status != Member.Status.ACTIVE:
        raise MemberSuspendedError
    return member


def _which(card_id: UUID | None, card_no: str) -> dict[str, UUID | str]:
    """Return how to find a card: by its id, else by its number.

    :raises CardNotFoundError: the number has not the form of one.
    """
    if card_id is not None:
        return {"id": card_id}
    return {"number": selectors.require_number(card_no)}


def _require_bound(which: dict[str, UUID | str], member_id: UUID) -> Binding:
    """Return what binds a member to a card. Inside a scope."""
    card = {f"card__{name}": value for name, value in which.items()}
    binding = (
        Binding.objects.select_related("card", "member").filter(member_id=member_id, **card).first()
    )
    if binding is None:
        raise CardNotFoundError
    return binding


def _require_payable(binding: Binding) -> Card:
    """Return the card if its member could pay with it now."""
    card = binding.card
    if binding.member.status == Member.Status.SUSPENDED or not selectors.owner_is_active(card.id):
        raise MemberSuspendedError
    if binding.role not in MAY_PAY:
        raise errors.PermissionDeniedError
    if card.status == Card.Status.EXPIRED or _is_past(card.expires_at):
        raise CardExpiredError
    if card.status != Card.Status.ACTIVE:
        raise CardNotActiveError
    return card


def _is_past(moment: datetime | None) -> bool:
    """Return whether a moment is over by the database's clock."""
    if moment is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s <= core_now()", [moment])
        return bool(cursor.fetchone()[0])


def _end_codes(card_id: UUID, member_id: UUID | None = None) -> None:
    """Kill the live codes for a card, or one member's. After the facts: codes are locked last."""
    live = PaymentCode.objects.filter(card_id=card_id, ended_at=None)
    if member_id is not None:
        live = live.filter(member_id=member_id)
    live.update(ended_at=DatabaseNow(), outcome="revoked")


def _stop_card(card_id: UUID, status: str, action: str, reason: str) -> None:
    audit.require_reason(reason)
    _change_status(
        card_id,
        status,
        action,
        reason,
        allowed=STOPPABLE,
        end_codes=True,
    )


def _change_status(
    card_id: UUID,
    status: str,
    action: str,
    reason: str,
    *,
    allowed: set[Card.Status],
    end_codes: bool = False,
) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin"),
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if card.status not in allowed:
            raise CardNotActiveError
        Card.objects.filter(id=card_id).update(
            status=status, status_reason=reason[:200], locked_by_member=False
        )
        if end_codes:
            _end_codes(card_id)
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "after": status, "reason": reason},
        )


def _member_lock(card_id: UUID | None, card_no: str, member_id: UUID, *, lock: bool) -> None:
    which = _which(card_id, card_no)
    action = "CARD_LOCKED" if lock else "CARD_UNLOCKED"
    with (
        audit.refusals(f"{action}_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id),
    ):
        binding = _require_bound(which, member_id)
        if binding.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
        if not lock:
            _require_active(binding.member)
        card = Card.objects.select_for_update().get(id=binding.card_id)
        if card.status not in {Card.Status.ACTIVE, Card.Status.FROZEN}:
            raise CardNotActiveError
        if card.status == Card.Status.FROZEN and not card.locked_by_member:
            raise errors.PermissionDeniedError("Staff froze this card; ask them to unfreeze it.")
        Card.objects.filter(id=card.id).update(
            status=Card.Status.FROZEN if lock else Card.Status.ACTIVE, locked_by_member=lock
        )
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "member": str(member_id)},
        )
