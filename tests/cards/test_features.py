"""What each type of card can do, feature by feature, and each rule of a status.

More of vouchers and of the discount a corporate card lends: `tests/payments/test_vouchers.py` and
`test_corporate.py`. Members' locks: `test_members_api.py`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from cards import card_status, sharing, vouchers
from cards.errors import CardNotActiveError, CardNotFoundError, CardTypeNotShareableError
from cards.models import Card, CardType
from cards.selectors import balances_of
from members.models import Member
from mps.base.core import errors
from mps.base.core.db_scope import principal_scope
from payments import points as payment_points
from tests import factories
from tests.cards.helpers import as_owner, events, post
from tests.snapshots import assert_declined, outcome

TYPES = [pytest.param(each.value, id=str(each.label)) for each in CardType]
OUTSIDE = ("cash", "wechat", "alipay")
STOPPED = ["frozen", "lost", "expired", "suspended", "closed"]


def issue(card_type: str, **fields: Any) -> tuple[Member, Card]:
    """Return a member with a card of this type; one that holds money holds 100.00."""
    member, standard = factories.make_member()
    match card_type:
        case "STD":
            return member, standard
        case "VCH":
            terms = {"kind": "percent", "value": Decimal(20), **fields}
            return member, vouchers.issue_voucher_card(owner_id=member.id, **terms)
        case "PPD":
            return member, factories.make_prepaid(member, "100.00", **fields)
    return member, factories.make_corporate(member, "100.00", **fields)


def pay(card: Card, member: Member, amount: str = "10.00", **fields: Any) -> Any:
    """Pay at a till of its own; a card that holds no money, in cash."""
    holds_money = card.type.holds_money
    fields.setdefault("payment_method", "balance" if holds_money else "cash")
    return factories.charge(
        factories.make_till(), factories.make_code(card, member), amount, **fields
    )


def status_of(card: Card) -> str:
    with principal_scope("platform_admin"):
        return Card.objects.get(id=card.id).status


def set_status(card: Card, status: str) -> None:
    as_owner("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])


# --- features ------------------------------------------------------------------------------------


@pytest.mark.parametrize("card_type", TYPES)
def test_shared(database: str, card_type: str) -> None:
    _, card = issue(card_type)
    other, _ = factories.make_member()

    def share() -> Any:
        return sharing.bind_member(card_id=card.id, member_id=other.id)

    if card_type in {"PPD", "COR"}:
        assert share().role == "member"
        assert pay(card, other).status == 201
    else:
        with pytest.raises(CardTypeNotShareableError):
            share()
        with pytest.raises(CardNotFoundError):
            factories.make_code(card, other)


@pytest.mark.parametrize("card_type", TYPES)
def test_topped_up(database: str, card_type: str) -> None:
    _, card = issue(card_type)

    if card_type in {"PPD", "COR"}:
        assert factories.top_up(card, "50.00").status == 201
        assert balances_of(card)[0] == Decimal("150.00")
    else:
        refused = outcome(lambda: factories.top_up(card, "50.00"))
        assert refused == "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE"
        assert balances_of(card)[0] is None


@pytest.mark.parametrize("card_type", TYPES)
def test_earns_points(database: str, card_type: str) -> None:
    member, card = issue(card_type)

    paid = pay(card, member, "10.99")

    earns = card_type in {"STD", "PPD"}
    assert (paid.status, paid.body["points_earned"]) == (201, 10 if earns else 0)
    assert balances_of(card)[1] == (10 if earns else None)


@pytest.mark.parametrize("card_type", ["PPD", "COR"])
def test_pays_by_its_balance(database: str, card_type: str) -> None:
    member, card = issue(card_type)

    assert pay(card, member).body["balance_after"] == "90.00"

    code = factories.make_code(card, member)
    till = factories.make_till()
    assert_declined(
        lambda: factories.charge(till, code, "10.00", payment_method="cash"),
        "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT",
    )
    assert balances_of(card)[0] == Decimal("90.00")


def test_a_standard_card_pays_by_what_is_taken_at_the_till(database: str) -> None:
    member, card = issue("STD")

    for method in OUTSIDE:
        paid = pay(card, member, payment_method=method)
        assert (paid.status, paid.body["payment_method"]) == (201, method)
        assert paid.body.get("balance_after") is None

    code = factories.make_code(card, member)
    till = factories.make_till()
    assert_declined(
        lambda: factories.charge(till, code, "10.00"), "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT"
    )


def test_a_voucher_does_not_pay_alone_and_only_once(database: str) -> None:
    member, voucher = issue("VCH")
    card = factories.make_prepaid(member, "100.00")
    till = factories.make_till()
    code = factories.make_code(voucher, member)
    assert_declined(
        lambda: factories.charge(till, code, "10.00"), "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT"
    )

    paid = pay(card, member, voucher_code=factories.make_code(voucher, member))

    assert (paid.body["final_amount"], paid.body["balance_after"]) == ("8.00", "92.00")
    again = outcome(lambda: pay(card, member, voucher_code=factories.make_code(voucher, member)))
    assert again == "VOUCHER_NOT_APPLICABLE"
    assert balances_of(card)[0] == Decimal("92.00")


@pytest.mark.parametrize(
    ("card_type", "fixed", "points", "rate"),
    [
        pytest.param("STD", None, 1000, "0.95", id="standard-by tier"),
        pytest.param("PPD", None, 1000, "0.95", id="prepaid-by tier without a fixed one"),
        pytest.param("PPD", "0.97", 1000, "0.97", id="prepaid-fixed rather than tier"),
        pytest.param("COR", "0.80", 0, "0.80", id="corporate-fixed"),
        pytest.param("COR", None, 0, "1.00", id="corporate-none without a fixed one"),
    ],
)
def test_discount(database: str, card_type: str, fixed: str | None, points: int, rate: str) -> None:
    member, card = issue(card_type, **({"fixed_discount": fixed} if fixed else {}))
    if points:
        payment_points.adjust_points(card_id=card.id, delta=points)

    assert pay(card, member).body["discount_rate"] == rate


# --- statuses ------------------------------------------------------------------------------------


def test_only_active_pays(database: str) -> None:
    till = factories.make_till()
    for status in STOPPED:
        member, card = issue("PPD")
        code = factories.make_code(card, member)
        set_status(card, status)

        error = "CARD_EXPIRED" if status == "expired" else "CARD_NOT_ACTIVE"
        assert_declined(lambda code=code: factories.charge(till, code, "10.00"), error)
        made = outcome(lambda card=card, member=member: factories.make_code(card, member))
        assert made == error
        assert balances_of(card)[0] == Decimal("100.00")


def test_unfreeze_works_on_frozen_only(database: str) -> None:
    _, card = issue("PPD")
    for status in STOPPED:
        set_status(card, status)

        if status == "frozen":
            card_status.unfreeze_card(card_id=card.id, reason="found")
            assert status_of(card) == "active"
        else:
            with pytest.raises(CardNotActiveError):
                card_status.unfreeze_card(card_id=card.id, reason="found")
            assert status_of(card) == status


def test_staff_activate_what_is_lost_or_suspended_only(database: str) -> None:
    _, card = issue("PPD")
    for status in STOPPED:
        set_status(card, status)

        if status in {"lost", "suspended"}:
            card_status.activate_card(card_id=card.id, reason="cleared")
            assert status_of(card) == "active"
        else:
            with pytest.raises(CardNotActiveError):
                card_status.activate_card(card_id=card.id, reason="cleared")
            assert status_of(card) == status
    assert len(events("CARD_ACTIVATED")) == 2
    assert len(events("CARD_ACTIVATED_REFUSED")) == 3


@pytest.mark.parametrize(
    ("act", "status", "action"),
    [
        (card_status.mark_card_lost, "lost", "CARD_MARKED_LOST"),
        (card_status.suspend_card, "suspended", "CARD_SUSPENDED"),
    ],
)
def test_lost_and_suspended_stop_a_card_and_kill_its_codes(
    database: str, act: Callable[..., None], status: str, action: str
) -> None:
    member, card = issue("PPD")
    code = factories.make_code(card, member)

    for _ in range(2):
        act(card_id=card.id, reason="police report")

    assert status_of(card) == status
    first = events(action)[0]
    assert first.context == {"before": "active", "after": status, "reason": "police report"}
    # No other way leads back, and the code stays dead.
    client = factories.member_client(member)
    for refused in (
        outcome(lambda: card_status.unfreeze_card(card_id=card.id)),
        outcome(lambda: card_status.freeze_card(card_id=card.id)),
        post(client, f"/api/v1/me/cards/{card.number}/lock").json()["code"],
        post(client, f"/api/v1/me/cards/{card.number}/unlock").json()["code"],
    ):
        assert refused == "CARD_NOT_ACTIVE"
    card_status.activate_card(card_id=card.id, reason="found")
    charged = outcome(lambda: factories.charge(factories.make_till(), code, "10.00"))
    assert charged == "QR_EXPIRED_OR_INVALID"
    assert pay(card, member).status == 201


def test_staff_say_why_they_stop_or_activate_a_card(database: str) -> None:
    _, card = issue("PPD")

    for act in (card_status.mark_card_lost, card_status.suspend_card, card_status.activate_card):
        for reason in ("", "  ", "x" * 201):
            with pytest.raises(errors.InvalidRequestError) as refused:
                act(card_id=card.id, reason=reason)
            assert list(refused.value.errors or {}) == ["reason"]

    assert status_of(card) == "active"


def test_nothing_reopens_a_closed_card(database: str) -> None:
    member, card = issue("STD")
    card_status.close_card(card_id=card.id, reason="gone")
    client = factories.member_client(member)
    url = f"/api/v1/me/cards/{card.number}"

    for attempt in (
        outcome(lambda: card_status.unfreeze_card(card_id=card.id)),
        outcome(lambda: card_status.freeze_card(card_id=card.id)),
        outcome(lambda: card_status.activate_card(card_id=card.id, reason="x")),
        outcome(lambda: card_status.mark_card_lost(card_id=card.id, reason="x")),
        outcome(lambda: card_status.suspend_card(card_id=card.id, reason="x")),
        post(client, f"{url}/lock").json()["code"],
        post(client, f"{url}/unlock").json()["code"],
    ):
        assert attempt == "CARD_NOT_ACTIVE"

    assert status_of(card) == "closed"


def test_what_a_member_locked_and_staff_then_froze_stays_frozen(database: str) -> None:
    member, card = issue("PPD")
    client = factories.member_client(member)
    url = f"/api/v1/me/cards/{card.number}"
    assert post(client, f"{url}/lock").json()["status"] == "frozen"
    card_status.freeze_card(card_id=card.id, reason="also by staff")

    assert post(client, f"{url}/unlock").json()["code"] == "PERMISSION_DENIED"

    assert status_of(card) == "frozen"
