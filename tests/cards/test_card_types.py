"""The four card types as data: what the database itself guarantees of them."""

from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError

from cards import card_status, vouchers
from cards.errors import CardNotActiveError
from cards.models import Binding, Card, Tier, Voucher
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import as_owner

TYPES = {
    # type: (holds money, holds points)
    "STD": (False, True),
    "PPD": (True, True),
    "COR": (True, False),
    "VCH": (False, False),
}


def issue(card_type: str) -> Card:
    member, standard = factories.make_member()
    match card_type:
        case "STD":
            return standard
        case "PPD":
            return factories.make_prepaid(member)
        case "COR":
            return factories.make_corporate(member)
    return vouchers.issue_voucher_card(owner_id=member.id, kind="percent", value=Decimal(20))


def test_each_type_has_its_accounts_number_and_owner(database: str) -> None:
    for card_type, (money, points) in TYPES.items():
        card = issue(card_type)

        assert card.number.startswith(card_type)
        assert card.number[3:].isdigit() and len(card.number) == 11
        assert (card.money_account_id is not None) is money
        assert (card.points_account_id is not None) is points
        with principal_scope("platform_admin"):
            bound = Binding.objects.get(card=card)
        assert (bound.member_id, bound.role) == (card.owner_id, "owner")


def test_the_database_refuses_accounts_that_are_not_of_the_type(database: str) -> None:
    owner, _ = factories.make_member()
    # A member has one standard card already; the constraint on accounts is checked before that.
    for card_type, wrong_money, wrong_points in (
        (card_type, *wrong)
        for card_type, (money, points) in TYPES.items()
        for wrong in ((not money, points), (money, not points))
    ):
        with pytest.raises(IntegrityError, match="account_by_type"):
            as_owner(
                "INSERT INTO cards_card (id, number, card_type, status, status_reason,"
                " locked_by_member, owner_id, name, binding_password,"
                " money_account_id, points_account_id)"
                " SELECT gen_random_uuid(), %s, %s, 'active', '', false, %s, '', '',"
                " CASE WHEN %s THEN ledger_open_account('card_money', 'TWD') END,"
                " CASE WHEN %s THEN ledger_open_account('card_points', 'PTS') END",
                [f"{card_type}99999999", card_type, owner.id, wrong_money, wrong_points],
            )


def test_a_member_has_one_standard_card(database: str) -> None:
    owner, standard = factories.make_member()

    with pytest.raises(IntegrityError, match="cards_card_one_standard_per_member"):
        as_owner(
            "INSERT INTO cards_card (id, number, card_type, status, status_reason,"
            " locked_by_member, owner_id, name, binding_password, points_account_id)"
            " SELECT gen_random_uuid(), 'STD99999999', 'STD', 'active', '', false, %s, '', '',"
            " ledger_open_account('card_points', 'PTS')",
            [owner.id],
        )

    with principal_scope("platform_admin"):
        assert Card.objects.get(owner=owner, card_type="STD") == standard
    factories.make_prepaid(owner)
    factories.make_prepaid(owner)


def test_a_closed_card_never_reopens(database: str) -> None:
    card = issue("PPD")
    as_owner("UPDATE cards_card SET status = 'closed' WHERE id = %s", [card.id])

    for status in ("active", "frozen", "lost", "expired", "suspended"):
        with pytest.raises(DatabaseError, match="never reopens"):
            as_owner("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])
    with pytest.raises(CardNotActiveError):
        card_status.unfreeze_card(card_id=card.id)

    with principal_scope("platform_admin"):
        assert Card.objects.get(id=card.id).status == "closed"


def test_what_a_card_is_never_changes(database: str) -> None:
    card = issue("PPD")

    for change in (
        "number = 'PPD77777777'",
        "card_type = 'COR'",
        "owner_id = gen_random_uuid()",
        "money_account_id = NULL",
        "points_account_id = NULL",
    ):
        with pytest.raises(DatabaseError, match="never change"):
            as_owner(f"UPDATE cards_card SET {change} WHERE id = %s", [card.id])

    with principal_scope("platform_admin"):
        fresh = Card.objects.get(id=card.id)
    assert (fresh.number, fresh.card_type, fresh.owner_id) == (card.number, "PPD", card.owner_id)


def test_the_database_refuses_values_that_mean_nothing(database: str) -> None:
    card = issue("PPD")

    for change, constraint in (
        ("status = 'stolen'", "cards_card_status_valid"),
        ("fixed_discount = 0", "cards_card_fixed_discount_valid"),
        ("fixed_discount = 1.0001", "cards_card_fixed_discount_valid"),
    ):
        with pytest.raises(IntegrityError, match=constraint):
            as_owner(f"UPDATE cards_card SET {change} WHERE id = %s", [card.id])


def test_a_voucher_carries_its_terms(database: str) -> None:
    card = issue("VCH")

    with principal_scope("platform_admin"):
        voucher = Voucher.objects.get(card=card)
    assert (voucher.kind, voucher.value, voucher.min_spend, voucher.merchant_ids) == (
        "percent",
        20,
        0,
        [],
    )
    with pytest.raises(IntegrityError, match="cards_voucher_value_valid"):
        as_owner("UPDATE cards_voucher SET value = 101 WHERE card_id = %s", [card.id])


def test_the_tiers_are_rows(database: str) -> None:
    with principal_scope("platform_admin"):
        tiers = list(Tier.objects.order_by("level").values_list("code", "min_points", "rate"))

    assert [(code, points, str(rate)) for code, points, rate in tiers] == [
        ("ordinary", 0, "1.0000"),
        ("silver", 1000, "0.9500"),
        ("gold", 5000, "0.9000"),
        ("diamond", 10000, "0.8500"),
    ]
