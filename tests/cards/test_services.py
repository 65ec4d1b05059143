"""What cards' services refuse, and that nothing moved then."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import check_password

from cards import binding_passwords, card_status, issuing, payment_codes, sharing, vouchers
from cards.errors import CardNotFoundError, CardTypeNotShareableError, InvalidBindingPasswordError
from cards.models import Card
from members import services as members
from members.errors import MemberSuspendedError
from mps.base.core import errors
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import as_owner, events


def binding_password_of(card: Card) -> str:
    with principal_scope("platform_admin"):
        return Card.objects.get(id=card.id).binding_password


def test_a_shared_card_is_issued_to_a_member_at_a_rate_that_is_one(database: str) -> None:
    owner, _ = factories.make_member()

    for rate in ("0", "-0.1", "1.0001", "0.95001", "NaN"):
        with pytest.raises(errors.InvalidRequestError) as refused:
            issuing.issue_shared_card(
                card_type="PPD", owner_id=owner.id, fixed_discount=Decimal(rate)
            )
        assert list(refused.value.errors or {}) == ["fixed_discount"]
    with pytest.raises(errors.InvalidRequestError):
        issuing.issue_shared_card(card_type="PPD", owner_id=owner.id, name="x" * 81)
    with pytest.raises(errors.NotFoundError):
        issuing.issue_shared_card(card_type="PPD", owner_id=uuid4())
    for card_type in ("STD", "VCH"):
        with pytest.raises(CardTypeNotShareableError):
            issuing.issue_shared_card(card_type=card_type, owner_id=owner.id)
    assert as_owner("SELECT count(*) FROM cards_card") == [(1,)]
    assert [event.context["error"] for event in events("CARD_ISSUE_REFUSED")] == ["NOT_FOUND"]
    assert issuing.issue_shared_card(
        card_type="PPD", owner_id=owner.id, fixed_discount=Decimal("0.0001")
    )


def test_a_voucher_has_terms_that_make_sense(database: str) -> None:
    owner, _ = factories.make_member()
    good = {"owner_id": owner.id, "kind": "percent", "value": Decimal(20)}

    for wrong, field in (
        ({"kind": "free"}, "kind"),
        ({"value": Decimal(0)}, "value"),
        ({"value": Decimal("100.01")}, "value"),
        ({"kind": "amount", "value": Decimal(10**8)}, "value"),
        ({"value": Decimal("NaN")}, "value"),
        ({"value": Decimal("12.345")}, "value"),
        ({"kind": "amount", "value": Decimal("0.001")}, "value"),
        ({"value": Decimal("1e400")}, "value"),
        ({"min_spend": Decimal("-0.01")}, "min_spend"),
        ({"min_spend": Decimal("1e400")}, "min_spend"),
        ({"min_spend": Decimal("1e9")}, "min_spend"),
        ({"min_spend": Decimal("NaN")}, "min_spend"),
        ({"expires_at": datetime(2025, 1, 1, tzinfo=UTC)}, "expires_at"),
    ):
        with pytest.raises(errors.InvalidRequestError) as refused:
            vouchers.issue_voucher_card(**{**good, **wrong})
        assert field in (refused.value.errors or {})
    assert as_owner("SELECT count(*) FROM cards_voucher") == [(0,)]
    assert vouchers.issue_voucher_card(**{**good, "value": Decimal(100)})


def test_only_the_owner_sets_the_binding_password(database: str) -> None:
    owner, standard = factories.make_member()
    admin, _ = factories.make_member()
    stranger, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    sharing.bind_member(card_id=card.id, member_id=admin.id, role="admin")

    for by, error in ((admin, errors.PermissionDeniedError), (stranger, CardNotFoundError)):
        with pytest.raises(error):
            binding_passwords.set_binding_password(
                card_id=card.id, password="open", by_member_id=by.id
            )
    with pytest.raises(CardNotFoundError):
        binding_passwords.set_binding_password(card_id=uuid4(), password="open")
    with pytest.raises(CardTypeNotShareableError):
        binding_passwords.set_binding_password(
            card_id=standard.id, password="open", by_member_id=owner.id
        )
    assert binding_password_of(card) == ""

    # A password beyond the 72 bytes bcrypt looks at counts in full.
    long = "p" * 100
    binding_passwords.set_binding_password(card_id=card.id, password=long, by_member_id=owner.id)
    assert check_password(long, binding_password_of(card))
    assert not check_password(long[:-1], binding_password_of(card))
    with pytest.raises(InvalidBindingPasswordError):
        sharing.join_card(card_id=card.id, member_id=stranger.id, binding_password=long[:-1])
    binding_passwords.set_binding_password(card_id=card.id, password="")
    with pytest.raises(InvalidBindingPasswordError):
        sharing.join_card(card_id=card.id, member_id=stranger.id, binding_password="")
    assert len(events("BINDING_PASSWORD_SET")) == 2
    assert len(events("BINDING_PASSWORD_REFUSED")) == 4


def test_the_platform_binds_once_and_in_one_role(database: str) -> None:
    owner, _ = factories.make_member()
    other, _ = factories.make_member()
    card = factories.make_prepaid(owner)

    for wrong, error in (
        ({"role": "king"}, errors.InvalidRequestError),
        ({"member_id": uuid4()}, errors.NotFoundError),
        ({"card_id": uuid4()}, CardNotFoundError),
    ):
        with pytest.raises(error):
            sharing.bind_member(**{"card_id": card.id, "member_id": other.id, **wrong})
    for _ in range(2):
        assert sharing.bind_member(card_id=card.id, member_id=other.id).role == "member"
    with pytest.raises(errors.AlreadyExistsError):
        sharing.bind_member(card_id=card.id, member_id=other.id, role="admin")
    assert as_owner("SELECT role FROM cards_binding WHERE member_id = %s", [other.id]) == [
        ("owner",),
        ("member",),
    ]


def test_freezing_and_unfreezing(database: str) -> None:
    _, card = factories.make_member()

    for act, status in (
        (card_status.freeze_card, "frozen"),
        (card_status.freeze_card, "frozen"),
        (card_status.unfreeze_card, "active"),
        (card_status.unfreeze_card, "active"),
    ):
        act(card_id=card.id, reason="because")
        assert as_owner("SELECT status FROM cards_card") == [(status,)]
    with pytest.raises(CardNotFoundError):
        card_status.freeze_card(card_id=uuid4())
    assert [event.context["before"] for event in events("CARD_FROZEN")] == ["active", "frozen"]


def test_a_card_of_a_suspended_owner_gets_no_code(database: str) -> None:
    owner, _ = factories.make_member()
    other, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    sharing.bind_member(card_id=card.id, member_id=other.id)
    members.suspend_member(member_id=owner.id)

    with pytest.raises(MemberSuspendedError):
        payment_codes.issue_code(card_id=card.id, member_id=other.id)
    for ttl_seconds in (59, 86_401):
        with pytest.raises(errors.InvalidRequestError):
            payment_codes.issue_code(card_id=card.id, member_id=other.id, ttl_seconds=ttl_seconds)
    assert as_owner("SELECT count(*) FROM cards_paymentcode") == [(0,)]
