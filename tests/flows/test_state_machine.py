"""Whatever is done in whatever order: balances, points and states are those of a small model."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cards import card_status
from cards.selectors import balances_of
from mps.base.core import invariants
from mps.base.core.errors import MpsError
from payments import points as payment_points
from payments import refunds
from tests import factories

CENT = Decimal("0.01")
FEE_RATE = Decimal("0.02")
TIERS = ((10_000, "0.85"), (5_000, "0.90"), (1_000, "0.95"), (0, "1"))
AMOUNTS = st.one_of(
    st.sampled_from(["0.01", "0.99", "1.00", "99.99", "100.00", "1000.00", "4999.99"]),
    st.decimals("0.01", "3000", places=2).map(str),
)
SMALL = st.integers(1, 100)


@dataclass
class ModelCard:
    """What a card should be: prepaid with a fixed discount, prepaid by tier, or standard."""

    real: Any
    standard: bool
    fixed: Decimal | None
    status: str = "active"
    money: Decimal = Decimal(0)
    points: int = 0

    @property
    def rate(self) -> Decimal:
        if self.fixed is not None:
            return self.fixed
        return next(Decimal(rate) for least, rate in TIERS if self.points >= least)


@dataclass
class ModelPayment:
    """What a payment should be."""

    card: ModelCard
    tx_no: str
    order: str
    paid: Decimal
    points: int
    by_balance: bool
    refunded: Decimal = Decimal(0)
    points_taken: int = 0
    status: str = "completed"

    def give_back(self, amount: Decimal, status: str) -> None:
        """Give part of it back: points by cumulative allocation, never below zero on the card."""
        self.refunded += amount
        whole = self.refunded == self.paid
        due = self.points if whole else int(self.points * self.refunded / self.paid)
        taken = min(due - self.points_taken, self.card.points)
        self.points_taken = due
        self.card.points -= taken
        if self.by_balance:
            self.card.money += amount
        if whole:
            self.status = status


@dataclass
class Attempt:
    """A charge as it was sent, with its answer, to be sent again."""

    code: str
    amount: str
    key: str
    order: str
    method: str
    status: int
    body: dict[str, Any] = field(default_factory=dict)


class Shop(RuleBasedStateMachine):
    """A shop, three cards, and everything that can be done with them."""

    live_codes = Bundle("live_codes")
    attempts = Bundle("attempts")
    paid = Bundle("paid")

    @initialize()
    def open_shop(self) -> None:
        self.member, standard = factories.make_member()
        self.till = factories.make_till(fee_rate=FEE_RATE)
        fixed = factories.make_prepaid(self.member, "2000.00", fixed_discount="0.95")
        by_tier = factories.make_prepaid(self.member, "5000.00")
        self.cards = [
            ModelCard(fixed, False, Decimal("0.95"), money=Decimal(2000)),
            ModelCard(by_tier, False, None, money=Decimal(5000), points=990),
            ModelCard(standard, True, None, points=4990),
        ]
        for card in self.cards[1:]:
            payment_points.adjust_points(card_id=card.real.id, delta=card.points)
        self.payments: list[ModelPayment] = []
        self.current_code: dict[int, str] = {}
        self.shop_total = Decimal(0)

    # --- codes and charges -----------------------------------------------------------------------

    @rule(target=live_codes, which=st.integers(0, 2))
    def make_a_code(self, which: int) -> Any:
        return self.make_code(which)

    def make_code(self, which: int) -> Any:
        card = self.cards[which]
        if card.status != "active":
            with pytest.raises(MpsError) as refused:
                factories.make_code(card.real, self.member)
            assert refused.value.code == "CARD_NOT_ACTIVE"
            return multiple()
        code = factories.make_code(card.real, self.member)
        self.current_code[which] = code  # the one before is dead
        return which, code

    @rule(target=attempts, live=consumes(live_codes), amount=AMOUNTS, with_order=st.booleans())
    def charge(self, live: tuple[int, str], amount: str, with_order: bool) -> Any:
        return self._charge(*live, amount, with_order)

    @rule(target=attempts, which=st.integers(0, 2), amount=AMOUNTS, with_order=st.booleans())
    def make_code_and_charge(self, which: int, amount: str, with_order: bool) -> Any:
        if self.cards[which].status != "active":
            return multiple()
        return self._charge(*self.make_code(which), amount, with_order)

    def _charge(self, which: int, code: str, amount: str, with_order: bool) -> Any:
        card = self.cards[which]
        key = factories.new_key()
        order = f"O-{key[:20]}" if with_order else ""
        method = "cash" if card.standard else "balance"
        sent = {
            "external_order_id": order,
            "payment_method": method,
            "idempotency_key": key,
        }
        if self.current_code.get(which) != code:
            with pytest.raises(MpsError) as refused:
                factories.charge(self.till, code, amount, **sent)
            assert refused.value.code == "QR_EXPIRED_OR_INVALID"
            return multiple()
        del self.current_code[which]  # burnt, also when declined

        answer = factories.charge(self.till, code, amount, **sent)

        final = (Decimal(amount) * card.rate).quantize(CENT, ROUND_HALF_UP)
        attempt = Attempt(code, amount, key, order, method, answer.status, answer.body)
        if card.status != "active":
            assert (answer.status, answer.body["code"]) == (409, "CARD_NOT_ACTIVE")
            return attempt
        if not card.standard and card.money < final:
            assert (answer.status, answer.body["code"]) == (402, "INSUFFICIENT_BALANCE")
            return attempt
        assert answer.status == 201
        assert Decimal(answer.body["final_amount"]) == final
        assert Decimal(answer.body["discount_rate"]) == card.rate
        points = int(Decimal(amount))
        assert answer.body["points_earned"] == points
        card.points += points
        if not card.standard:
            card.money -= final
            assert Decimal(answer.body["balance_after"]) == card.money
            self.shop_total += final
        self.payments.append(
            ModelPayment(card, answer.body["tx_no"], order, final, points, not card.standard)
        )
        return attempt

    @rule(attempt=attempts)
    def charge_again_with_the_same_key(self, attempt: Attempt) -> None:
        payment = next((each for each in self.payments if each.order == attempt.order), None)
        if attempt.order and payment is not None and payment.status == "cancelled":
            with pytest.raises(MpsError) as refused:
                self._send(attempt, attempt.key)
            assert refused.value.code == "ORDER_REVERSED"
            return
        again = self._send(attempt, attempt.key)
        assert again.replayed
        assert (again.status, again.body) == (attempt.status, attempt.body)

    @rule(attempt=attempts)
    def use_a_key_for_another_amount(self, attempt: Attempt) -> None:
        if attempt.order:
            return  # the order speaks first, once reversed
        other = Attempt(attempt.code, "123.45", attempt.key, "", attempt.method, 0)
        if attempt.amount == "123.45":
            return
        with pytest.raises(MpsError) as refused:
            self._send(other, attempt.key)
        assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"

    @rule(attempt=attempts)
    def charge_a_used_code(self, attempt: Attempt) -> None:
        burnt = Attempt(attempt.code, attempt.amount, "", "", attempt.method, 0)
        with pytest.raises(MpsError) as refused:
            self._send(burnt, factories.new_key())
        assert refused.value.code == "QR_EXPIRED_OR_INVALID"

    def _send(self, attempt: Attempt, key: str) -> Any:
        return factories.charge(
            self.till,
            attempt.code,
            attempt.amount,
            external_order_id=attempt.order,
            payment_method=attempt.method,
            idempotency_key=key,
        )

    # --- giving back -----------------------------------------------------------------------------

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), percent=SMALL)
    def refund_a_part(self, data: st.DataObject, percent: int) -> None:
        payment = data.draw(st.sampled_from(self.payments))
        remaining = payment.paid - payment.refunded
        amount = max((remaining * percent / 100).quantize(CENT), CENT)
        self._refund(payment, amount)

    @precondition(lambda self: self.payments)
    @rule(data=st.data())
    def refund_too_much(self, data: st.DataObject) -> None:
        payment = data.draw(st.sampled_from(self.payments))
        self._refund(payment, payment.paid - payment.refunded + CENT)

    def _refund(self, payment: ModelPayment, amount: Decimal) -> None:
        key = factories.new_key()
        answers = [
            refunds.refund_payment(
                till=self.till, tx_no=payment.tx_no, amount=amount, idempotency_key=key
            )
            for _ in range(2)
        ]
        assert answers[0].body == answers[1].body
        assert [each.replayed for each in answers] == [False, True]
        answer = answers[0]
        if payment.status != "completed":
            assert (answer.status, answer.body["code"]) == (
                409,
                "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
            )
        elif amount > payment.paid - payment.refunded:
            assert (answer.status, answer.body["code"]) == (409, "REFUND_EXCEEDS_REMAINING")
        else:
            assert answer.status == 201
            payment.give_back(amount, "refunded")
            if payment.by_balance:
                self.shop_total -= amount
            assert Decimal(answer.body["refunded_total"]) == payment.refunded
            assert Decimal(answer.body["remaining"]) == payment.paid - payment.refunded

    @precondition(lambda self: any(each.order for each in self.payments))
    @rule(data=st.data())
    def reverse_an_order(self, data: st.DataObject) -> None:
        payment = data.draw(st.sampled_from([each for each in self.payments if each.order]))
        first = refunds.reverse_order(till=self.till, external_order_id=payment.order)
        again = refunds.reverse_order(till=self.till, external_order_id=payment.order)
        assert first == again
        assert first["status"] == "cancelled"
        if payment.status == "completed":
            if payment.by_balance:
                self.shop_total -= payment.paid - payment.refunded
            payment.give_back(payment.paid - payment.refunded, "cancelled")
        payment.status = "cancelled"

    @rule()
    def reverse_an_order_nobody_has_seen(self) -> None:
        order = f"O-{factories.new_key()[:20]}"
        answer = refunds.reverse_order(till=self.till, external_order_id=order)
        assert answer == {"external_order_id": order, "status": "cancelled"}
        card = self.cards[0]
        if card.status == "active":
            self.current_code[0] = factories.make_code(card.real, self.member)
            with pytest.raises(MpsError) as refused:
                factories.charge(self.till, self.current_code[0], "1.00", external_order_id=order)
            assert refused.value.code == "ORDER_REVERSED"

    # --- cards -----------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), amount=AMOUNTS)
    def top_up(self, which: int, amount: str) -> None:
        card = self.cards[which]
        answer = factories.top_up(card.real, amount)
        if card.status == "active":
            assert answer.status == 201
            card.money += Decimal(amount)
        else:
            assert (answer.status, answer.body["code"]) == (409, "CARD_NOT_ACTIVE")

    @rule(amount=AMOUNTS)
    def top_up_a_standard_card(self, amount: str) -> None:
        answer = factories.top_up(self.cards[2].real, amount)
        assert (answer.status, answer.body["code"]) == (409, "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE")

    @rule(which=st.integers(0, 2))
    def freeze(self, which: int) -> None:
        card_status.freeze_card(card_id=self.cards[which].real.id)
        self.cards[which].status = "frozen"

    @rule(which=st.integers(0, 2))
    def unfreeze(self, which: int) -> None:
        card_status.unfreeze_card(card_id=self.cards[which].real.id)
        self.cards[which].status = "active"

    @rule(which=st.integers(0, 2), delta=st.sampled_from([1, 999, 4000, -1, -500, -5000]))
    def adjust_points(self, which: int, delta: int) -> None:
        card = self.cards[which]
        if card.points + delta < 0:
            with pytest.raises(MpsError) as refused:
                payment_points.adjust_points(card_id=card.real.id, delta=delta)
            assert refused.value.code == "INSUFFICIENT_BALANCE"
            return
        payment_points.adjust_points(card_id=card.real.id, delta=delta)
        card.points += delta

    # --- what must be so after each --------------------------------------------------------------

    @invariant()
    def balances_are_the_model_s(self) -> None:
        for card in getattr(self, "cards", ()):
            money, points = balances_of(card.real)
            assert (money or Decimal(0), points) == (card.money, card.points), card

    def teardown(self) -> None:
        if not hasattr(self, "cards"):
            return
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT tx_no, status, refunded_total FROM payments_transaction")
            found = {number: rest for number, *rest in cursor.fetchall()}
            for payment in self.payments:
                assert found[payment.tx_no] == [payment.status, payment.refunded], payment
            cursor.execute(
                "SELECT coalesce(sum(amount), 0) FROM ledger_entry WHERE account_id = %s",
                [self.till.account_id],
            )
            assert cursor.fetchone()[0] == self.shop_total
            cursor.execute("SELECT status FROM cards_card WHERE id = %s", [self.cards[0].real.id])
            assert cursor.fetchone()[0] == self.cards[0].status
        assert invariants.check() == []


def test_the_shop_does_what_the_model_says(database: str) -> None:
    """Every example has its own shop and cards, all of them in one database."""
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
