"""Decide a charge, between its read and its write.

Pure: facts in, a price or a refusal out.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from cards import pricing
from cards.errors import (
    CodeExpiredOrInvalidError,
    UnsupportedCardTypeForPaymentError,
    VoucherNotApplicableError,
)
from cards.models import Binding, Card, CardType
from members.errors import MemberSuspendedError
from merchants.selectors import Till
from mps.base.core.errors import MpsError, PermissionDeniedError
from mps.base.core.money import round_money
from payments.errors import LimitExceededError
from payments.selectors import CardFacts, StoredFacts

BALANCE = "balance"
# What was paid outside of MPS, and is only written down here, with what people call it.
OUTSIDE_METHODS = {"cash": _("Cash"), "wechat": "WeChat", "alipay": "Alipay"}
METHODS = {BALANCE: _("Card balance"), **OUTSIDE_METHODS}


def name_method(method: str) -> Any:
    """Return what people call a payment method; as it is if it has no name here, or a dash."""
    return METHODS.get(method, method) or "–"


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """What the till asks for, checked and normalised."""

    code: str
    amount: Decimal
    external_order_id: str = ""
    payment_method: str = BALANCE
    voucher_code: str = ""
    tag: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be written:

    A price with its moves, or a refusal with the price it would have had.
    """

    refusal: MpsError | None
    price: pricing.Price
    points: int
    fee: Decimal
    moves: dict[UUID, Decimal]
    # What each subject with a daily limit may pay in a day; the write knows what it has paid.
    day_limits: dict[UUID, Decimal] = field(default_factory=dict)


def decide(
    request: ChargeRequest,
    *,
    till: Till,
    stored: StoredFacts,
    card: CardFacts,
    voucher: CardFacts | None,
    points_basis: str,
) -> Decision:
    """Decide a charge whose codes are live.

    A card refused is recorded as a failed transaction, its code burnt: a balance cannot be probed.
    """
    terms = _terms(card if card.card_type == CardType.VOUCHER else voucher)
    price = pricing.price(
        amount=request.amount,
        card_type=card.card_type,
        fixed_discount=card.fixed_discount,
        tier_rate=card.tier_rate,
        corporate_rate=card.corporate_rate,
        voucher=terms,
    )
    refusal = (
        _refusal(request, till, card)
        or _voucher_refusal(request, till, card, voucher)
        or _limit_refusal(price, stored, card)
    )
    if refusal is not None:
        return Decision(
            refusal, pricing.Price(request.amount, Decimal(1), request.amount), 0, Decimal(0), {}
        )
    points = pricing.points_earned(price=price, card_type=card.card_type, basis=points_basis)
    moves: dict[UUID, Decimal] = {}
    fee = Decimal("0.00")
    if request.payment_method == BALANCE:
        # Outside payments are the shop's own: not owed, no fee.
        fee = round_money(price.final_amount * stored.merchant_fee_rate)
        if price.final_amount and card.money_account_id:
            moves[card.money_account_id] = -price.final_amount
            moves[till.account_id] = price.final_amount
    if points and card.points_account_id:
        moves[card.points_account_id] = Decimal(points)
        moves[stored.points_issue_id] = Decimal(-points)
    return Decision(None, price, points, fee, moves, _day_limits(till, stored, card))


def require_live(card: CardFacts | None) -> CardFacts:
    """Return the facts of a code that may be used now.

    :raises CodeExpiredOrInvalidError: unknown, expired, used and revoked alike.
    """
    if card is None or not card.code_live:
        raise CodeExpiredOrInvalidError
    return card


def _refusal(request: ChargeRequest, till: Till, card: CardFacts) -> MpsError | None:
    if not card.member_active or not card.owner_active:
        return MemberSuspendedError()
    stopped = Card.Status(card.card_status).refusal(is_past=card.card_expired)
    if stopped is not None:
        return stopped
    if card.role is None or not Binding.Role(card.role).may_pay:
        return PermissionDeniedError()
    outside = request.payment_method != BALANCE
    if outside == CardType(card.card_type).holds_money:
        # Standard cards and vouchers have no balance; prepaid and corporate cards pay by theirs
        # only.
        return UnsupportedCardTypeForPaymentError()
    return None


def _voucher_refusal(
    request: ChargeRequest, till: Till, card: CardFacts, voucher: CardFacts | None
) -> MpsError | None:
    if voucher is None:
        voucher = card if card.card_type == CardType.VOUCHER else None
        if voucher is None:
            return None
    elif card.card_type == CardType.VOUCHER or voucher.card_type != CardType.VOUCHER:
        # Two vouchers, or no voucher at all.
        return VoucherNotApplicableError()
    if (
        voucher.voucher_used
        or Card.Status(voucher.card_status).refusal(is_past=voucher.card_expired)
        or not voucher.member_active
        or request.amount < (voucher.voucher_min_spend or 0)
        or (voucher.voucher_merchants and till.merchant_id not in voucher.voucher_merchants)
    ):
        return VoucherNotApplicableError()
    return None


def _limit_refusal(price: pricing.Price, stored: StoredFacts, card: CardFacts) -> MpsError | None:
    """Hold what is paid against the limits per payment of card, binding, member and shop."""
    limits = (card.limit_per_payment, stored.merchant_limit_per_payment)
    if any(limit is not None and price.final_amount > limit for limit in limits):
        return LimitExceededError()
    return None


def _day_limits(till: Till, stored: StoredFacts, card: CardFacts) -> dict[UUID, Decimal]:
    limits = {
        card.card_id: card.card_limit_per_day,
        card.binding_id: card.binding_limit_per_day,
        card.member_id: card.member_limit_per_day,
        till.merchant_id: stored.merchant_limit_per_day,
    }
    return {subject: limit for subject, limit in limits.items() if subject and limit is not None}


def _terms(voucher: CardFacts | None) -> pricing.VoucherTerms | None:
    if voucher is None or voucher.voucher_kind is None or voucher.voucher_value is None:
        return None
    return pricing.VoucherTerms(
        voucher.voucher_kind, voucher.voucher_value, voucher.voucher_min_spend or Decimal(0)
    )
