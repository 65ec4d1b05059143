"""Errors specific to the RPC functions, besides those all operations share."""

from cards.refusals import BIND, UNBIND
from payments.refusals import CHARGE, REFUND, TOP_UP, WAITING

REFUSALS = {
    "rpc_admin_activate_member": "NOT_FOUND",
    "rpc_admin_activate_merchant": "NOT_FOUND",
    "rpc_admin_suspend_member": "NOT_FOUND",
    "rpc_admin_suspend_merchant": "NOT_FOUND",
    "rpc_bind_member_to_card": f"{BIND}CARD_NOT_FOUND MEMBER_SUSPENDED",
    "rpc_create_corporate_card": "MEMBER_SUSPENDED NOT_FOUND",
    "rpc_create_member_profile": "ALREADY_EXISTS EXTERNAL_ID_ALREADY_BOUND",
    "rpc_create_merchant": "ALREADY_EXISTS",
    "rpc_create_prepaid_card": "MEMBER_SUSPENDED NOT_FOUND",
    "rpc_create_terminal": "NOT_FOUND",
    "rpc_create_voucher_card": "MEMBER_SUSPENDED NOT_FOUND",
    "rpc_freeze_card": "CARD_NOT_ACTIVE CARD_NOT_FOUND",
    "rpc_generate_settlement": "NOT_FOUND NO_TRANSACTIONS_IN_PERIOD",
    "rpc_get_card_detail": "CARD_NOT_FOUND",
    "rpc_get_member_cards": "NOT_FOUND",
    "rpc_get_member_transactions": "NOT_FOUND",
    "rpc_get_merchant_transactions": "NOT_FOUND",
    "rpc_get_transaction_detail": "NOT_FOUND",
    "rpc_list_settlements": "NOT_FOUND",
    "rpc_merchant_charge_by_qr": f"{CHARGE}{WAITING} NOT_FOUND IDEMPOTENCY_KEY_REUSED",
    "rpc_merchant_refund_tx": f"{REFUND} NOT_FOUND IDEMPOTENCY_KEY_REUSED",
    "rpc_revoke_card_qr": "CARD_NOT_FOUND",
    "rpc_rotate_card_qr": "CARD_EXPIRED CARD_NOT_ACTIVE CARD_NOT_FOUND MEMBER_SUSPENDED",
    "rpc_set_card_binding_password": "CARD_NOT_FOUND CARD_TYPE_NOT_SHAREABLE MEMBER_SUSPENDED",
    "rpc_unbind_member_from_card": f"{UNBIND} CARD_NOT_FOUND",
    "rpc_unfreeze_card": "CARD_NOT_ACTIVE CARD_NOT_FOUND",
    "rpc_update_points_and_level": (
        "CARD_NOT_FOUND INSUFFICIENT_BALANCE UNSUPPORTED_CARD_TYPE_FOR_POINTS"
    ),
    "rpc_user_recharge_card": f"{TOP_UP}ALREADY_EXISTS IDEMPOTENCY_KEY_REUSED",
    "rpc_validate_qr_plain": "INVALID_CODE MERCHANT_SUSPENDED QR_EXPIRED_OR_INVALID",
}
