"""Corporate cards, vouchers, and the password of a shared card."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.rpc.conftest import Rpc, audited, row, scalar, token_of, world
from tests.snapshots import fetch


def test_create_corporate_card(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()

    card_id = scalar(
        rpc(
            service_key,
            "create_corporate_card",
            owner_member_id=str(owner.id),
            name="ACME",
            fixed_discount=0.9,
            binding_password="open sesame",
        )
    )

    shown = row(rpc(service_key, "get_card_detail", card_id=card_id))
    assert shown["card_no"].startswith("COR")
    assert (shown["balance"], shown["points"]) == (Decimal("0.00"), None)
    assert shown["discount"] == Decimal("0.90")
    guest, _ = factories.make_member()
    joined = rpc(
        token_of(guest),
        "bind_member_to_card",
        card_id=card_id,
        member_id=str(guest.id),
        binding_password="open sesame",
    )
    assert scalar(joined) is True


def test_create_corporate_card_refuses(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    before = world()

    unknown = rpc(service_key, "create_corporate_card", owner_member_id=str(uuid.uuid4()))
    dear = rpc(
        service_key, "create_corporate_card", owner_member_id=str(owner.id), fixed_discount=1.01
    )

    assert unknown.error == (404, "NOT_FOUND")
    assert dear.error == (400, "INVALID_REQUEST")
    assert world() == before
    assert len(audited("CARD_ISSUE_REFUSED")) == 1


def test_create_voucher_card(rpc: Rpc, service_key: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    other = factories.make_till()

    card_id = scalar(
        rpc(
            service_key,
            "create_voucher_card",
            member_id=str(member.id),
            kind="percent",
            value=20,
            min_spend=100.00,
            expires_at="2099-12-31",
            merchant_codes=[till.merchant_code],
        )
    )

    shown = row(rpc(service_key, "get_card_detail", card_id=card_id))
    assert shown["card_no"].startswith("VCH")
    # A plain date is its last day, in Taipei.
    expires_at = datetime.fromisoformat(shown["expires_at"])
    assert expires_at == datetime.fromisoformat("2099-12-31T16:00:00+00:00")
    voucher = row(rpc(service_key, "rotate_card_qr", card_id=card_id))["qr_plain"]

    def pay(shop: Any, amount: int) -> Any:
        return rpc(
            service_key,
            "merchant_charge_by_qr",
            merchant_code=shop.merchant_code,
            qr_plain=factories.make_code(standard, member),
            raw_amount=amount,
            payment_method="cash",
            voucher_qr_plain=voucher,
        )

    elsewhere = pay(other, 200)
    voucher = row(rpc(service_key, "rotate_card_qr", card_id=card_id))["qr_plain"]
    little = pay(till, 99)
    voucher = row(rpc(service_key, "rotate_card_qr", card_id=card_id))["qr_plain"]
    assert elsewhere.error == little.error == (409, "VOUCHER_NOT_APPLICABLE")
    assert row(pay(till, 200))["final_amount"] == Decimal("160.00")


def test_create_voucher_card_for_an_amount_anywhere(rpc: Rpc, service_key: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    card_id = scalar(
        rpc(
            service_key,
            "create_voucher_card",
            member_id=str(member.id),
            kind="amount",
            value="30.00",
            min_spend=0,
            merchant_codes=[],
        )
    )

    paid = rpc(
        service_key,
        "merchant_charge_by_qr",
        merchant_code=till.merchant_code,
        qr_plain=factories.make_code(standard, member),
        raw_amount=100,
        payment_method="cash",
        voucher_qr_plain=row(rpc(service_key, "rotate_card_qr", card_id=card_id))["qr_plain"],
    )

    assert row(paid)["final_amount"] == Decimal("70.00")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"kind": "free"}, (400, "INVALID_REQUEST")),
        ({"value": 100.01}, (400, "INVALID_REQUEST")),
        ({"value": 0}, (400, "INVALID_AMOUNT")),
        ({"min_spend": -1}, (400, "INVALID_AMOUNT")),
        ({"min_spend": "0.000"}, (400, "INVALID_AMOUNT")),
        ({"expires_at": "soon"}, (400, "INVALID_REQUEST")),
        ({"merchant_codes": "SHOP001"}, (400, "INVALID_REQUEST")),
        ({"merchant_codes": [1]}, (400, "INVALID_REQUEST")),
        ({"merchant_codes": ["NOSHOP"]}, (404, "NOT_FOUND")),
        ({"member_id": str(uuid.uuid4())}, (404, "NOT_FOUND")),
    ],
)
def test_create_voucher_card_refuses(
    rpc: Rpc, service_key: str, arguments: dict[str, Any], error: tuple[int, str]
) -> None:
    member, _ = factories.make_member()
    given = {"member_id": str(member.id), "kind": "percent", "value": 20, **arguments}

    assert rpc(service_key, "create_voucher_card", **given).error == error

    assert fetch("SELECT count(*) FROM cards_voucher") == 0


def test_a_binding_password_is_no_single_character(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner, binding_password="old words")
    before = world()

    shorter = rpc(service_key, "set_card_binding_password", card_id=str(card.id), password="abc")
    new = rpc(
        *(service_key, "create_prepaid_card"),
        **{"owner_member_id": str(owner.id), "binding_password": "1"},
    )

    assert shorter.error == new.error == (400, "INVALID_REQUEST")
    assert shorter.body["hint"].startswith("p_password: ")
    assert new.body["hint"].startswith("p_binding_password: ")
    assert world() == before


def test_set_card_binding_password(rpc: Rpc, service_key: str) -> None:
    owner, standard = factories.make_member()
    guest, _ = factories.make_member()
    card = factories.make_prepaid(owner, binding_password="old words")
    which = {"card_id": str(card.id)}

    def set_by(key: str, password: str, **other: str) -> Any:
        return rpc(key, "set_card_binding_password", **{**which, **other}, password=password)

    def join(password: str) -> Any:
        return rpc(
            token_of(guest),
            "bind_member_to_card",
            **which,
            member_id=str(guest.id),
            binding_password=password,
        )

    assert scalar(set_by(token_of(owner), "new words")) is True
    assert join("old words").error == (403, "INVALID_BINDING_PASSWORD")
    assert scalar(join("new words")) is True
    assert set_by(token_of(guest), "mine").error == (403, "PERMISSION_DENIED")
    stranger, _ = factories.make_member()
    assert set_by(token_of(stranger), "mine").error == (404, "CARD_NOT_FOUND")
    assert scalar(set_by(service_key, "by the backend")) is True
    empty = set_by(service_key, "")
    assert empty.error == (400, "INVALID_REQUEST")
    unshared = set_by(service_key, "words", card_id=str(standard.id))
    assert unshared.error == (409, "CARD_TYPE_NOT_SHAREABLE")
    assert len(audited("BINDING_PASSWORD_SET")) == 2
    assert len(audited("BINDING_PASSWORD_REFUSED")) == 3
    assert "words" not in str(audited("BINDING_PASSWORD_SET"))
