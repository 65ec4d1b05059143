"""Each function: what it does, and what it refuses."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.test import Client

from cards import selectors
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.rpc.conftest import Reply, Rpc, audited, row, scalar, token_of, world
from tests.snapshots import fetch

# --- members, merchants, cards -------------------------------------------------------------------


def test_create_member_profile_makes_the_standard_card(rpc: Rpc, service_key: str) -> None:
    member_id = scalar(
        rpc(
            service_key,
            "create_member_profile",
            name="張小明",
            phone="0988123456",
            email="Ming@Example.com",
            password=None,
            binding_user_org="wechat",
            binding_org_id="wx_openid_abc123",
        )
    )

    uuid.UUID(member_id)
    card = row(rpc(service_key, "get_member_cards", member_id=member_id))
    assert card["card_no"].startswith("STD")
    assert (card["balance"], card["points"], card["level"]) == (None, 0, 0)
    assert card["discount"] == Decimal("1.00")
    assert audited("MEMBER_REGISTERED")[0]["actor"] == "shop-backend"


def test_create_member_profile_refuses_what_is_taken(rpc: Rpc, service_key: str) -> None:
    first = {"name": "A", "phone": "0988123456"}
    identity = {"binding_user_org": "wechat", "binding_org_id": "wx1"}
    scalar(rpc(service_key, "create_member_profile", **first, **identity))
    before = world()

    again = rpc(service_key, "create_member_profile", **first)
    bound = rpc(service_key, "create_member_profile", name="B", **identity)
    half = rpc(service_key, "create_member_profile", name="B", binding_user_org="wechat")

    assert again.error == (409, "ALREADY_EXISTS")
    assert bound.error == (409, "EXTERNAL_ID_ALREADY_BOUND")
    assert half.error == (400, "INVALID_REQUEST")
    assert world() == before


def test_create_merchant(rpc: Rpc, service_key: str) -> None:
    merchant_id = scalar(
        rpc(
            service_key,
            "create_merchant",
            code="SHOP900",
            name="Corner",
            contact="02-1234",
            settlement_mode="monthly",
            fee_rate=0.02,
        )
    )
    terminal = row(rpc(service_key, "create_terminal", merchant_code="SHOP900", name="Till 1"))

    assert terminal["key"].startswith("mps.t")
    assert rpc(terminal["key"], "get_merchant_transactions", merchant_id=merchant_id).body == []
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT fee_rate, settlement_mode FROM merchants_merchant")
        assert cursor.fetchall() == [(Decimal("0.0200"), "monthly")]


def test_create_terminal(rpc: Rpc, service_key: str) -> None:
    till, _key = factories.make_till_and_key()

    made = row(rpc(service_key, "create_terminal", merchant_code=till.merchant_code, name="Till 2"))

    assert list(made) == ["terminal_id", "key"]
    own = rpc(made["key"], "get_merchant_transactions", merchant_id=str(till.merchant_id))
    assert scalar(own) == []
    assert made["key"].rsplit(".", 1)[1] not in str(audited("TERMINAL_CREATED"))
    endpoints = "/api/v1/pos/webhook-endpoints"
    assert (
        Client().get(endpoints, headers={"Authorization": f"Bearer {made['key']}"}).status_code
        == 403
    )


def test_create_terminal_that_manages_webhooks(rpc: Rpc, service_key: str) -> None:
    till, _key = factories.make_till_and_key()
    shop = till.merchant_code

    made = row(
        rpc(
            *(service_key, "create_terminal"),
            **{"merchant_code": shop, "name": "Back office", "can_manage_webhooks": True},
        )
    )
    wrong = rpc(
        service_key, "create_terminal", merchant_code=shop, name="Till", can_manage_webhooks="yes"
    )

    opened = Client().post(
        "/api/v1/pos/webhook-endpoints",
        {"url": "http://127.0.0.1:9/mps"},
        "application/json",
        headers={"Authorization": f"Bearer {made['key']}"},
    )
    assert opened.status_code == 201
    assert opened.json()["secret"].startswith("whsec_")
    assert wrong.error == (400, "INVALID_REQUEST")


def test_create_merchant_and_terminal_refuse(rpc: Rpc, service_key: str) -> None:
    scalar(rpc(service_key, "create_merchant", code="SHOP900", name="Corner", fee_rate=0))
    before = world()

    again = rpc(service_key, "create_merchant", code="SHOP900", name="Corner")
    lower = rpc(service_key, "create_merchant", code="shop", name="Corner")
    fee = rpc(service_key, "create_merchant", code="SHOP901", name="Corner", fee_rate=1.5)
    lost = rpc(service_key, "create_terminal", merchant_code="SHOP901", name="Till")

    assert again.error == (409, "ALREADY_EXISTS")
    assert lower.error == (400, "INVALID_REQUEST")
    assert lower.body["hint"].startswith("p_code: ")
    assert fee.error == (400, "INVALID_REQUEST")
    assert lost.error == (404, "NOT_FOUND")
    assert world() == before


def test_create_prepaid_card(rpc: Rpc, service_key: str) -> None:
    member, _ = factories.make_member()

    card_id = scalar(
        rpc(
            service_key,
            "create_prepaid_card",
            owner_member_id=str(member.id),
            name="Family",
            fixed_discount=0.875,
            binding_password="open sesame",
        )
    )

    assert row(rpc(service_key, "get_card_detail", card_id=card_id)) == {
        "id": card_id,
        "card_no": "PPD00000001",
        "card_type": "PPD",
        "status": "active",
        "balance": Decimal("0.00"),
        "points": 0,
        "level": 0,
        "discount": Decimal("0.875"),
        "expires_at": None,
    }
    unknown = rpc(service_key, "create_prepaid_card", owner_member_id=str(uuid.uuid4()))
    assert unknown.error == (404, "NOT_FOUND")
    free = rpc(service_key, "create_prepaid_card", owner_member_id=str(member.id), fixed_discount=0)
    assert free.error == (400, "INVALID_REQUEST")


def test_get_card_detail_is_for_those_bound_to_it_only(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    other, _ = factories.make_member()
    card = factories.make_prepaid(owner, "10.00")
    mine, theirs = token_of(owner), token_of(other)

    assert row(rpc(mine, "get_card_detail", card_id=str(card.id)))["balance"] == Decimal("10.00")
    assert len(rpc(mine, "get_member_cards", member_id=str(owner.id)).body) == 2
    assert rpc(theirs, "get_card_detail", card_id=str(card.id)).error == (404, "CARD_NOT_FOUND")
    foreign = rpc(theirs, "get_member_cards", member_id=str(owner.id))
    assert foreign.error == (403, "PERMISSION_DENIED")
    nobody = rpc(service_key, "get_member_cards", member_id=str(uuid.uuid4()))
    assert nobody.error == (404, "NOT_FOUND")
    nothing = rpc(service_key, "get_card_detail", card_id=str(uuid.uuid4()))
    assert nothing.error == (404, "CARD_NOT_FOUND")


def test_get_member_cards(rpc: Rpc, service_key: str) -> None:
    owner, standard = factories.make_member()
    shared = factories.make_corporate(owner, "10.00", fixed_discount="0.90")

    shown = scalar(rpc(token_of(owner), "get_member_cards", member_id=str(owner.id)))

    assert [card["id"] for card in shown] == [str(standard.id), str(shared.id)]
    assert scalar(rpc(service_key, "get_member_cards", member_id=str(owner.id))) == shown


def test_a_standard_card_shows_what_a_corporate_card_lends(rpc: Rpc, service_key: str) -> None:
    member, standard = factories.make_member()
    company, _ = factories.make_member()
    corporate = factories.make_corporate(company, fixed_discount="0.80")
    scalar(
        rpc(
            service_key,
            "bind_member_to_card",
            card_id=str(corporate.id),
            member_id=str(member.id),
            role="viewer",
        )
    )

    shown = row(rpc(service_key, "get_card_detail", card_id=str(standard.id)))

    assert shown["discount"] == Decimal("0.80")


def test_bind_member_to_card_by_password_as_member_only(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    guest, _ = factories.make_member()
    card = factories.make_prepaid(owner, binding_password="open sesame")
    token = token_of(guest)
    which = {"card_id": str(card.id), "member_id": str(guest.id)}
    before = world()

    wrong = rpc(token, "bind_member_to_card", **which, binding_password="open")
    none = rpc(token, "bind_member_to_card", **which)
    admin = rpc(token, "bind_member_to_card", **which, role="admin", binding_password="open sesame")
    other = rpc(
        token,
        "bind_member_to_card",
        card_id=str(card.id),
        member_id=str(owner.id),
        binding_password="open sesame",
    )

    assert wrong.error == (403, "INVALID_BINDING_PASSWORD")
    assert none.error == (403, "INVALID_BINDING_PASSWORD")
    assert admin.error == (403, "PERMISSION_DENIED")
    assert other.error == (404, "CARD_NOT_FOUND")
    assert world() == before
    joined = rpc(token, "bind_member_to_card", **which, binding_password="open sesame")
    assert scalar(joined) is True
    assert len(rpc(token, "get_member_cards", member_id=str(guest.id)).body) == 2
    assert len(audited("CARD_JOIN_REFUSED")) == 2
    assert len(audited("CARD_INVITE_REFUSED")) == 1
    assert len(audited("CALL_REFUSED")) == 1


def test_bind_member_to_card_by_its_owner(rpc: Rpc) -> None:
    owner, _ = factories.make_member()
    guest, _ = factories.make_member()
    third, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    invite = {"card_id": str(card.id), "member_id": str(guest.id)}
    further = {"card_id": str(card.id), "member_id": str(third.id)}

    invited = rpc(token_of(owner), "bind_member_to_card", **invite)
    by_member = rpc(token_of(guest), "bind_member_to_card", **further)
    unknown = rpc(
        token_of(owner),
        "bind_member_to_card",
        card_id=str(card.id),
        member_id=str(uuid.uuid4()),
    )

    assert scalar(invited) is True
    assert by_member.error == (403, "PERMISSION_DENIED")
    assert unknown.error == (404, "NOT_FOUND")
    roles = "SELECT string_agg(role, ' ' ORDER BY role) FROM cards_binding WHERE card_id = %s"
    assert fetch(roles, [card.id]) == "member owner"


def test_bind_member_to_card_by_a_service_key_in_any_role(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    guest, standard = factories.make_member()
    card = factories.make_prepaid(owner, binding_password="open sesame")
    which = {"card_id": str(card.id), "member_id": str(guest.id)}
    before = world()

    wrong = rpc(service_key, "bind_member_to_card", **which, binding_password="no")
    unshared = rpc(
        service_key, "bind_member_to_card", card_id=str(standard.id), member_id=str(owner.id)
    )
    unknown = rpc(
        service_key,
        "bind_member_to_card",
        card_id=str(uuid.uuid4()),
        member_id=str(owner.id),
        binding_password="no",
    )
    role = rpc(service_key, "bind_member_to_card", **which, role="king")

    assert wrong.error == (403, "INVALID_BINDING_PASSWORD")
    assert unshared.error == (409, "CARD_TYPE_NOT_SHAREABLE")
    assert unknown.error == (404, "CARD_NOT_FOUND")
    assert role.error == (400, "INVALID_REQUEST")
    assert world() == before
    given = {**which, "role": "admin", "binding_password": "open sesame"}
    assert scalar(rpc(service_key, "bind_member_to_card", **given)) is True
    assert scalar(rpc(service_key, "bind_member_to_card", **which, role="admin")) is True
    changed = rpc(service_key, "bind_member_to_card", **which, role="viewer")
    assert changed.error == (409, "ALREADY_EXISTS")


def test_unbind_member_from_card(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    guest, _ = factories.make_member()
    stranger, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    for member in (guest, stranger):
        which = {"card_id": str(card.id), "member_id": str(member.id)}
        scalar(rpc(service_key, "bind_member_to_card", **which))
    before = world()
    of_owner = {"card_id": str(card.id), "member_id": str(owner.id)}
    of_guest = {"card_id": str(card.id), "member_id": str(guest.id)}

    last = rpc(service_key, "unbind_member_from_card", **of_owner)
    by_guest = rpc(token_of(guest), "unbind_member_from_card", **of_owner)

    assert last.error == (409, "CANNOT_REMOVE_LAST_OWNER")
    assert by_guest.error == (403, "PERMISSION_DENIED")
    assert world() == before
    assert scalar(rpc(token_of(guest), "unbind_member_from_card", **of_guest)) is True
    gone = rpc(token_of(guest), "unbind_member_from_card", **of_owner)
    assert gone.error == (404, "CARD_NOT_FOUND")
    of_stranger = {"card_id": str(card.id), "member_id": str(stranger.id)}
    assert scalar(rpc(token_of(owner), "unbind_member_from_card", **of_stranger)) is True
    again = rpc(service_key, "unbind_member_from_card", **of_stranger)
    assert again.error == (404, "NOT_FOUND")


# --- payment codes -------------------------------------------------------------------------------


def test_validate_qr_plain_until_the_code_is_revoked(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    _till, till_key = factories.make_till_and_key()
    which = {"card_id": str(card.id)}

    made = row(rpc(service_key, "rotate_card_qr", **which, ttl_seconds=900))

    expires_at = datetime.fromisoformat(made["qr_expires_at"])
    assert timedelta(seconds=880) < expires_at - datetime.now(UTC) < timedelta(seconds=901)
    code = made["qr_plain"]
    assert scalar(rpc(service_key, "validate_qr_plain", qr_plain=code)) == str(card.id)
    assert scalar(rpc(till_key, "validate_qr_plain", qr_plain=code)) == str(card.id)
    assert scalar(rpc(token_of(owner), "revoke_card_qr", **which)) is True
    dead = (409, "QR_EXPIRED_OR_INVALID")
    assert rpc(service_key, "validate_qr_plain", qr_plain=code).error == dead
    assert rpc(till_key, "validate_qr_plain", qr_plain=code).error == dead
    malformed = rpc(service_key, "validate_qr_plain", qr_plain=code[:-1])
    assert malformed.error == (400, "INVALID_CODE")


def test_rotate_card_qr_for_the_member_or_the_owner(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    guest, _ = factories.make_member()
    stranger, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    which = {"card_id": str(card.id)}
    scalar(rpc(service_key, "bind_member_to_card", **which, member_id=str(guest.id)))

    def holders() -> set[uuid.UUID]:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT member_id FROM cards_paymentcode WHERE ended_at IS NULL")
            return {holder for (holder,) in cursor.fetchall()}

    row(rpc(service_key, "rotate_card_qr", **which))
    assert holders() == {owner.id}
    row(rpc(token_of(guest), "rotate_card_qr", **which))
    assert holders() == {owner.id, guest.id}
    scalar(rpc(service_key, "revoke_card_qr", **which, member_id=str(guest.id)))
    assert holders() == {owner.id}
    row(rpc(service_key, "rotate_card_qr", **which, member_id=str(guest.id)))
    assert holders() == {owner.id, guest.id}

    foreign = rpc(token_of(guest), "rotate_card_qr", **which, member_id=str(owner.id))
    assert foreign.error == (403, "PERMISSION_DENIED")
    outside = rpc(token_of(stranger), "rotate_card_qr", **which)
    assert outside.error == (404, "CARD_NOT_FOUND")
    unknown = rpc(service_key, "rotate_card_qr", card_id=str(uuid.uuid4()))
    assert unknown.error == (404, "CARD_NOT_FOUND")
    for ttl in (59, 86_401, -1, 0):
        late = rpc(service_key, "rotate_card_qr", **which, ttl_seconds=ttl)
        assert late.error == (400, "INVALID_REQUEST")


def test_revoke_card_qr(rpc: Rpc, service_key: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner)
    code = factories.make_code(card, owner)

    assert scalar(rpc(service_key, "revoke_card_qr", card_id=str(card.id))) is True

    dead = rpc(service_key, "validate_qr_plain", qr_plain=code)
    assert dead.error == (409, "QR_EXPIRED_OR_INVALID")


def test_cron_rotate_qr_tokens(rpc: Rpc, service_key: str) -> None:
    owner, standard = factories.make_member()
    till = factories.make_till()
    shared = factories.make_prepaid(owner, "100.00")
    old = factories.make_code(shared, owner)
    own = factories.make_code(standard, owner)

    assert scalar(rpc(service_key, "cron_rotate_qr_tokens", ttl_seconds=120)) == 1

    dead = rpc(service_key, "validate_qr_plain", qr_plain=old)
    assert dead.error == (409, "QR_EXPIRED_OR_INVALID")
    with principal_scope("member_app", owner.id) as scope:
        new = selectors.show_current_code(scope, card_no=shared.number, member_id=owner.id).code
    assert not factories.charge(till, new, "10.00").refused
    # A standard card's code is its member's business.
    assert scalar(rpc(service_key, "validate_qr_plain", qr_plain=own)) == str(standard.id)
    for ttl in (59, 86_401):
        wrong = rpc(service_key, "cron_rotate_qr_tokens", ttl_seconds=ttl)
        assert wrong.error == (400, "INVALID_REQUEST")


# --- money and points ----------------------------------------------------------------------------


@pytest.fixture
def shop(rpc: Rpc, service_key: str) -> Any:
    """A shop, and a member with 1000.00 on a card at 0.95."""

    class Shop:
        till, till_key = factories.make_till_and_key()
        member, standard = factories.make_member()
        card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")
        token = token_of(member)

        def code(self) -> str:
            return factories.make_code(self.card, self.member)

        def balance(self) -> Decimal:
            shown = row(rpc(service_key, "get_card_detail", card_id=str(self.card.id)))
            return shown["balance"]

        def charge(self, key: str = service_key, **arguments: Any) -> Reply:
            given = {
                "merchant_code": self.till.merchant_code,
                "qr_plain": None,
                "raw_amount": 299.00,
                **arguments,
            }
            return rpc(
                key,
                "merchant_charge_by_qr",
                **{**given, "qr_plain": given["qr_plain"] or self.code()},
            )

    return Shop()


def test_the_worked_example(rpc: Rpc, service_key: str, shop: Any) -> None:
    paid = row(
        shop.charge(
            idempotency_key="order-20250929-001",
            external_order_id="WX20250929001",
            tag={"scene": "miniapp", "campaign": "double11"},
        )
    )

    assert list(paid) == ["tx_id", "tx_no", "card_id", "final_amount", "discount"]
    assert paid["card_id"] == str(shop.card.id)
    assert str(paid["final_amount"]) == "284.05"
    assert str(paid["discount"]) == "0.95"
    shown = row(rpc(service_key, "get_card_detail", card_id=str(shop.card.id)))
    assert (str(shown["balance"]), shown["points"]) == ("715.95", 299)
    refund = row(
        rpc(
            service_key,
            "merchant_refund_tx",
            merchant_code=shop.till.merchant_code,
            original_tx_no=paid["tx_no"],
            refund_amount="50.00",
            tag={"reason": "商品瑕疵"},
        )
    )
    assert str(refund["refunded_amount"]) == "50.00"
    shown = row(rpc(service_key, "get_card_detail", card_id=str(shop.card.id)))
    assert (str(shown["balance"]), shown["points"]) == ("765.95", 247)
    detail = row(rpc(service_key, "get_transaction_detail", tx_no=refund["refund_tx_no"]))
    assert detail["id"] == refund["refund_tx_id"]
    assert detail["original_tx_no"] == paid["tx_no"]
    assert detail["tag"] == {"reason": "商品瑕疵"}


def test_merchant_charge_by_qr_retried_is_one_charge(shop: Any) -> None:
    code = shop.code()
    first = shop.charge(qr_plain=code, idempotency_key="order-1")

    again = shop.charge(qr_plain=code, idempotency_key="order-1")
    another = shop.charge(qr_plain=code, idempotency_key="order-1", raw_amount=1)

    assert row(first) == row(again)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert another.error == (409, "IDEMPOTENCY_KEY_REUSED")
    assert shop.balance() == Decimal("715.95")


def test_without_a_key_each_charge_is_its_own(shop: Any) -> None:
    assert row(shop.charge()) != row(shop.charge())
    assert shop.balance() == Decimal("431.90")


def test_a_declined_charge_is_an_error_and_repeats(shop: Any) -> None:
    code = shop.code()

    poor = shop.charge(qr_plain=code, raw_amount=9999.99, idempotency_key="order-1")
    again = shop.charge(qr_plain=code, raw_amount=9999.99, idempotency_key="order-1")
    burnt = shop.charge(qr_plain=code, raw_amount=1)

    assert poor.error == again.error == (400, "INSUFFICIENT_BALANCE")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert burnt.error == (409, "QR_EXPIRED_OR_INVALID")
    assert shop.balance() == Decimal("1000.00")


def test_a_charge_is_refused_for_the_shop_and_the_code(
    rpc: Rpc, service_key: str, shop: Any
) -> None:
    before = world()
    unknown = shop.charge(merchant_code="NOSHOP")
    malformed = shop.charge(qr_plain="12345")
    method = shop.charge(payment_method="cheque")
    outside = shop.charge(payment_method="cash")
    order = shop.charge(external_order_id="no spaces")
    long = shop.charge(idempotency_key="k" * 256)
    empty = shop.charge(idempotency_key=" ")
    rpc(service_key, "admin_suspend_merchant", merchant_id=str(shop.till.merchant_id))
    suspended = shop.charge()

    assert unknown.error == (404, "NOT_FOUND")
    assert malformed.error == (400, "INVALID_CODE")
    assert method.error == (400, "INVALID_REQUEST")
    assert outside.error == (409, "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT")
    assert order.error == (400, "INVALID_REQUEST")
    assert long.error == (400, "INVALID_REQUEST")
    assert empty.error[0] == 400
    assert suspended.error == (403, "MERCHANT_SUSPENDED")
    assert world() == before


def test_a_till_charges_and_refunds_for_its_own_shop_only(rpc: Rpc, shop: Any) -> None:
    other, other_key = factories.make_till_and_key()
    paid = row(shop.charge(shop.till_key))
    before = world()
    refund = {"original_tx_no": paid["tx_no"], "refund_amount": 1}

    foreign = shop.charge(other_key)
    mine = rpc(other_key, "merchant_refund_tx", merchant_code=other.merchant_code, **refund)
    theirs = rpc(other_key, "merchant_refund_tx", merchant_code=shop.till.merchant_code, **refund)

    assert foreign.error == (403, "PERMISSION_DENIED")
    assert mine.error == (404, "ORIGINAL_TX_NOT_FOUND")
    assert theirs.error == (403, "PERMISSION_DENIED")
    assert world() == before
    assert [event["object_id"] for event in audited("CALL_REFUSED")] == [
        "merchant_charge_by_qr",
        "merchant_refund_tx",
    ]
    own = rpc(shop.till_key, "merchant_refund_tx", merchant_code=shop.till.merchant_code, **refund)
    assert row(own)["refunded_amount"] == Decimal("1.00")


def test_merchant_refund_tx_is_bounded_and_repeats(rpc: Rpc, service_key: str, shop: Any) -> None:
    paid = row(shop.charge())
    refund = {"merchant_code": shop.till.merchant_code, "original_tx_no": paid["tx_no"]}

    def give_back(amount: Any, **more: Any) -> Reply:
        return rpc(service_key, "merchant_refund_tx", **refund, refund_amount=amount, **more)

    assert give_back(284.06).error == (409, "REFUND_EXCEEDS_REMAINING")
    first = row(give_back(200, idempotency_key="r1"))
    assert row(give_back(200, idempotency_key="r1")) == first
    assert give_back(84.06).error == (409, "REFUND_EXCEEDS_REMAINING")
    row(give_back(84.05))
    assert give_back(0.01).error == (409, "ONLY_COMPLETED_PAYMENT_REFUNDABLE")
    assert shop.balance() == Decimal("1000.00")
    nothing = rpc(
        service_key, "merchant_refund_tx", **{**refund, "original_tx_no": "PAY9"}, refund_amount=1
    )
    assert nothing.error == (404, "ORIGINAL_TX_NOT_FOUND")


def test_user_recharge_card_credits_once(rpc: Rpc, service_key: str, shop: Any) -> None:
    given = {
        "card_id": str(shop.card.id),
        "amount": 500.00,
        "payment_method": "wechat",
        "tag": {"channel": "app"},
    }

    first = row(
        rpc(
            service_key,
            "user_recharge_card",
            **given,
            idempotency_key="topup-1",
            external_order_id="WX-1",
        )
    )
    order = row(rpc(service_key, "user_recharge_card", **given, external_order_id="WX-1"))
    other = rpc(
        service_key, "user_recharge_card", **{**given, "amount": 1}, external_order_id="WX-1"
    )
    standard = rpc(service_key, "user_recharge_card", **{**given, "card_id": str(shop.standard.id)})
    unknown = rpc(service_key, "user_recharge_card", card_id=str(uuid.uuid4()), amount=1)
    too_much = rpc(service_key, "user_recharge_card", **{**given, "amount": "9999999999.99"})
    shouted = rpc(service_key, "user_recharge_card", **{**given, "payment_method": "WeChat Pay"})

    assert list(first) == ["tx_id", "tx_no", "card_id", "amount"]
    assert str(first["amount"]) == "500.00"
    assert order == first
    assert other.error == (409, "ALREADY_EXISTS")
    assert standard.error == (409, "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE")
    assert unknown.error == (404, "CARD_NOT_FOUND")
    assert too_much.error == (400, "INVALID_AMOUNT")
    assert shouted.error == (400, "INVALID_REQUEST")
    assert shop.balance() == Decimal("1500.00")


def test_update_points_and_level_move_at_once(rpc: Rpc, service_key: str, shop: Any) -> None:
    which = {"card_id": str(shop.standard.id)}

    def shown() -> tuple[int, int, Decimal]:
        card = row(rpc(service_key, "get_card_detail", **which))
        return card["points"], card["level"], card["discount"]

    up = rpc(service_key, "update_points_and_level", **which, delta_points=5000, reason="gift")
    assert scalar(up) is True
    assert shown() == (5000, 2, Decimal("0.90"))
    assert scalar(rpc(service_key, "update_points_and_level", **which, delta_points=-4500)) is True
    assert shown() == (500, 0, Decimal("1.00"))
    below = rpc(service_key, "update_points_and_level", **which, delta_points=-501)
    assert below.error == (400, "INSUFFICIENT_BALANCE")
    for wrong in (0, 1.5, "10", True, 10**10):
        reply = rpc(service_key, "update_points_and_level", **which, delta_points=wrong)
        assert reply.error == (400, "INVALID_REQUEST")
    assert shown() == (500, 0, Decimal("1.00"))
    company = factories.make_corporate(shop.member)
    without = rpc(service_key, "update_points_and_level", card_id=str(company.id), delta_points=1)
    assert without.error == (409, "UNSUPPORTED_CARD_TYPE_FOR_POINTS")


# --- risk ----------------------------------------------------------------------------------------


def test_freeze_card(rpc: Rpc, service_key: str, shop: Any) -> None:
    code = shop.code()

    frozen = rpc(service_key, "freeze_card", card_id=str(shop.card.id), reason="stolen")

    assert scalar(frozen) is True
    assert shop.charge(qr_plain=code).error == (409, "CARD_NOT_ACTIVE")
    event = audited("CARD_FROZEN")[0]
    assert (event["actor_type"], event["actor"]) == ("service", "shop-backend")
    assert event["reason"] == "stolen"


def test_unfreeze_card(rpc: Rpc, service_key: str, shop: Any) -> None:
    which = {"card_id": str(shop.card.id)}
    scalar(rpc(service_key, "freeze_card", **which))

    assert scalar(rpc(service_key, "unfreeze_card", **which)) is True

    row(shop.charge())


def test_admin_suspend_member(rpc: Rpc, service_key: str, shop: Any) -> None:
    code = shop.code()

    suspended = rpc(
        service_key, "admin_suspend_member", member_id=str(shop.member.id), reason="fraud"
    )

    assert scalar(suspended) is True
    assert shop.charge(qr_plain=code).error == (403, "MEMBER_SUSPENDED")
    rotated = rpc(shop.token, "rotate_card_qr", card_id=str(shop.card.id))
    assert rotated.error == (403, "MEMBER_SUSPENDED")


def test_admin_activate_member(rpc: Rpc, service_key: str, shop: Any) -> None:
    which = {"member_id": str(shop.member.id)}
    scalar(rpc(service_key, "admin_suspend_member", **which))

    assert scalar(rpc(service_key, "admin_activate_member", **which)) is True

    row(shop.charge())


def test_admin_suspend_merchant(rpc: Rpc, service_key: str, shop: Any) -> None:
    which = {"merchant_id": str(shop.till.merchant_id)}

    assert scalar(rpc(service_key, "admin_suspend_merchant", **which)) is True

    assert shop.charge().error == (403, "MERCHANT_SUSPENDED")


def test_admin_activate_merchant(rpc: Rpc, service_key: str, shop: Any) -> None:
    which = {"merchant_id": str(shop.till.merchant_id)}
    scalar(rpc(service_key, "admin_suspend_merchant", **which))

    assert scalar(rpc(service_key, "admin_activate_merchant", **which)) is True

    row(shop.charge())


@pytest.mark.parametrize(
    ("function", "argument", "code"),
    [
        ("freeze_card", "card_id", "CARD_NOT_FOUND"),
        ("unfreeze_card", "card_id", "CARD_NOT_FOUND"),
        ("admin_suspend_member", "member_id", "NOT_FOUND"),
        ("admin_activate_member", "member_id", "NOT_FOUND"),
        ("admin_suspend_merchant", "merchant_id", "NOT_FOUND"),
        ("admin_activate_merchant", "merchant_id", "NOT_FOUND"),
    ],
)
def test_what_is_not_there_cannot_be_stopped(
    rpc: Rpc, service_key: str, function: str, argument: str, code: str
) -> None:
    assert rpc(service_key, function, **{argument: str(uuid.uuid4())}).error == (404, code)


# --- history -------------------------------------------------------------------------------------


def test_histories_page_and_count(rpc: Rpc, service_key: str, shop: Any) -> None:
    numbers = [row(shop.charge(raw_amount=1))["tx_no"] for _ in range(3)]
    of_merchant = {"merchant_id": str(shop.till.merchant_id)}
    of_member = {"member_id": str(shop.member.id)}

    whole = rpc(shop.till_key, "get_merchant_transactions", **of_merchant).body
    page = rpc(service_key, "get_merchant_transactions", **of_merchant, limit=1, offset=1).body
    beyond = rpc(service_key, "get_merchant_transactions", **of_merchant, offset=3)
    own = rpc(shop.token, "get_member_transactions", **of_member).body

    assert [line["tx_no"] for line in whole] == numbers[::-1]
    assert page == [whole[1]]
    assert scalar(beyond) == []
    assert list(whole[0]) == [
        "id",
        "tx_no",
        "tx_type",
        "card_id",
        "merchant_id",
        "final_amount",
        "status",
        "created_at",
        "total_count",
    ]
    assert {line["total_count"] for line in whole} == {3}
    # The member's own history has the top-up, too.
    assert [line["tx_type"] for line in own] == ["payment"] * 3 + ["recharge"]
    assert {line["total_count"] for line in own} == {4}
    for limit, offset in ((0, 0), (201, 0), (1, -1), ("5", 0), (1, None)):
        reply = rpc(service_key, "get_member_transactions", **of_member, limit=limit, offset=offset)
        assert reply.status == (200 if offset is None else 400)


def test_get_member_transactions_and_those_of_a_merchant_are_ones_own(
    rpc: Rpc, service_key: str, shop: Any
) -> None:
    row(shop.charge())
    other, other_key = factories.make_till_and_key()
    stranger, _ = factories.make_member()

    till = rpc(other_key, "get_merchant_transactions", merchant_id=str(shop.till.merchant_id))
    member = rpc(token_of(stranger), "get_member_transactions", member_id=str(shop.member.id))

    assert till.error == (403, "PERMISSION_DENIED")
    assert member.error == (403, "PERMISSION_DENIED")
    own = rpc(other_key, "get_merchant_transactions", merchant_id=str(other.merchant_id))
    assert scalar(own) == []
    own = rpc(token_of(stranger), "get_member_transactions", member_id=str(stranger.id))
    assert scalar(own) == []
    for function, name in (
        ("get_merchant_transactions", "merchant_id"),
        ("get_member_transactions", "member_id"),
    ):
        unknown = rpc(service_key, function, **{name: str(uuid.uuid4())})
        assert unknown.error == (404, "NOT_FOUND")


def test_who_left_a_card_sees_what_they_paid(rpc: Rpc, service_key: str, shop: Any) -> None:
    guest, _ = factories.make_member()
    token = token_of(guest)
    which = {"card_id": str(shop.card.id), "member_id": str(guest.id)}
    scalar(rpc(service_key, "bind_member_to_card", **which))
    paid = row(shop.charge(qr_plain=factories.make_code(shop.card, guest)))
    foreign = row(shop.charge())
    own = {"member_id": str(guest.id)}
    assert len(rpc(token, "get_member_transactions", **own).body) == 3

    scalar(rpc(token, "unbind_member_from_card", **which))

    assert row(rpc(token, "get_member_transactions", **own))["tx_no"] == paid["tx_no"]
    row(rpc(token, "get_transaction_detail", tx_no=paid["tx_no"]))
    hidden = rpc(token, "get_transaction_detail", tx_no=foreign["tx_no"])
    assert hidden.error == (404, "NOT_FOUND")


def test_get_merchant_transactions_by_dates_in_the_shops_time_zone(
    rpc: Rpc, service_key: str, database: str
) -> None:
    till, till_key = factories.make_till_and_key(time_zone="Pacific/Kiritimati")
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "10.00")
    factories.charge(till, factories.make_code(card, member), "1.00")
    which = {"merchant_id": str(till.merchant_id)}
    line = row(rpc(till_key, "get_merchant_transactions", **which))
    at = datetime.fromisoformat(line["created_at"])
    local = at.astimezone(ZoneInfo("Pacific/Kiritimati"))
    today = local.date()

    def count(**window: Any) -> int:
        return len(scalar(rpc(till_key, "get_merchant_transactions", **which, **window)))

    day = timedelta(days=1)
    assert count(start_date=str(today), end_date=str(today)) == 1
    assert count(end_date=str(today - day)) == 0
    assert count(start_date=str(today + day)) == 0
    # [start, end): the moment itself is in as a start, and out as an end.
    assert count(start_date=at.isoformat()) == 1
    assert count(end_date=at.isoformat()) == 0
    assert count(end_date=(at + timedelta(microseconds=1)).isoformat()) == 1
    assert count(start_date=local.replace(tzinfo=None).isoformat()) == 1
    assert count(end_date=local.replace(tzinfo=None).isoformat(sep=" ")) == 0
    assert count(start_date=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == 1
    assert count(start_date="1000-01-01", end_date="2999-12-31") == 1
    for wrong in (
        "yesterday",
        "2025-02-30",
        "20250101",
        "0001-01-01",
        "2025-01-01T25:00",
        "",
        20250101,
    ):
        reply = rpc(till_key, "get_merchant_transactions", **which, start_date=wrong)
        assert reply.error == (400, "INVALID_REQUEST"), wrong


def test_get_transaction_detail_is_shown_to_its_parties(
    rpc: Rpc, service_key: str, shop: Any
) -> None:
    paid = row(shop.charge(shop.till_key, tag={"note": 1.5}, external_order_id="ORDER-1"))
    _other, other_key = factories.make_till_and_key()
    stranger, _ = factories.make_member()
    which = {"tx_no": paid["tx_no"]}

    seen = row(rpc(service_key, "get_transaction_detail", **which))

    assert seen["amount"] == Decimal("299.00")
    assert seen["discount_amount"] == Decimal("14.95")
    assert seen["balance_after"] == Decimal("715.95")
    assert seen["card_no"] == f"PPD****{shop.card.number[-4:]}"
    assert seen["external_order_id"] == "ORDER-1"
    assert seen["terminal_id"] == str(shop.till.terminal_id)
    assert seen["tag"] == {"note": Decimal("1.5")}
    assert row(rpc(shop.till_key, "get_transaction_detail", **which)) == seen
    own = row(rpc(shop.token, "get_transaction_detail", **which))
    assert own == {name: value for name, value in seen.items() if name != "tag"}
    for key in (other_key, token_of(stranger)):
        assert rpc(key, "get_transaction_detail", **which).error == (404, "NOT_FOUND")
    unknown = rpc(service_key, "get_transaction_detail", tx_no="PAY9999999999")
    assert unknown.error == (404, "NOT_FOUND")
