"""Which operation may refuse for which reasons, beside those that every operation shares."""

_CHARGE = (
    "MERCHANT_SUSPENDED MEMBER_SUSPENDED INVALID_CODE QR_EXPIRED_OR_INVALID PERMISSION_DENIED "
    "CARD_NOT_ACTIVE CARD_EXPIRED UNSUPPORTED_CARD_TYPE_FOR_PAYMENT VOUCHER_NOT_APPLICABLE "
    "INSUFFICIENT_BALANCE LIMIT_EXCEEDED ALREADY_EXISTS ORDER_AMOUNT_MISMATCH ORDER_REVERSED "
)
_REFUND = (
    "MERCHANT_SUSPENDED ORIGINAL_TX_NOT_FOUND ONLY_COMPLETED_PAYMENT_REFUNDABLE "
    "REFUND_EXCEEDS_REMAINING"
)
_TOP_UP = "CARD_NOT_ACTIVE CARD_NOT_FOUND LIMIT_EXCEEDED UNSUPPORTED_CARD_TYPE_FOR_RECHARGE "
_BIND = "ALREADY_EXISTS CARD_NOT_ACTIVE CARD_TYPE_NOT_SHAREABLE INVALID_BINDING_PASSWORD NOT_FOUND "
_UNBIND = "CANNOT_REMOVE_LAST_OWNER NOT_FOUND MEMBER_SUSPENDED PERMISSION_DENIED"
_WAITING = "AWAITING_MEMBER APPROVAL_DECLINED APPROVAL_EXPIRED"
# Why an operation of this name may refuse, beside what the introduction names.
REFUSALS = {
    "add_my_identity": "EXTERNAL_ID_ALREADY_BOUND INVALID_CREDENTIALS MEMBER_SUSPENDED",
    "approve_payment": f"{_CHARGE}APPROVAL_EXPIRED INVALID_CREDENTIALS",
    "change_binding": _UNBIND,
    "change_me": "ALREADY_EXISTS MEMBER_SUSPENDED",
    "change_my_password": "INVALID_CREDENTIALS",
    "change_webhook_endpoint": "PERMISSION_DENIED",
    "charge": f"{_CHARGE}{_WAITING}",
    "create_webhook_endpoint": "PERMISSION_DENIED",
    "erase_me": "CANNOT_REMOVE_LAST_OWNER CARD_NOT_EMPTY INVALID_CREDENTIALS",
    "get_statement_csv": "SETTLEMENT_STATE_CONFLICT",
    "get_statement_xlsx": "SETTLEMENT_STATE_CONFLICT",
    "join_card": f"{_BIND}MEMBER_SUSPENDED PERMISSION_DENIED",
    "list_my_points": "CARD_NOT_FOUND",
    "list_my_transactions": "CARD_NOT_FOUND",
    "lock_my_card": "CARD_NOT_ACTIVE PERMISSION_DENIED",
    "login": "INVALID_CREDENTIALS",
    "login_by_code": "INVALID_CREDENTIALS",
    "login_by_provider": "INVALID_CREDENTIALS",
    "make_code": "CARD_EXPIRED CARD_NOT_ACTIVE MEMBER_SUSPENDED PERMISSION_DENIED",
    "refund": _REFUND,
    "register": "ALREADY_EXISTS EXTERNAL_ID_ALREADY_BOUND INVALID_CREDENTIALS",
    "remove_binding_password": "CARD_TYPE_NOT_SHAREABLE MEMBER_SUSPENDED PERMISSION_DENIED",
    "remove_my_identity": "MEMBER_SUSPENDED",
    "request_verification": "MEMBER_SUSPENDED",
    "reset_password": "INVALID_CREDENTIALS",
    "reverse_order": "MERCHANT_SUSPENDED",
    "reverse_top_up": "CARD_NOT_ACTIVE INSUFFICIENT_BALANCE MERCHANT_SUSPENDED PERMISSION_DENIED",
    "rpc_admin_activate_member": "NOT_FOUND",
    "rpc_admin_activate_merchant": "NOT_FOUND",
    "rpc_admin_suspend_member": "NOT_FOUND",
    "rpc_admin_suspend_merchant": "NOT_FOUND",
    "rpc_bind_member_to_card": f"{_BIND}CARD_NOT_FOUND MEMBER_SUSPENDED",
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
    "rpc_merchant_charge_by_qr": f"{_CHARGE}{_WAITING} NOT_FOUND IDEMPOTENCY_KEY_REUSED",
    "rpc_merchant_refund_tx": f"{_REFUND} NOT_FOUND IDEMPOTENCY_KEY_REUSED",
    "rpc_revoke_card_qr": "CARD_NOT_FOUND",
    "rpc_rotate_card_qr": "CARD_EXPIRED CARD_NOT_ACTIVE CARD_NOT_FOUND MEMBER_SUSPENDED",
    "rpc_set_card_binding_password": "CARD_NOT_FOUND CARD_TYPE_NOT_SHAREABLE MEMBER_SUSPENDED",
    "rpc_unbind_member_from_card": f"{_UNBIND} CARD_NOT_FOUND",
    "rpc_unfreeze_card": "CARD_NOT_ACTIVE CARD_NOT_FOUND",
    "rpc_update_points_and_level": (
        "CARD_NOT_FOUND INSUFFICIENT_BALANCE UNSUPPORTED_CARD_TYPE_FOR_POINTS"
    ),
    "rpc_user_recharge_card": f"{_TOP_UP}ALREADY_EXISTS IDEMPOTENCY_KEY_REUSED",
    "rpc_validate_qr_plain": "INVALID_CODE MERCHANT_SUSPENDED QR_EXPIRED_OR_INVALID",
    "set_binding_password": "CARD_TYPE_NOT_SHAREABLE MEMBER_SUSPENDED PERMISSION_DENIED",
    "set_pin": "INVALID_CREDENTIALS",
    "start_top_up": f"{_TOP_UP}CARD_EXPIRED MEMBER_SUSPENDED PERMISSION_DENIED",
    "top_up": f"{_TOP_UP}INVALID_CODE QR_EXPIRED_OR_INVALID MERCHANT_SUSPENDED PERMISSION_DENIED",
    "unbind": _UNBIND,
    "unlock_my_card": "CARD_NOT_ACTIVE PERMISSION_DENIED",
    "validate_code": "INVALID_CODE MERCHANT_SUSPENDED QR_EXPIRED_OR_INVALID",
    "verify_contact": "ALREADY_EXISTS INVALID_CREDENTIALS MEMBER_SUSPENDED",
}
