"""Issue cards, bind members to them, make payment codes, and change a card's status."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection

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
from cards.models import Binding, Card, CardType, PaymentCode, Voucher
from members import services as members
from members.errors import MemberSuspendedError
from members.models import Member
from mps.audit import services as audit
from mps.core import errors, principals
from mps.core.database import DatabaseNow
from mps.ledger import services as ledger

MIN_TTL_SECONDS = 60
MAX_TTL_SECONDS = 24 * 3600
SHAREABLE = {CardType.PREPAID, CardType.CORPORATE}
MAY_PAY = {Binding.Role.OWNER, Binding.Role.ADMIN, Binding.Role.MEMBER}
MAY_MANAGE = {Binding.Role.OWNER, Binding.Role.ADMIN}


# --- issue ---------------------------------------------------------------------------------------


def register_member(
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    provider: str = "",
    external_id: str = "",
) -> tuple[Member, Card]:
    """Take in a member together with their standard card, in one database transaction.

    :param provider: with `external_id`: an identity that was proved, or that a service key vouches
        for.
    :raises InvalidRequestError: a field is not as it must be.
    :raises AlreadyExistsError: phone or e-mail belongs to a member.
    :raises ExternalIdAlreadyBoundError: the external identity does.
    """
    with audit.refusals("REGISTRATION_REFUSED", object_type="member", object_id=""):
        new = members.check_registration(
            name=name,
            phone=phone,
            email=email,
            password=password,
            provider=provider,
            external_id=external_id,
        )
        # The new member acts on their own behalf: the id is made first and sees only itself.
        with principals.principal_scope("member_app", new.id):
            member = members.add_member(new)
            card = _issue(CardType.STANDARD, member.id)
            audit.record(
                "MEMBER_REGISTERED",
                object_type="member",
                object_id=member.number,
                details={"card": card.number, "provider": provider},
            )
    return member, card


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
    password = make_password(binding_password) if binding_password else ""
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        principals.principal_scope("platform_admin"),
    ):
        _require_member(owner_id)
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
    :raises InvalidRequestError: a value is not as described.
    """
    wrong: dict[str, list[str]] = {}
    if kind not in Voucher.Kind.values:
        wrong["kind"] = [f"One of {', '.join(Voucher.Kind.values)}."]
    most = Decimal(100) if kind == Voucher.Kind.PERCENT else settings.MPS_MAX_AMOUNT
    if not (value.is_finite() and 0 < value <= most):
        wrong["value"] = ["Above 0; at most 100 for percent."]
    if not (min_spend.is_finite() and min_spend >= 0):
        wrong["min_spend"] = ["Not negative."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        principals.principal_scope("platform_admin"),
    ):
        _require_member(owner_id)
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

    An unknown card and a wrong password get the same answer after the same work, so that nobody
    finds out by trying which numbers exist.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: `card_no` has not the form of a card number.
    :raises CardTypeNotShareableError: the card is of a type that is not shared.
    :raises InvalidBindingPasswordError: the password is wrong, the card has none, or there is no
        such card.
    :raises CardNotActiveError: the card is not active.
    """
    which = _which(card_id, card_no)
    with audit.refusals("CARD_JOIN_REFUSED", object_type="card", object_id=card_no or card_id):
        with principals.principal_scope("member_app", member_id):
            card = Card.objects.filter(**which).first()
        # The number tells a card's type, whether or not there is such a card.
        card_type = card.card_type if card else card_no[:3]
        if card_type and card_type not in SHAREABLE:
            raise CardTypeNotShareableError
        # bcrypt runs outside any database transaction, once, also when there is nothing to compare.
        correct = check_password(binding_password, card.binding_password if card else "")
        if card is None or not correct:
            raise InvalidBindingPasswordError
        with principals.principal_scope("member_app", member_id):
            return _bind(card.id, member_id, Binding.Role.MEMBER, "CARD_JOINED")


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
    :raises CardTypeNotShareableError: the card is not shared.
    :raises CardNotActiveError: the card is not active.
    :raises InvalidBindingPasswordError: a password was given, and it is wrong.
    """
    if role not in Binding.Role.values:
        raise errors.InvalidRequestError(
            errors={"role": [f"One of {', '.join(Binding.Role.values)}."]}
        )
    with audit.refusals("CARD_BIND_REFUSED", object_type="card", object_id=card_id):
        if binding_password is not None:
            with principals.principal_scope("platform_admin"):
                card = Card.objects.filter(id=card_id).first()
            if card is None:
                raise CardNotFoundError
            # bcrypt runs outside any database transaction.
            if not check_password(binding_password, card.binding_password):
                raise InvalidBindingPasswordError
        with principals.principal_scope("platform_admin"):
            _require_member(member_id)
            return _bind(card_id, member_id, role, "CARD_BOUND")


def unbind_member(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    member_id: UUID | None = None,
    member_no: str = "",
    by_member_id: UUID | None = None,
) -> None:
    """Take a member off a shared card; their code for it dies.

    :param card_id: the card, or `card_no`: its number.
    :param member_id: whom to take off, or `member_no`: their number.
    :param by_member_id: the member who asks: themself, or the card's owner or admin; None: the
        platform.
    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises NotFoundError: the member is not bound to it.
    :raises PermissionDeniedError: whoever asks may not remove others.
    :raises CannotRemoveLastOwnerError: the member is its last owner.
    """
    which = _which(card_id, card_no)
    scope = (
        principals.principal_scope("member_app", by_member_id)
        if by_member_id
        else principals.principal_scope("platform_admin")
    )
    with (
        audit.refusals("CARD_UNBIND_REFUSED", object_type="card", object_id=card_no or card_id),
        scope,
    ):
        card = Card.objects.filter(**which).first()
        if card is None:
            raise CardNotFoundError
        # All owners are locked: two of them leaving at once cannot both be told they are not the
        # last.
        bindings = list(
            Binding.objects.select_for_update(of=("self",))
            .select_related("member")
            .filter(card=card)
            .order_by("id")
        )
        asking = next((each for each in bindings if each.member_id == by_member_id), None)
        if by_member_id is not None and asking is None:
            raise CardNotFoundError
        binding = next(
            (each for each in bindings if member_id == each.member_id)
            if member_id is not None
            else (each for each in bindings if member_no == each.member.number),
            None,
        )
        if asking is not None and asking is not binding and asking.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
        if binding is None:
            raise errors.NotFoundError("The member is not bound to this card.")
        owners = [each for each in bindings if each.role == Binding.Role.OWNER]
        if binding.role == Binding.Role.OWNER and len(owners) == 1:
            raise CannotRemoveLastOwnerError
        _end_code(card.id, binding.member_id)
        binding.delete()
        audit.record(
            "CARD_UNBOUND",
            object_type="card",
            object_id=card.number,
            details={"member": binding.member.number, "role": binding.role},
        )


def set_binding_password(*, card_id: UUID, password: str, by_member_id: UUID | None = None) -> None:
    """Set the password by which members join a shared card; empty takes it away.

    :param by_member_id: the member who asks, who must own the card; None: the platform.
    :raises CardNotFoundError: there is no such card, or whoever asks has no part in it.
    :raises PermissionDeniedError: whoever asks does not own it.
    :raises CardTypeNotShareableError: the card is not shared.
    """
    hashed = make_password(password) if password else ""
    scope = (
        principals.principal_scope("member_app", by_member_id)
        if by_member_id
        else principals.principal_scope("platform_admin")
    )
    with audit.refusals("BINDING_PASSWORD_REFUSED", object_type="card", object_id=card_id), scope:
        card = Card.objects.filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if by_member_id is not None:
            binding = Binding.objects.filter(card_id=card_id, member_id=by_member_id).first()
            if binding is None:
                raise CardNotFoundError
            if binding.role != Binding.Role.OWNER:
                raise errors.PermissionDeniedError
        if card.card_type not in SHAREABLE:
            raise CardTypeNotShareableError
        Card.objects.filter(id=card_id).update(binding_password=hashed)
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
        principals.principal_scope("member_app", member_id),
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
        principals.principal_scope("member_app", member_id),
    ):
        card = _require_bound(which, member_id).card
        _end_code(card.id, member_id)
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
        principals.principal_scope("platform_admin"),
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
        PaymentCode.objects.filter(card_id=card_id, ended_at=None).update(
            ended_at=DatabaseNow(), outcome="revoked"
        )
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
    """
    _member_lock(card_id, card_no, member_id, lock=False)


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
    """Write a card with its accounts and its owner's binding. Inside a scope."""
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
    Binding.objects.create(card=card, member_id=owner_id, role=Binding.Role.OWNER)
    return card


def _bind(card_id: UUID, member_id: UUID, role: str, action: str) -> Binding:
    card = Card.objects.filter(id=card_id).first()
    if card is None:
        raise CardNotFoundError
    if card.card_type not in SHAREABLE:
        raise CardTypeNotShareableError
    if card.status != Card.Status.ACTIVE:
        raise CardNotActiveError
    binding, made = Binding.objects.get_or_create(
        card=card, member_id=member_id, defaults={"role": role}
    )
    if made:
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"member": str(member_id), "role": role},
        )
    elif binding.role != role and action == "CARD_BOUND":
        raise errors.AlreadyExistsError("The member is bound to this card in another role.")
    return binding


def _require_member(member_id: UUID) -> None:
    if not Member.objects.filter(id=member_id).exists():
        raise errors.NotFoundError("There is no such member.")


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
        Binding.objects.select_related("card__owner", "member")
        .filter(member_id=member_id, **card)
        .first()
    )
    if binding is None:
        raise CardNotFoundError
    return binding


def _require_payable(binding: Binding) -> Card:
    """Return the card if its member could pay with it now."""
    card = binding.card
    if Member.Status.SUSPENDED in {binding.member.status, card.owner.status}:
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


def _end_code(card_id: UUID, member_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cards_paymentcode SET ended_at = core_now(), outcome = 'revoked'"
            " WHERE card_id = %s AND member_id = %s AND ended_at IS NULL",
            [card_id, member_id],
        )


def _change_status(
    card_id: UUID, status: str, action: str, reason: str, *, allowed: set[Card.Status]
) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="card", object_id=card_id),
        principals.principal_scope("platform_admin"),
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if card.status not in allowed:
            raise CardNotActiveError
        Card.objects.filter(id=card_id).update(
            status=status, status_reason=reason[:200], locked_by_member=False
        )
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
        principals.principal_scope("member_app", member_id),
    ):
        binding = _require_bound(which, member_id)
        if binding.role not in MAY_MANAGE:
            raise errors.PermissionDeniedError
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
