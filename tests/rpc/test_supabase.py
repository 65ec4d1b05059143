"""The public client `supabase`, unchanged, against a server of ours: every function, in the order
in which an existing client of the system would call them.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import Client, create_client

from mps.product.rpc import services
from tests.rpc.conftest import audited
from tests.rpc.table import TABLE


def exact(number: float) -> str:
    """Return what a number was before the client made a float of it."""
    return str(Decimal(repr(number)))


@dataclass
class Backend:
    """A trusted backend that remembers what it called."""

    client: Client
    called: set[str] = field(default_factory=set)

    def rpc(self, function: str, /, **arguments: Any) -> Any:
        self.called.add(function)
        given = {f"p_{name}": value for name, value in arguments.items()}
        return self.client.rpc(function, given).execute().data

    def refusal(self, function: str, /, **arguments: Any) -> str:
        """Return the code of a refusal, where existing clients look for it."""
        with pytest.raises(APIError) as refused:
            self.rpc(function, **arguments)
        assert refused.value.code == "P0001"
        assert refused.value.message in str(refused.value)
        return str(refused.value.message)


@pytest.fixture
def backend(live_server_url: str) -> Backend:
    _key, text = services.create_service_key(name="shop-backend")
    return Backend(create_client(live_server_url, text))


def test_every_function_by_an_existing_client(backend: Backend) -> None:
    family = open_family(backend)
    merchant_id = open_shop(backend)
    paid = pay_and_refund(backend, family)
    use_codes(backend, family)
    read_histories(backend, family, merchant_id, paid)
    issue_other_cards(backend, family)
    stop_and_start(backend, family, merchant_id)
    settle(backend, merchant_id)
    leave(backend, family)

    assert backend.called == set(TABLE)
    assert audited("PAYMENT_COMPLETED")[0]["actor"] == "shop-backend"


@dataclass
class Family:
    """A card with its owner and another member."""

    owner_id: str
    guest_id: str
    card_id: str


def open_family(backend: Backend) -> Family:
    owner_id = backend.rpc(
        "create_member_profile",
        name="張小明",
        phone="0988123456",
        email="ming@example.com",
        binding_user_org="wechat",
        binding_org_id="wx_openid_abc123",
    )
    assert isinstance(owner_id, str)
    guest_id = backend.rpc("create_member_profile", name="張小華")
    card_id = backend.rpc(
        "create_prepaid_card", owner_member_id=owner_id, name="Family", fixed_discount=0.95
    )
    assert backend.rpc("set_card_binding_password", card_id=card_id, password="open sesame") is True
    joining = {"card_id": card_id, "member_id": guest_id}
    wrong = backend.refusal("bind_member_to_card", **joining, binding_password="open")
    assert wrong == "INVALID_BINDING_PASSWORD"
    assert backend.rpc("bind_member_to_card", **joining, binding_password="open sesame") is True
    return Family(owner_id, guest_id, card_id)


def open_shop(backend: Backend) -> str:
    merchant_id = backend.rpc("create_merchant", code="SHOP001", name="Corner Shop", fee_rate=0.02)
    till = backend.rpc("create_terminal", merchant_code="SHOP001", name="Till 1")[0]
    assert till["key"].startswith("mps.t")
    assert isinstance(merchant_id, str)
    return merchant_id


def pay_and_refund(backend: Backend, family: Family) -> str:
    """The worked example; answers the payment's number."""
    card = {"card_id": family.card_id}
    top_up = backend.rpc(
        "user_recharge_card",
        **card,
        amount=1000.00,
        payment_method="wechat",
        idempotency_key="topup-20250929-001",
        tag={"channel": "app"},
    )
    assert top_up[0]["tx_no"].startswith("RCG")
    code = backend.rpc("rotate_card_qr", **card, ttl_seconds=900)[0]
    assert code["qr_expires_at"]
    charge = {
        "merchant_code": "SHOP001",
        "qr_plain": code["qr_plain"],
        "raw_amount": 299.00,
        "idempotency_key": "order-20250929-001",
        "tag": {"scene": "miniapp", "campaign": "double11"},
        "external_order_id": "WX20250929001",
    }
    payment = backend.rpc("merchant_charge_by_qr", **charge)[0]
    assert payment["final_amount"] == 284.05
    assert exact(payment["final_amount"]) == "284.05"
    assert exact(payment["discount"]) == "0.95"
    assert backend.rpc("merchant_charge_by_qr", **charge)[0]["tx_id"] == payment["tx_id"]
    shown = backend.rpc("get_card_detail", **card)[0]
    assert (exact(shown["balance"]), shown["points"]) == ("715.95", 299)
    refund = backend.rpc(
        "merchant_refund_tx",
        merchant_code="SHOP001",
        original_tx_no=payment["tx_no"],
        refund_amount=50.00,
        tag={"reason": "商品瑕疵"},
    )
    assert refund[0]["refund_tx_no"].startswith("REF")
    shown = backend.rpc("get_card_detail", **card)[0]
    assert (exact(shown["balance"]), shown["points"]) == ("765.95", 247)
    fresh = {**charge, "idempotency_key": None, "external_order_id": None}
    assert backend.refusal("merchant_charge_by_qr", **fresh) == "QR_EXPIRED_OR_INVALID"
    number: str = payment["tx_no"]
    return number


def use_codes(backend: Backend, family: Family) -> None:
    card = {"card_id": family.card_id}
    code = backend.rpc("rotate_card_qr", **card, member_id=family.guest_id)[0]["qr_plain"]
    assert backend.rpc("validate_qr_plain", qr_plain=code) == family.card_id
    assert backend.rpc("cron_rotate_qr_tokens", ttl_seconds=300) == 1
    assert backend.refusal("validate_qr_plain", qr_plain=code) == "QR_EXPIRED_OR_INVALID"
    assert backend.rpc("revoke_card_qr", **card, member_id=family.guest_id) is True
    assert backend.rpc("cron_rotate_qr_tokens") == 0
    code = backend.rpc("rotate_card_qr", **card)[0]["qr_plain"]
    poor = backend.refusal(
        "merchant_charge_by_qr", merchant_code="SHOP001", qr_plain=code, raw_amount=5000
    )
    assert poor == "INSUFFICIENT_BALANCE"


def read_histories(backend: Backend, family: Family, merchant_id: str, paid: str) -> None:
    history = backend.rpc("get_member_transactions", member_id=family.owner_id, limit=3)
    assert [line["tx_type"] for line in history] == ["payment", "refund", "payment"]
    assert [line["status"] for line in history] == ["failed", "completed", "completed"]
    assert history[0]["total_count"] == 4
    assert exact(history[2]["final_amount"]) == "284.05"
    takings = backend.rpc("get_merchant_transactions", merchant_id=merchant_id)
    assert [line["tx_no"] for line in takings] == [line["tx_no"] for line in history]
    detail = backend.rpc("get_transaction_detail", tx_no=paid)[0]
    assert exact(detail["refunded_total"]) == "50.0"
    assert detail["tag"] == {"scene": "miniapp", "campaign": "double11"}


def issue_other_cards(backend: Backend, family: Family) -> None:
    company = backend.rpc(
        "create_corporate_card", owner_member_id=family.guest_id, name="ACME", fixed_discount=0.9
    )
    voucher = backend.rpc(
        "create_voucher_card",
        member_id=family.guest_id,
        kind="percent",
        value=20,
        min_spend=100,
        expires_at="2099-12-31",
        merchant_codes=["SHOP001"],
    )
    held = backend.rpc("get_member_cards", member_id=family.guest_id)
    assert [card["card_type"] for card in held] == ["STD", "PPD", "COR", "VCH"]
    assert [card["id"] for card in held[2:]] == [company, voucher]
    # What the corporate card lends.
    assert exact(held[0]["discount"]) == "0.9"
    card = {"card_id": family.card_id}
    assert backend.rpc("update_points_and_level", **card, delta_points=1, reason="gift") is True
    single = backend.client.rpc("get_card_detail", {"p_card_id": family.card_id}).single().execute()
    assert single.data["points"] == 248
    with pytest.raises(APIError) as several:
        backend.client.rpc("get_member_cards", {"p_member_id": family.guest_id}).single().execute()
    assert several.value.message == "NOT_ACCEPTABLE"


def stop_and_start(backend: Backend, family: Family, merchant_id: str) -> None:
    def charge() -> Any:
        return {"merchant_code": "SHOP001", "qr_plain": code, "raw_amount": 1}

    stops: list[tuple[str, str, dict[str, str], str]] = [
        ("freeze_card", "unfreeze_card", {"card_id": family.card_id}, "CARD_NOT_ACTIVE"),
        (
            "admin_suspend_member",
            "admin_activate_member",
            {"member_id": family.owner_id},
            "MEMBER_SUSPENDED",
        ),
        (
            "admin_suspend_merchant",
            "admin_activate_merchant",
            {"merchant_id": merchant_id},
            "MERCHANT_SUSPENDED",
        ),
    ]
    for stop, start, which, refusal in stops:
        code = backend.rpc("rotate_card_qr", card_id=family.card_id)[0]["qr_plain"]
        assert backend.rpc(stop, **which, reason="a look at it") is True
        assert backend.refusal("merchant_charge_by_qr", **charge()) == refusal
        assert backend.rpc(start, **which) is True
    code = backend.rpc("rotate_card_qr", card_id=family.card_id)[0]["qr_plain"]
    assert backend.rpc("merchant_charge_by_qr", **charge())[0]["tx_no"].startswith("PAY")


def settle(backend: Backend, merchant_id: str) -> None:
    period = {
        "merchant_id": merchant_id,
        "mode": "t_plus_1",
        "period_start": "2025-09-29",
        "period_end": "2099-09-30",
    }
    settlement_id = backend.rpc("generate_settlement", **period)
    assert backend.rpc("generate_settlement", **period) == settlement_id
    listed = backend.rpc("list_settlements", merchant_id=merchant_id, limit=10)
    assert [each["id"] for each in listed] == [settlement_id]
    # 284.05 - 50.00 + 0.95, less the fees: 5.68 - 0.99 + 0.02.
    assert exact(listed[0]["total_amount"]) == "230.29"
    assert listed[0]["total_tx_count"] == 3
    nothing = backend.refusal("generate_settlement", **{**period, "mode": "monthly"})
    assert nothing == "NO_TRANSACTIONS_IN_PERIOD"


def leave(backend: Backend, family: Family) -> None:
    card = {"card_id": family.card_id}
    guest = {**card, "member_id": family.guest_id}
    assert backend.rpc("unbind_member_from_card", **guest) is True
    assert backend.refusal("unbind_member_from_card", **guest) == "NOT_FOUND"
    last = backend.refusal("unbind_member_from_card", **card, member_id=family.owner_id)
    assert last == "CANNOT_REMOVE_LAST_OWNER"


def test_what_is_not_offered(backend: Backend) -> None:
    with pytest.raises(APIError) as unknown:
        backend.rpc("no_such_function")
    with pytest.raises(APIError) as table:
        backend.client.table("members_member").select("*").execute()

    assert unknown.value.message == "NOT_FOUND"
    assert table.value.message == "METHOD_NOT_ALLOWED"


def test_a_till_and_a_stranger_by_an_existing_client(
    backend: Backend, live_server_url: str
) -> None:
    open_shop(backend)
    key = backend.rpc("create_terminal", merchant_code="SHOP001", name="Till 2")[0]["key"]
    till = create_client(live_server_url, key)
    stranger = create_client(live_server_url, "some.other.key")

    with pytest.raises(APIError) as denied:
        till.rpc("create_merchant", {"p_code": "SHOP002", "p_name": "Mine"}).execute()
    with pytest.raises(APIError) as unknown:
        stranger.rpc("freeze_card").execute()

    assert denied.value.message == "PERMISSION_DENIED"
    assert unknown.value.message == "NOT_AUTHENTICATED"


def test_what_an_existing_client_may_put_behind_a_call(backend: Backend) -> None:
    merchant_id = open_shop(backend)
    which = {"p_merchant_id": merchant_id}

    def call() -> Any:
        return backend.client.rpc("get_merchant_transactions", which)

    none = call().execute().data
    terminal = {"p_merchant_code": "SHOP001", "p_name": "Till 2"}
    single = backend.client.rpc("create_terminal", terminal).single().execute().data
    perhaps = call().maybe_single().execute()
    one = backend.client.rpc("create_terminal", terminal).maybe_single().execute()
    refused = []
    for changed in (
        call().select("tx_no"),
        call().order("tx_no"),
        call().limit(1),
        call().range(0, 9),
        call().eq("status", "completed"),
        call().csv(),
        call().single(),
    ):
        with pytest.raises(APIError) as error:
            changed.execute()
        refused.append(error.value.message)
    with pytest.raises(APIError) as got:
        backend.client.rpc("get_merchant_transactions", which, get=True).execute()

    assert none == []
    assert perhaps is None
    assert set(single) == set(one.data) == {"terminal_id", "key"}
    assert refused == ["INVALID_REQUEST"] * 5 + ["NOT_ACCEPTABLE"] * 2
    assert got.value.message == "METHOD_NOT_ALLOWED"
