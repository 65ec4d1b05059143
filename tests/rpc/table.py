"""The table of RPC functions: who may call each, with what, and what it answers."""

from dataclasses import dataclass

_CARD = "id card_no card_type status balance points level discount expires_at"
_LINE = "id tx_no tx_type card_id merchant_id final_amount status created_at"
_DETAIL = (
    "failure_code card_no member_id merchant_code terminal_id currency amount discount"
    " discount_amount points tier balance_after payment_method external_order_id original_tx_no"
    " refunded_total credited_to reason tag"
)
_WINDOW = "limit? offset? start_date? end_date?"
_SHARED = "owner_member_id name? fixed_discount? binding_password?"
_TRUE, _ID = "true", "id"

# name: who | arguments, `?` marks optional ones | `id`, `true` or `count`, else the rows' columns
_TABLE = {
    "create_member_profile": (
        "S",
        "name phone? email? password? binding_user_org? binding_org_id?",
        _ID,
    ),
    "bind_member_to_card": ("SM", "card_id member_id role? binding_password?", _TRUE),
    "unbind_member_from_card": ("SM", "card_id member_id", _TRUE),
    "rotate_card_qr": ("SM", "card_id ttl_seconds? member_id?", "qr_plain qr_expires_at"),
    "revoke_card_qr": ("SM", "card_id member_id?", _TRUE),
    "validate_qr_plain": ("ST", "qr_plain", _ID),
    "cron_rotate_qr_tokens": ("S", "ttl_seconds?", "count"),
    "merchant_charge_by_qr": (
        "ST",
        "merchant_code qr_plain raw_amount idempotency_key? tag? external_order_id?"
        " payment_method? voucher_qr_plain?",
        "tx_id tx_no card_id final_amount discount",
    ),
    "merchant_refund_tx": (
        "ST",
        "merchant_code original_tx_no refund_amount tag? idempotency_key?",
        "refund_tx_id refund_tx_no refunded_amount",
    ),
    "user_recharge_card": (
        "S",
        "card_id amount payment_method? tag? idempotency_key? external_order_id?",
        "tx_id tx_no card_id amount",
    ),
    "update_points_and_level": ("S", "card_id delta_points reason?", _TRUE),
    "freeze_card": ("S", "card_id reason?", _TRUE),
    "unfreeze_card": ("S", "card_id reason?", _TRUE),
    "admin_suspend_member": ("S", "member_id reason?", _TRUE),
    "admin_activate_member": ("S", "member_id reason?", _TRUE),
    "admin_suspend_merchant": ("S", "merchant_id reason?", _TRUE),
    "admin_activate_merchant": ("S", "merchant_id reason?", _TRUE),
    "generate_settlement": ("S", "merchant_id mode period_start period_end", _ID),
    "list_settlements": (
        "ST",
        "merchant_id limit? offset?",
        "id period_start period_end mode total_amount total_tx_count status created_at",
    ),
    "get_member_transactions": ("SM", f"member_id {_WINDOW}", f"{_LINE} total_count"),
    "get_merchant_transactions": ("ST", f"merchant_id {_WINDOW}", f"{_LINE} total_count"),
    "get_transaction_detail": ("STM", "tx_no", f"{_LINE} {_DETAIL}"),
    "create_merchant": ("S", "code name contact? settlement_mode? fee_rate?", _ID),
    "create_terminal": (
        "S",
        "merchant_code name can_top_up? can_manage_webhooks?",
        "terminal_id key",
    ),
    "create_prepaid_card": ("S", _SHARED, _ID),
    "create_corporate_card": ("S", _SHARED, _ID),
    "create_voucher_card": (
        "S",
        "member_id kind value min_spend? expires_at? merchant_codes?",
        _ID,
    ),
    "set_card_binding_password": ("SM", "card_id password", _TRUE),
    "get_member_cards": ("SM", "member_id", _CARD),
    "get_card_detail": ("SM", "card_id", _CARD),
}


@dataclass(frozen=True)
class Listed:
    """A function as it is published; `required` tells of each argument whether it must be."""

    callers: str
    required: dict[str, bool]
    answer: str


TABLE = {
    name: Listed(
        callers, {each.rstrip("?"): not each.endswith("?") for each in arguments.split()}, answer
    )
    for name, (callers, arguments, answer) in _TABLE.items()
}
CALLERS = {name: listed.callers for name, listed in TABLE.items()}
