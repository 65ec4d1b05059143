"""What a payment costs and earns: examples as a table, and what holds for all of them."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cards import pricing

D = Decimal
CENT = D("0.01")
AMOUNTS = st.decimals("0.01", "9999999.99", places=2)
RATES = st.none() | st.decimals("0.0001", "1", places=4)
TYPES = st.sampled_from(["STD", "PPD", "COR", "VCH"])
PERCENTS = st.decimals("0.01", "100", places=2)
VOUCHERS = st.none() | st.one_of(
    st.builds(
        pricing.VoucherTerms,
        st.just("percent"),
        PERCENTS,
        st.just(D(0)),
    ),
    st.builds(
        pricing.VoucherTerms,
        st.just("amount"),
        st.decimals("0.01", "9999999", places=2),
        st.just(D(0)),
    ),
)


@pytest.mark.parametrize(
    ("card_type", "fixed", "tier", "corporate", "expected"),
    [
        # Standard: tier, or the corporate card's discount where it is better.
        ("STD", None, "1.00", None, "1.00"),
        ("STD", None, "0.95", None, "0.95"),
        ("STD", None, "0.95", "0.90", "0.90"),
        ("STD", None, "0.85", "0.90", "0.85"),
        ("STD", None, None, "0.90", "0.90"),
        # Prepaid: its fixed discount replaces the tier, better or not.
        ("PPD", "0.95", "0.85", None, "0.95"),
        ("PPD", "0.95", "1.00", None, "0.95"),
        ("PPD", None, "0.90", None, "0.90"),
        ("PPD", None, "0.95", "0.50", "0.95"),
        # Corporate: its fixed discount, else none; never a tier.
        ("COR", "0.90", None, None, "0.90"),
        ("COR", None, "0.85", None, "1"),
        # Voucher: no rate of its own.
        ("VCH", None, None, None, "1"),
        ("VCH", "0.50", "0.50", "0.50", "1"),
    ],
)
def test_the_best_single_discount_of_a_card(card_type, fixed, tier, corporate, expected) -> None:
    rate = pricing.card_rate(
        card_type, *(None if value is None else D(value) for value in (fixed, tier, corporate))
    )

    assert rate == D(expected)


@pytest.mark.parametrize(
    ("amount", "rate", "voucher", "final"),
    [
        ("299.00", "0.95", None, "284.05"),
        ("0.01", "0.95", None, "0.01"),
        ("0.10", "0.95", None, "0.10"),  # 0.095: half up
        ("0.30", "0.85", None, "0.26"),  # 0.255: half up, not to even
        ("0.01", "0.0001", None, "0.00"),
        ("100.00", "1", ("percent", "20"), "80.00"),
        ("100.00", "0.95", ("percent", "20"), "76.00"),
        ("0.33", "0.95", ("percent", "50"), "0.16"),  # 0.15675: rounded once, at the end
        ("100.00", "0.95", ("amount", "15"), "80.00"),
        ("10.00", "0.95", ("amount", "15"), "0.00"),
        ("10.00", "1", ("percent", "100"), "0.00"),
        ("1.00", "0.9960", ("amount", "1"), "0.00"),  # -0.004: never -0.00
        ("9999999.99", "1", None, "9999999.99"),
    ],
)
def test_prices(amount, rate, voucher, final) -> None:
    terms = pricing.VoucherTerms(voucher[0], D(voucher[1]), D(0)) if voucher else None

    price = pricing.price(
        amount=D(amount),
        card_type="PPD",
        fixed_discount=D(rate),
        tier_rate=None,
        corporate_rate=None,
        voucher=terms,
    )

    assert str(price.final_amount) == final
    assert price.discount_amount == D(amount) - D(final)
    assert price.discount_rate == D(rate)


@given(AMOUNTS, TYPES, RATES, RATES, RATES, VOUCHERS)
def test_a_price_is_never_negative_and_never_above_the_amount(
    amount, card_type, fixed, tier, corporate, voucher
) -> None:
    price = pricing.price(
        amount=amount,
        card_type=card_type,
        fixed_discount=fixed,
        tier_rate=tier,
        corporate_rate=corporate,
        voucher=voucher,
    )

    assert 0 <= price.final_amount <= amount
    assert price.final_amount + price.discount_amount == amount
    assert price.final_amount == price.final_amount.quantize(CENT)
    assert not price.final_amount.is_signed()


@given(AMOUNTS, TYPES, RATES, RATES, RATES)
def test_a_voucher_never_makes_it_dearer(amount, card_type, fixed, tier, corporate) -> None:
    facts = {
        "amount": amount,
        "card_type": card_type,
        "fixed_discount": fixed,
        "tier_rate": tier,
        "corporate_rate": corporate,
    }
    voucher = pricing.VoucherTerms("amount", CENT, D(0))

    without = pricing.price(**facts).final_amount
    assert pricing.price(**facts, voucher=voucher).final_amount <= without


@pytest.mark.parametrize(
    ("card_type", "basis", "points"),
    [
        ("STD", "list", 299),
        ("PPD", "list", 299),
        ("STD", "paid", 284),
        ("COR", "list", 0),
        ("VCH", "list", 0),
    ],
)
def test_points_earned(card_type: str, basis: str, points: int) -> None:
    price = pricing.Price(D("299.99"), D("0.95"), D("284.99"))

    assert pricing.points_earned(price=price, card_type=card_type, basis=basis) == points


def test_points_of_a_refund_by_example() -> None:
    # 299 points on 284.05 paid; 50.00 given back takes floor(299 x 50.00 / 284.05) = 52.
    first = pricing.share_of_refund(
        total=D(299), refunded_after=D(50), paid=D("284.05"), given_before=D(0), unit=D(1)
    )
    rest = pricing.share_of_refund(
        total=D(299), refunded_after=D("284.05"), paid=D("284.05"), given_before=first, unit=D(1)
    )

    assert (first, rest) == (52, 247)


@given(
    paid=AMOUNTS,
    total=st.integers(0, 10_000_000),
    parts=st.lists(st.integers(1, 1000), min_size=1, max_size=12),
    unit=st.sampled_from([D(1), CENT]),
)
def test_many_refunds_give_back_what_one_would(paid, total, parts, unit) -> None:
    whole = D(total) * unit
    # Cut the paid amount into as many refunds as there are parts, in cents.
    cents = int(paid * 100)
    cuts = [cents * sum(parts[: n + 1]) // sum(parts) for n in range(len(parts))]
    assume(cuts[-1] == cents)
    given_back = D(0)
    for cut in cuts:
        share = pricing.share_of_refund(
            total=whole, refunded_after=D(cut) / 100, paid=paid, given_before=given_back, unit=unit
        )
        assert share >= 0
        assert share % unit == 0
        given_back += share
        assert given_back <= whole

    assert given_back == whole
