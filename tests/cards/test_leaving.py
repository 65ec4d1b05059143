"""Owners who leave a card at the same time, and who leave altogether while a card pays."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from cards import issuing, payment_codes, sharing, vouchers
from cards.models import Binding, Card
from members.models import Member
from members.selectors import MemberPrincipal
from mps.base.core import invariants
from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import MpsError
from mps.product.accounts import services as accounts
from tests import factories
from tests.concurrency.racing import run_together, wait_for_a_waiter
from tests.snapshots import assert_refused, fetch


@pytest.fixture
def once_begun(monkeypatch: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Who leaves first stays in the middle of it until the other, wrapped by this, waits."""
    begun = threading.Event()
    end_codes = payment_codes.end_codes

    def linger(scope: Any, card_id: Any, member_id: Any = None) -> None:
        if not begun.is_set():
            begun.set()
            wait_for_a_waiter()
        end_codes(scope, card_id, member_id)

    monkeypatch.setattr(payment_codes, "end_codes", linger)

    def wrap(work: Callable[[], Any]) -> Callable[[], Any]:
        def wait_and_work() -> Any:
            assert begun.wait(30)
            return work()

        return wait_and_work

    return wrap


def share_among_owners(count: int) -> tuple[Card, list[Member]]:
    """Return a card with money on it, and its owners; it is in the name of the first."""
    owners = [factories.make_member()[0] for _ in range(count)]
    card = factories.make_prepaid(owners[0], "50.00")
    for owner in owners[1:]:
        sharing.bind_member(card_id=card.id, member_id=owner.id, role=Binding.Role.OWNER)
    return card, owners


def owners_of(card: Card) -> tuple[Any, set[Any]]:
    """Return in whose name a card is, and who is bound to it as an owner."""
    with principal_scope("platform_admin"):
        bound = Binding.objects.filter(card=card, role=Binding.Role.OWNER)
        return Card.objects.get(id=card.id).owner_id, set(bound.values_list("member_id", flat=True))


def erase(member: Member) -> None:
    assert member.user_id is not None
    principal = MemberPrincipal(uuid4(), member.id, member.number, member.status, member.user_id)
    accounts.erase_member(member=principal, password=factories.PASSWORD)


def test_two_owners_who_leave_at_once_leave_the_card_to_the_third(
    database: str, once_begun: Any
) -> None:
    card, (first, second, third) = share_among_owners(3)

    left = run_together(
        [
            lambda: sharing.unbind_member(card_id=card.id, member_id=first.id),
            once_begun(lambda: sharing.unbind_member(card_id=card.id, member_id=second.id)),
        ]
    )

    assert left == [None, None]
    assert owners_of(card) == (third.id, {third.id})


def test_an_owner_is_not_erased_when_the_other_has_just_left(
    database: str, once_begun: Any
) -> None:
    card, (first, second) = share_among_owners(2)

    left, erased = run_together(
        [
            lambda: sharing.unbind_member(card_id=card.id, member_id=second.id),
            once_begun(lambda: erase(first)),
        ]
    )

    assert left is None
    assert isinstance(erased, MpsError)
    assert erased.code == "CARD_NOT_EMPTY"
    assert owners_of(card) == (first.id, {first.id})


def test_who_is_erased_and_who_takes_their_payment_do_not_wait_for_each_other(
    database: str,
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "0")
    till = factories.make_till()
    shared = threading.Event()

    def charge() -> None:
        """Share what a charge rests on, in the order of the ids."""
        with (
            principal_scope("merchant_api", till.merchant_id),
            connection.cursor() as cursor,
        ):
            for fact in sorted([member.id, card.id]):
                cursor.execute("SELECT core_share_fact(%s)", [fact])
                if not shared.is_set():
                    shared.set()
                    wait_for_a_waiter()

    def erase_meanwhile() -> None:
        assert shared.wait(30)
        erase(member)

    assert run_together([charge, erase_meanwhile]) == [None, None]


def test_nobody_is_bound_who_is_being_erased(database: str, monkeypatch: Any) -> None:
    guest, _ = factories.make_member()
    card = factories.make_prepaid(factories.make_member()[0])
    begun = threading.Event()
    forget = accounts._forget_person

    def linger(scope: Any) -> None:
        begun.set()
        wait_for_a_waiter()
        forget(scope)

    def bind() -> Any:
        assert begun.wait(30)
        return sharing.bind_member(card_id=card.id, member_id=guest.id)

    monkeypatch.setattr(accounts, "_forget_person", linger)

    _erased, refused = run_together([lambda: erase(guest), bind])

    assert isinstance(refused, MpsError)
    assert refused.code == "MEMBER_SUSPENDED"
    with principal_scope("platform_admin"):
        assert not Binding.objects.filter(card=card, member=guest).exists()
    for issue in (
        lambda: issuing.issue_shared_card(card_type="PPD", owner_id=guest.id),
        lambda: vouchers.issue_voucher_card(owner_id=guest.id, kind="percent", value=Decimal(20)),
    ):
        assert_refused(issue, "MEMBER_SUSPENDED", action="CARD_ISSUE_REFUSED")


def test_who_is_erased_and_who_binds_them_do_not_wait_for_each_other(
    database: str, monkeypatch: Any
) -> None:
    guest, _ = factories.make_member()
    card = factories.make_prepaid(factories.make_member()[0], "10.00", binding_password="family-1")
    sharing.join_card(card_id=card.id, member_id=guest.id, binding_password="family-1")
    held = threading.Event()
    bind = sharing._bind

    def linger(*args: Any, **more: Any) -> Any:
        held.set()
        wait_for_a_waiter()
        return bind(*args, **more)

    def erase_meanwhile() -> None:
        assert held.wait(30)
        erase(guest)

    monkeypatch.setattr(sharing, "_bind", linger)

    bound, erased = run_together(
        [lambda: sharing.bind_member(card_id=card.id, member_id=guest.id), erase_meanwhile]
    )

    assert (type(bound), erased) == (Binding, None)


# --- what stays ----------------------------------------------------------------------------------


def test_nobody_leaves_to_be_rid_of_a_limit(database: str) -> None:
    owner, _ = factories.make_member()
    child, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00", binding_password="family-1")
    as_member = {"card_id": card.id, "member_id": child.id}

    def rejoin() -> Binding:
        sharing.unbind_member(**as_member, by_member_id=child.id)
        assert invariants.check() == []
        return sharing.join_card(**as_member, binding_password="family-1")

    sharing.invite_member(**as_member, by_member_id=owner.id, limit_per_day=Decimal("50.00"))
    assert factories.charge(till, factories.make_code(card, child), "50.00").status == 201

    assert rejoin().limits == {"limit_per_payment": None, "limit_per_day": "50.00"}
    more = factories.charge(till, factories.make_code(card, child), "0.02")
    assert more.body["code"] == "LIMIT_EXCEEDED"

    change = {"card_no": card.number, "member_no": child.number, "by_member_id": owner.id}
    sharing.change_binding(**change, role="viewer")  # type: ignore[arg-type]
    assert rejoin().role == "viewer"
    # What is agreed anew holds instead.
    sharing.change_binding(**change, role="admin", limit_per_day=None)  # type: ignore[arg-type]
    assert rejoin().role == "member"
    sharing.unbind_member(**as_member, by_member_id=owner.id)
    assert sharing.invite_member(**as_member, by_member_id=owner.id).limits["limit_per_day"] is None
    assert fetch("SELECT count(*) FROM cards_formerbinding") == 0
