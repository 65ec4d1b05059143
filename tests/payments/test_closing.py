"""Paying a card out, closing it, and what comes after."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from cards import card_status
from cards.errors import CardNotEmptyError
from cards.models import Card
from mps.base.core import db_scope
from mps.base.core.errors import MpsError
from payments import cash_outs, refunds
from payments.errors import InsufficientBalanceError
from payments.idempotency import Answer
from tests import factories
from tests.concurrency.racing import run_together
from tests.snapshots import assert_refused, fetch


def cash_out(card: Card, amount: str, **fields: Any) -> Answer:
    return cash_outs.cash_out_card(
        **{
            "card_id": card.id,
            "amount": Decimal(amount),
            "scope_id": card.owner_id,
            "idempotency_key": factories.new_key(),
            "reason": "moving away",
            **fields,
        }
    )


def refund(till: Any, paid: Answer, amount: str) -> Answer:
    return refunds.refund_payment(
        till=till,
        tx_no=paid.body["tx_no"],
        amount=Decimal(amount),
        idempotency_key=factories.new_key(),
    )


def balance_of(kind: str) -> Decimal:
    return Decimal(
        fetch(
            "SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e"
            " JOIN ledger_account a ON a.id = e.account_id WHERE a.kind = %s",
            [kind],
        )
    )


def test_a_card_is_paid_out_once_for_one_key(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "80.00")

    first = cash_out(card, "30.00", idempotency_key="the-one")
    again = cash_out(card, "30.00", idempotency_key="the-one")

    assert (first.status, first.body["tx_no"][:3]) == (201, "OUT")
    assert (again.body, again.replayed) == (first.body, True)
    assert balance_of("card_money") == Decimal("50.00")
    assert balance_of("clearing") == Decimal("-50.00")


def test_no_more_is_paid_out_than_there_is(database: str) -> None:
    member, standard = factories.make_member()
    card = factories.make_prepaid(member, "80.00")

    assert_refused(
        lambda: cash_out(card, "80.01"), InsufficientBalanceError.code, action="CASH_OUT_FAILED"
    )
    assert_refused(
        lambda: cash_out(standard, "1.00"),
        "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE",
        action="CASH_OUT_FAILED",
    )


def test_only_an_empty_card_closes_and_it_never_reopens(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "80.00")
    code = factories.make_code(card, member)

    assert_refused(
        lambda: card_status.close_card(card_id=card.id),
        CardNotEmptyError.code,
        action="CARD_CLOSED_REFUSED",
    )
    cash_out(card, "80.00")
    card_status.close_card(card_id=card.id, reason="moving away")
    card_status.close_card(card_id=card.id, reason="again")

    assert_refused(
        lambda: card_status.unfreeze_card(card_id=card.id),
        "CARD_NOT_ACTIVE",
        action="CARD_UNFROZEN_REFUSED",
    )
    till = factories.make_till()
    assert_refused(
        lambda: factories.charge(till, code, "1.00"),
        "QR_EXPIRED_OR_INVALID",
        action="PAYMENT_FAILED",
    )
    assert factories.top_up(card, "1.00").body["code"] == "CARD_NOT_ACTIVE"


def test_a_refund_to_a_closed_card_is_unclaimed(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "80.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    paid = factories.charge(till, factories.make_code(card, member), "80.00")
    card_status.close_card(card_id=card.id)

    back = refund(till, paid, "80.00")

    assert (back.status, back.body["credited_to"]) == (201, "unclaimed")
    assert balance_of("unclaimed") == Decimal("80.00")


def close(card: Card) -> str:
    try:
        card_status.close_card(card_id=card.id)
    except MpsError as error:
        return error.code
    return "closed"


def test_closing_while_a_refund_or_a_top_up_arrives_never_leaves_money_on_a_closed_card(
    database: str,
) -> None:
    for _ in range(6):
        member, _standard = factories.make_member()
        card = factories.make_prepaid(member, "10.00", fixed_discount=Decimal(1))
        till = factories.make_till()
        paid = factories.charge(till, factories.make_code(card, member), "10.00")

        outcomes = run_together(
            [
                lambda till=till, paid=paid: refund(till, paid, "10.00").status,
                lambda card=card: factories.top_up(card, "5.00").status,
                lambda card=card: close(card),
            ]
        )

        with db_scope.principal_scope("platform_admin"):
            fresh = Card.objects.select_related("money_account").get(id=card.id)
        assert outcomes[0] == 201
        assert (outcomes[2] == "closed") == (fresh.status == "closed")
        assert outcomes[2] in {"closed", "CARD_NOT_EMPTY"}
        if fresh.status == "closed":
            assert fresh.money_account.balance == 0


@pytest.mark.parametrize("hold", [True, False])
def test_a_refund_waits_for_a_closing_under_way(
    unchecked_database: str, monkeypatch: Any, hold: bool
) -> None:
    """With `hold` off, the control: the refund credits a card that has just been closed."""
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "10.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    paid = factories.charge(till, factories.make_code(card, member), "10.00")
    if not hold:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT pg_get_functiondef('cards_hold'::regproc)")
            source = cursor.fetchone()[0]
            assert "PERFORM core_share_fact(held);" in source
            cursor.execute(source.replace("PERFORM core_share_fact(held);", ""))
    plan = refunds._plan_refund

    def close_before_plan(*args: Any) -> Any:
        # The card has been read; with the hold, closing it now has to wait and times out.
        with connections["owner"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            try:
                cursor.execute("UPDATE cards_card SET status = 'closed' WHERE id = %s", [card.id])
            except Exception as error:
                assert hold, error
            finally:
                cursor.execute("RESET lock_timeout")
        return plan(*args)

    monkeypatch.setattr(refunds, "_plan_refund", close_before_plan)

    back = refund(till, paid, "10.00")

    closed = fetch("SELECT status = 'closed' FROM cards_card WHERE id = %s", [card.id])
    assert (closed, back.body["credited_to"]) == (not hold, "card")
