"""Price a payment and its points. Pure functions: no database, no clock, no settings.

Rules: docs/rules.md#discounts-and-prices.
"""

from dataclasses import dataclass
from decimal import Decimal

from cards.models import CardType, Voucher
from mps.base.core.money import round_money

NO_DISCOUNT = Decimal(1)


@dataclass(frozen=True, slots=True)
class VoucherTerms:
    """What a voucher takes off, and from what list amount on."""

    kind: str
    value: Decimal
    min_spend: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """What is paid.

    `discount_rate` is the card's; the voucher's part shows in `discount_amount` only.
    """

    amount: Decimal
    discount_rate: Decimal
    final_amount: Decimal

    @property
    def discount_amount(self) -> Decimal:
        """What is taken off in all."""
        return self.amount - self.final_amount


def price(
    *,
    amount: Decimal,
    card_type: str,
    fixed_discount: Decimal | None,
    tier_rate: Decimal | None,
    corporate_rate: Decimal | None,
    voucher: VoucherTerms | None = None,
) -> Price:
    """Price a payment: the card's best single discount, then the voucher, rounded half up once.

    Rule R-PRICE-3.

    :param fixed_discount: of the card itself (prepaid, corporate); replaces the tier.
    :param tier_rate: by the points before this payment.
    :param corporate_rate: the best fixed discount of the corporate cards the member is bound to.
    """
    rate = card_rate(card_type, fixed_discount, tier_rate, corporate_rate)
    exact = amount * rate
    if voucher is not None:
        if voucher.kind == Voucher.Kind.PERCENT:
            exact *= 1 - voucher.value / 100
        else:
            exact -= voucher.value
    # Not negative before it is rounded: -0.004 would become -0.00.
    return Price(amount, rate, round_money(max(exact, Decimal(0))))


def card_rate(
    card_type: str,
    fixed_discount: Decimal | None,
    tier_rate: Decimal | None,
    corporate_rate: Decimal | None,
) -> Decimal:
    """Return the best single discount a card brings, as the factor the amount is multiplied by.

    Rule R-PRICE-1.
    """
    by_tier = tier_rate if tier_rate is not None else NO_DISCOUNT
    match card_type:
        case CardType.STANDARD:
            return min(by_tier, corporate_rate if corporate_rate is not None else NO_DISCOUNT)
        case CardType.PREPAID:
            return fixed_discount if fixed_discount is not None else by_tier
        case CardType.CORPORATE:
            return fixed_discount if fixed_discount is not None else NO_DISCOUNT
    return NO_DISCOUNT


def points_earned(*, price: Price, card_type: str, basis: str) -> int:
    """Return the points a payment adds: whole units of the list or the paid amount (R-PTS-1)."""
    if not CardType(card_type).earns_points:
        return 0
    return int(price.amount if basis == "list" else price.final_amount)


def share_of_refund(
    *, total: Decimal, refunded_after: Decimal, paid: Decimal, given_before: Decimal, unit: Decimal
) -> Decimal:
    """Return what a refund gives back of `total` (points or fee), so that many refunds give what
    one would.

    Cumulative: `floor(total × refunded_after / paid)` to `unit`, less what earlier refunds gave;
    all of it at the full refund (R-REF-3, R-PTS-4).

    :param refunded_after: refunded money including this refund.
    :param unit: 1 for points, 0.01 for money.
    """
    if refunded_after >= paid:
        return total - given_before
    due = (total * refunded_after / paid) // unit * unit
    return due - given_before
