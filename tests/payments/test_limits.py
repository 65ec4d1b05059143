"""Limits per payment and per day, of card, binding, member and shop."""

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.models import Model

from cards import sharing
from cards.models import Binding, Card
from members.models import Member
from merchants.models import Merchant
from mps.base.core import db_scope
from payments import refunds
from payments.idempotency import Answer
from payments.models import Transaction
from tests import factories
from tests.concurrency.racing import run_together, wait_for_a_waiter
from tests.snapshots import execute, fetch

LIMIT = Decimal("100.00")


def set_limit(model: type[Model], object_id: Any, **limits: Decimal | None) -> None:
    model._default_manager.using("owner").filter(pk=object_id).update(**limits)


def binding_of(card: Card, member: Member) -> Binding:
    return Binding.objects.using("owner").get(card=card, member=member)


def spent(subject: Any) -> Decimal | None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT spent FROM payments_spending WHERE subject_id = %s", [subject])
        row = cursor.fetchone()
    return row[0] if row else None


def pay(till: Any, card: Card, member: Member, amount: str, **fields: Any) -> Answer:
    return factories.charge(till, factories.make_code(card, member), amount, **fields)


def refund(till: Any, paid: Answer, amount: str) -> Answer:
    return refunds.refund_payment(
        till=till,
        tx_no=paid.body["tx_no"],
        amount=Decimal(amount),
        idempotency_key=factories.new_key(),
    )


def refused_by_limit(answer: Answer) -> bool:
    return (answer.status, answer.body.get("code")) == (402, "LIMIT_EXCEEDED")


def test_three_members_share_a_card_each_with_a_limit_a_day(database: str) -> None:
    # given a card with 1000.00 that three members share, each with 100.00 a day
    members = [factories.make_member()[0] for _ in range(3)]
    card = factories.make_prepaid(members[0], "1000.00", fixed_discount=Decimal(1))
    for member in members[1:]:
        sharing.bind_member(card_id=card.id, member_id=member.id)
    for member in members:
        set_limit(Binding, binding_of(card, member).id, limit_per_day=LIMIT)
    till = factories.make_till()

    # when one of them pays four times, 30.00 each
    paid = [pay(till, card, members[1], "30.00") for _ in range(3)]
    fourth = pay(till, card, members[1], "30.00")

    # then the fourth is refused and nothing moved, and the others are not concerned
    assert [answer.status for answer in paid] == [201] * 3
    assert refused_by_limit(fourth)
    assert paid[-1].body["balance_after"] == "910.00"
    assert pay(till, card, members[2], "100.00").body["balance_after"] == "810.00"
    assert refused_by_limit(pay(till, card, members[2], "0.01"))

    # and a refund gives the room back
    assert refund(till, paid[0], "20.00").status == 201
    assert pay(till, card, members[1], "30.00").body["balance_after"] == "800.00"
    assert refused_by_limit(pay(till, card, members[1], "0.01"))


@pytest.mark.parametrize("kind", ["card", "binding", "member", "merchant"])
def test_each_subject_may_carry_both_limits(database: str, kind: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    subjects: dict[str, tuple[type[Model], Any]] = {
        "card": (Card, card.id),
        "binding": (Binding, binding_of(card, member).id),
        "member": (Member, member.id),
        "merchant": (Merchant, till.merchant_id),
    }
    set_limit(*subjects[kind], limit_per_payment=Decimal("60.00"), limit_per_day=LIMIT)

    assert refused_by_limit(pay(till, card, member, "60.01"))
    assert pay(till, card, member, "60.00").status == 201
    assert refused_by_limit(pay(till, card, member, "40.01"))
    assert pay(till, card, member, "40.00").body["balance_after"] == "900.00"
    assert spent(subjects[kind][1]) == LIMIT


def test_a_limit_looks_at_what_is_paid_after_discount(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount=Decimal("0.5"))
    set_limit(Card, card.id, limit_per_payment=LIMIT, limit_per_day=LIMIT)

    assert pay(factories.make_till(), card, member, "200.00").status == 201


def test_what_was_paid_before_the_limit_was_set_counts(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    paid = pay(till, card, member, "80.00")
    refund(till, paid, "10.00")

    set_limit(Member, member.id, limit_per_day=LIMIT)
    assert refused_by_limit(pay(till, card, member, "30.01"))
    assert pay(till, card, member, "30.00").status == 201

    # also when it was lifted for a while; a shop's, too
    set_limit(Merchant, till.merchant_id, limit_per_day=LIMIT + 1)
    assert refused_by_limit(pay(till, card, member, "1.01"))
    set_limit(Member, member.id, limit_per_day=None)
    set_limit(Merchant, till.merchant_id, limit_per_day=None)
    assert pay(till, card, member, "50.00").status == 201
    set_limit(Member, member.id, limit_per_day=LIMIT + 51)
    assert refused_by_limit(pay(till, card, member, "1.01"))
    assert pay(till, card, member, "1.00").status == 201
    set_limit(Merchant, till.merchant_id, limit_per_day=LIMIT + 52)
    assert refused_by_limit(pay(till, card, member, "1.01"))


def test_a_new_day_has_new_room_and_a_late_refund_none_to_give_it(
    unchecked_database: str, superuser: psycopg.Connection
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=LIMIT)
    paid = pay(till, card, member, "100.00")
    shift_a_day_back(superuser, unchecked_database, paid)

    assert pay(till, card, member, "90.00").status == 201
    assert fetch("SELECT spent FROM payments_spending ORDER BY day LIMIT 1") == LIMIT
    refund(till, paid, "100.00")
    assert refused_by_limit(pay(till, card, member, "10.01"))


def shift_a_day_back(superuser: psycopg.Connection, name: str, paid: Answer) -> None:
    """Make a payment one of yesterday, by a superuser past all guards."""
    with psycopg.connect(
        superuser.info.dsn, dbname=name, password=superuser.info.password
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE payments_transaction SET created_at = created_at - %s WHERE tx_no = %s",
            [timedelta(days=1), paid.body["tx_no"]],
        )
        connection.execute("UPDATE payments_spending SET day = day - 1")


def test_a_declined_payment_takes_no_room(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "50.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=LIMIT)

    assert pay(till, card, member, "60.00").body["code"] == "INSUFFICIENT_BALANCE"
    assert pay(till, card, member, "50.00").status == 201
    assert spent(card.id) == Decimal("50.00")


def test_a_limited_decline_is_the_stored_answer_of_its_key(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "500.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=LIMIT)
    code, key = factories.make_code(card, member), factories.new_key()

    first = factories.charge(till, code, "100.01", idempotency_key=key)
    set_limit(Card, card.id, limit_per_day=None)
    again = factories.charge(till, code, "100.01", idempotency_key=key)

    assert refused_by_limit(first)
    assert (again.status, again.body, again.replayed) == (402, first.body, True)
    with db_scope.principal_scope("platform_admin"):
        failed = Transaction.objects.get(status="failed")
    assert failed.failure_code == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("counted_before", [False, True])
def test_racing_payments_keep_within_the_limit(database: str, counted_before: bool) -> None:
    """Ten at once, from ten members of one card; also when none has made the counter yet."""
    members = [factories.make_member()[0] for _ in range(10)]
    card = factories.make_prepaid(members[0], "1000.00", fixed_discount=Decimal(1))
    for member in members[1:]:
        sharing.bind_member(card_id=card.id, member_id=member.id)
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=LIMIT)
    if counted_before:
        pay(till, card, members[0], "1.00")
    coded = [factories.make_code(card, member) for member in members]

    answers = run_together(
        [lambda code=code: factories.charge(till, code, "30.00") for code in coded]
    )

    assert sorted(answer.status for answer in answers) == [201] * 3 + [402] * 7
    assert all(answer.status == 201 or refused_by_limit(answer) for answer in answers)
    assert spent(card.id) == Decimal("91.00" if counted_before else "90.00")


def test_control_without_the_counters_lock_racing_payments_pass_the_limit(
    unchecked_database: str,
) -> None:
    members = [factories.make_member()[0] for _ in range(10)]
    card = factories.make_prepaid(members[0], "1000.00", fixed_discount=Decimal(1))
    for member in members[1:]:
        sharing.bind_member(card_id=card.id, member_id=member.id)
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=LIMIT)
    pay(till, card, members[0], "1.00")
    coded = [factories.make_code(card, member) for member in members]
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('payments_has_room'::regproc)")
        source = cursor.fetchone()[0]
        assert source.count(" FOR UPDATE;") == 2
        cursor.execute(source.replace(" FOR UPDATE;", "; PERFORM pg_sleep(0.05);"))

    answers = run_together(
        [lambda code=code: factories.charge(till, code, "30.00") for code in coded]
    )

    assert sum(answer.status == 201 for answer in answers) > 3


def test_charges_and_refunds_at_once_lock_limits_and_accounts_in_one_order(database: str) -> None:
    members = [factories.make_member()[0] for _ in range(8)]
    card = factories.make_prepaid(members[0], "1000.00", fixed_discount=Decimal(1))
    for member in members[1:]:
        sharing.bind_member(card_id=card.id, member_id=member.id)
    till = factories.make_till()
    set_limit(Card, card.id, limit_per_day=Decimal("900.00"))
    paid = [pay(till, card, member, "20.00") for member in members]

    for _ in range(3):
        coded = [factories.make_code(card, member) for member in members]
        answers = run_together(
            [lambda code=code: factories.charge(till, code, "20.00") for code in coded]
            + [lambda each=each: refund(till, each, "5.00") for each in paid]
        )
        assert {answer.status for answer in answers} == {201}

    assert spent(card.id) == Decimal("20.00") * 8 * 4 - Decimal("5.00") * 8 * 3


def test_a_refund_on_its_way_gives_its_room_to_the_first_payment_a_limit_counts(
    database: str, monkeypatch: Any
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount=Decimal(1))
    till = factories.make_till()
    paid = pay(till, card, member, "100.00")
    set_limit(Card, card.id, limit_per_day=LIMIT)
    code = factories.make_code(card, member)
    given = threading.Event()
    plan = refunds._plan_refund

    def pause_and_plan(*args: Any) -> Any:
        given.set()
        wait_for_a_waiter()  # the payment asks for room
        return plan(*args)

    monkeypatch.setattr(refunds, "_plan_refund", pause_and_plan)

    def charge() -> Any:
        given.wait(30)
        return factories.charge(till, code, "50.00")

    _, second = run_together([lambda: refund(till, paid, "50.00"), charge])

    assert second.status == 201
    assert spent(card.id) == LIMIT


def test_a_refund_goes_through_though_days_were_counted_in_another_zone(
    unchecked_database: str, settings: Any
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00", fixed_discount=Decimal(1))
    set_limit(Member, member.id, limit_per_day=LIMIT)
    till = factories.make_till()
    paid = pay(till, card, member, "10.00")
    settings.MPS_TIME_ZONE = "Pacific/Pago_Pago"
    execute(
        "INSERT INTO payments_spending VALUES"
        " (%s, (now() AT TIME ZONE 'Pacific/Pago_Pago')::date, 1.00)"
        " ON CONFLICT (subject_id, day) DO UPDATE SET spent = 1.00",
        [member.id],
    )

    assert refund(till, paid, "10.00").status == 201


def test_an_hour_that_comes_twice_belongs_to_its_day(
    unchecked_database: str, superuser: psycopg.Connection
) -> None:
    """Clocks on the Azores went back from 01:00 to 00:00 on 26 October 2025."""
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00", fixed_discount=Decimal(1))
    paid = pay(factories.make_till(), card, member, "10.00")
    with psycopg.connect(
        superuser.info.dsn, dbname=unchecked_database, password=superuser.info.password
    ) as connection:
        connection.execute("SELECT make_partition('payments_transaction', '2025-10-01')")
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE payments_transaction SET created_at = '2025-10-26 00:30+00',"
            " id = uuidv7('2025-10-26 00:30+00'::timestamptz - now()) WHERE tx_no = %s",
            [paid.body["tx_no"]],
        )
        spent_on = connection.execute(
            "SELECT day, payments_spent_on(%s, day, 'Atlantic/Azores')"
            " FROM unnest(ARRAY['2025-10-25', '2025-10-26', '2025-10-27']::date[]) AS day",
            [card.id],
        ).fetchall()

    assert [int(amount) for _, amount in spent_on] == [0, 10, 0]
