"""The public client `supabase`, unchanged, against a server of ours."""

from decimal import Decimal
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import Client, create_client

from mps.rpc import services
from tests.rpc.conftest import audited


def exact(number: float) -> str:
    """Return what a number was before the client made a float of it."""
    return str(Decimal(repr(number)))


def test_the_main_job_by_an_existing_client(live_server_url: str) -> None:
    _key, service_key = services.create_service_key(name="shop-backend")
    supabase: Client = create_client(live_server_url, service_key)

    def rpc(function_name: str, params: dict[str, Any]) -> Any:
        response = supabase.rpc(function_name, params).execute()
        return getattr(response, "data", response)

    # a member with their standard card, and a shared card of theirs
    member_id = rpc(
        "create_member_profile",
        {
            "p_name": "張小明",
            "p_phone": "0988123456",
            "p_email": "ming@example.com",
            "p_binding_user_org": "wechat",
            "p_binding_org_id": "wx_openid_abc123",
        },
    )
    assert isinstance(member_id, str)
    card_id = rpc(
        "create_prepaid_card",
        {"p_owner_member_id": member_id, "p_name": "Family", "p_fixed_discount": 0.95},
    )
    merchant_id = rpc("create_merchant", {"p_code": "SHOP001", "p_name": "Corner Shop"})

    recharge_result = rpc(
        "user_recharge_card",
        {
            "p_card_id": card_id,
            "p_amount": 1000.00,
            "p_payment_method": "wechat",
            "p_idempotency_key": "topup-20250929-001",
            "p_tag": {"channel": "app"},
        },
    )
    assert recharge_result[0]["tx_no"].startswith("RCG")

    qr_result = rpc("rotate_card_qr", {"p_card_id": card_id, "p_ttl_seconds": 900})
    qr_plain = qr_result[0]["qr_plain"]
    assert qr_result[0]["qr_expires_at"]
    assert rpc("validate_qr_plain", {"p_qr_plain": qr_plain}) == card_id

    charge = {
        "p_merchant_code": "SHOP001",
        "p_qr_plain": qr_plain,
        "p_raw_amount": 299.00,
        "p_idempotency_key": "order-20250929-001",
        "p_tag": {"scene": "miniapp", "campaign": "double11"},
        "p_external_order_id": "WX20250929001",
    }
    payment_result = rpc("merchant_charge_by_qr", charge)
    payment = payment_result[0]
    assert payment["final_amount"] == 284.05
    assert exact(payment["final_amount"]) == "284.05"
    assert exact(payment["discount"]) == "0.95"
    assert rpc("merchant_charge_by_qr", charge)[0]["tx_id"] == payment["tx_id"]
    card = rpc("get_card_detail", {"p_card_id": card_id})[0]
    assert exact(card["balance"]) == "715.95"
    assert card["points"] == 299

    refund_result = rpc(
        "merchant_refund_tx",
        {
            "p_merchant_code": "SHOP001",
            "p_original_tx_no": payment["tx_no"],
            "p_refund_amount": 50.00,
            "p_tag": {"reason": "商品瑕疵"},
        },
    )
    assert refund_result[0]["refund_tx_no"].startswith("REF")
    card = rpc("get_card_detail", {"p_card_id": card_id})[0]
    assert exact(card["balance"]) == "765.95"
    assert card["points"] == 247

    history = rpc("get_member_transactions", {"p_member_id": member_id, "p_limit": 2})
    assert [line["tx_type"] for line in history] == ["refund", "payment"]
    assert history[0]["total_count"] == 3
    assert exact(history[1]["final_amount"]) == "284.05"
    takings = rpc("get_merchant_transactions", {"p_merchant_id": merchant_id})
    assert [line["tx_no"] for line in takings] == [line["tx_no"] for line in history]
    assert rpc("update_points_and_level", {"p_card_id": card_id, "p_delta_points": 1}) is True

    single = supabase.rpc("get_card_detail", {"p_card_id": card_id}).single().execute()
    assert single.data == {**card, "points": 248}
    with pytest.raises(APIError) as several:
        supabase.rpc("get_member_cards", {"p_member_id": member_id}).single().execute()
    assert several.value.message == "NOT_ACCEPTABLE"

    # what goes wrong, as an existing client looks at it
    with pytest.raises(APIError) as used:
        rpc(
            "merchant_charge_by_qr",
            {**charge, "p_idempotency_key": None, "p_external_order_id": None},
        )
    assert "QR_EXPIRED_OR_INVALID" in str(used.value)
    assert (used.value.message, used.value.code) == ("QR_EXPIRED_OR_INVALID", "P0001")
    fresh = rpc("rotate_card_qr", {"p_card_id": card_id})[0]["qr_plain"]
    with pytest.raises(APIError) as poor:
        rpc(
            "merchant_charge_by_qr",
            {"p_merchant_code": "SHOP001", "p_qr_plain": fresh, "p_raw_amount": 5000},
        )
    assert "INSUFFICIENT_BALANCE" in str(poor.value)
    with pytest.raises(APIError) as unknown:
        rpc("no_such_function", {})
    assert unknown.value.message == "NOT_FOUND"
    with pytest.raises(APIError) as table:
        supabase.table("members_member").select("*").execute()
    assert table.value.message == "METHOD_NOT_ALLOWED"

    assert audited("PAYMENT_COMPLETED")[0]["actor"] == "shop-backend"


def test_a_till_and_a_stranger_by_an_existing_client(live_server_url: str) -> None:
    _key, service_key = services.create_service_key(name="shop-backend")
    backend = create_client(live_server_url, service_key)
    backend.rpc("create_merchant", {"p_code": "SHOP001", "p_name": "Corner"}).execute()
    terminal = backend.rpc(
        "create_terminal", {"p_merchant_code": "SHOP001", "p_name": "Till"}
    ).execute()
    till = create_client(live_server_url, terminal.data[0]["key"])

    with pytest.raises(APIError) as denied:
        till.rpc("create_merchant", {"p_code": "SHOP002", "p_name": "Mine"}).execute()
    with pytest.raises(APIError) as stranger:
        create_client(live_server_url, "some.other.key").rpc("freeze_card").execute()

    assert denied.value.message == "PERMISSION_DENIED"
    assert stranger.value.message == "NOT_AUTHENTICATED"
