"""Look up cards with their balances, bindings and payment codes."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import (
    Case,
    CharField,
    F,
    Func,
    JSONField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from cards import codes, pricing
from cards.errors import CardNotFoundError
from cards.models import Binding, Card, CardType, PaymentCode, Tier, Voucher
from members.models import Member
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope, principal_scope
from mps.base.core.errors import NotFoundError

_NUMBER = re.compile(r"(STD|PPD|COR|VCH)[0-9]{8,11}", re.ASCII)
_MEMBER_NUMBER = re.compile(r"M[0-9]{8,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VoucherShop:
    """A shop that takes a voucher."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class OwnVoucher:
    """What a voucher is good for; no `merchants`: it is good everywhere."""

    kind: str
    value: Decimal
    min_spend: Decimal
    merchants: list[VoucherShop]
    used: bool


@dataclass(frozen=True, slots=True)
class OwnCard:
    """A card as a member bound to it sees it. What a card of its type has not, is None.

    `discount_rate` is what it would bring now; a card whose time is over is shown as `expired`;
    `next_tier` begins at `next_tier_points` and is None at the top.
    """

    card_id: UUID
    card_no: str
    card_type: str
    name: str
    status: str
    role: str
    balance: Decimal | None
    points: int | None
    tier: str | None
    level: int | None
    next_tier: str | None
    next_tier_points: int | None
    discount_rate: Decimal
    expires_at: datetime | None
    voucher: OwnVoucher | None


class _ShopsOf(Func):
    """The shops of these ids, by code, as JSON: what everybody may know of them.

    Within the statement of the cards, so that a list costs no more than one card.
    """

    template = (
        "(SELECT coalesce(jsonb_agg(jsonb_build_object('code', shop.code, 'name', shop.name)"
        " ORDER BY shop.code), '[]'::jsonb)"
        " FROM unnest(%(expressions)s) AS allowed (id), merchants_name(allowed.id) AS shop)"
    )
    arity = 1
    output_field = JSONField()


def balances_of(card: Card) -> tuple[Decimal | None, int | None]:
    """Return a card's money and points, None where it has none of the kind."""
    with principal_scope("platform_admin"):
        fresh = Card.objects.select_related("money_account", "points_account").get(id=card.id)
        money = fresh.money_account.balance if fresh.money_account else None
        points = fresh.points_account.balance if fresh.points_account else None
    return money, None if points is None else int(points)


def own_cards(scope: Scope, member_id: UUID) -> QuerySet[Binding]:
    """Return a member's bindings with all that `to_own_card` needs, in one statement."""
    points = OuterRef("card__points_account__balance")
    tiers = Tier.objects.filter(min_points__lte=points).order_by("-min_points")
    above = Tier.objects.filter(min_points__gt=points).order_by("min_points")
    corporate = (
        Binding.objects.filter(
            Q(card__expires_at=None) | Q(card__expires_at__gt=DatabaseNow()),
            member_id=OuterRef("member_id"),
            card__card_type=CardType.CORPORATE,
            card__status=Card.Status.ACTIVE,
        )
        .values("member_id")
        .annotate(best=Min("card__fixed_discount"))
        .values("best")
    )
    return (
        Binding.objects.filter(member_id=member_id)
        .select_related("card__money_account", "card__points_account", "card__voucher")
        .annotate(
            card_no=F("card__number"),
            voucher_shops=_ShopsOf("card__voucher__merchant_ids"),
            tier_code=Subquery(tiers.values("code")[:1]),
            tier_level=Subquery(tiers.values("level")[:1]),
            tier_rate=Subquery(tiers.values("rate")[:1]),
            next_tier=Subquery(above.values("code")[:1]),
            next_tier_points=Subquery(above.values("min_points")[:1]),
            corporate_rate=Subquery(corporate),
            status_now=Case(
                When(
                    card__status=Card.Status.ACTIVE,
                    card__expires_at__lte=DatabaseNow(),
                    then=Value(Card.Status.EXPIRED.value),
                ),
                default=F("card__status"),
                output_field=CharField(),
            ),
        )
    )


def to_own_card(binding: Any) -> OwnCard:
    """Return what a member sees of a card, from a row of `own_cards`."""
    card = binding.card
    points = card.points_account.balance if card.points_account else None
    return OwnCard(
        card_id=card.id,
        card_no=card.number,
        card_type=card.card_type,
        name=card.name,
        status=binding.status_now,
        role=binding.role,
        balance=card.money_account.balance if card.money_account else None,
        points=None if points is None else int(points),
        tier=binding.tier_code,
        level=binding.tier_level,
        next_tier=binding.next_tier,
        next_tier_points=binding.next_tier_points,
        discount_rate=pricing.card_rate(
            card.card_type, card.fixed_discount, binding.tier_rate, binding.corporate_rate
        ),
        expires_at=card.expires_at,
        voucher=_to_own_voucher(card.voucher, binding.voucher_shops)
        if card.card_type == CardType.VOUCHER
        else None,
    )


def _to_own_voucher(voucher: Voucher, shops: list[dict[str, str]]) -> OwnVoucher:
    return OwnVoucher(
        kind=voucher.kind,
        value=voucher.value,
        min_spend=voucher.min_spend,
        merchants=[VoucherShop(**shop) for shop in shops],
        used=voucher.used_by_tx_id is not None,
    )


def get_own_card(scope: Scope, *, card_no: str, member_id: UUID) -> OwnCard:
    """Return a card the member is bound to.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    binding = own_cards(scope, member_id).filter(card__number=require_number(card_no)).first()
    if binding is None:
        raise CardNotFoundError
    return to_own_card(binding)


def show_own_card(*, card_no: str, member_id: UUID) -> OwnCard:
    """Return the same after the member did something with it."""
    with principal_scope("member_app", member_id) as scope:
        return get_own_card(scope, card_no=card_no, member_id=member_id)


def bindings_of(scope: Scope, *, card_no: str, member_id: UUID) -> QuerySet[Binding]:
    """Return who may use a card that this member may use, too.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    mine = Binding.objects.filter(card__number=require_number(card_no), member_id=member_id).first()
    if mine is None:
        raise CardNotFoundError
    return Binding.objects.filter(card_id=mine.card_id).annotate(
        person_no=Func("id", function="cards_bound_number", output_field=CharField()),
        person_name=Func("id", function="cards_bound_name", output_field=CharField()),
    )


def with_person(binding: Any) -> Binding:
    """Return a row of `bindings_of` with what the others on a card may know of its member."""
    binding.member = Member(
        id=binding.member_id, number=binding.person_no, name=binding.person_name
    )
    row: Binding = binding
    return row


def owner_is_active(scope: Scope, card_id: UUID) -> bool:
    """Return whether the owner of a card may act; a member need not see who that is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_owner_is_active(%s)", [card_id])
        return bool(cursor.fetchone()[0])


def show_current_code(scope: Scope, *, card_no: str, member_id: UUID) -> codes.ShownCode:
    """Return the member's live code for a card again, from its nonce.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises NotFoundError: no code is live: none was made, or it is expired, used or revoked.
    """
    mine = Binding.objects.filter(card__number=require_number(card_no), member_id=member_id).first()
    if mine is None:
        raise CardNotFoundError
    live = PaymentCode.objects.filter(
        card_id=mine.card_id, member_id=member_id, ended_at=None, expires_at__gt=DatabaseNow()
    ).first()
    code = (
        codes.recover_code(live.key_id, bytes(live.nonce), bytes(live.code_hash)) if live else None
    )
    if live is None or code is None:
        raise NotFoundError("There is no active payment code. Create one.")
    return codes.ShownCode(code, live.issued_at, live.expires_at)


def require_number(text: str) -> str:
    """Return a card number that has the form of one.

    :raises CardNotFoundError: it has not, so there is no such card.
    """
    if not _NUMBER.fullmatch(text):
        raise CardNotFoundError
    return text


def require_member_number(text: str) -> str:
    """Return a member number that has the form of one.

    :raises NotFoundError: it has not, so nobody has it.
    """
    if not _MEMBER_NUMBER.fullmatch(text):
        raise NotFoundError("Member not found.")
    return text
