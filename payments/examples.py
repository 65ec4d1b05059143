"""Examples in the description of the API of payments."""

from drf_spectacular.utils import OpenApiExample

TOP_UP_EXAMPLE = {
    "tx_no": "RCG0000000042",
    "status": "completed",
    "amount": "500.00",
    "card_no": "PPD****0001",
}
CHARGE_EXAMPLE = {
    "tx_no": "PAY0000000123",
    "status": "completed",
    "external_order_id": "WX20250929001",
    "amount": "299.00",
    "discount_rate": "0.95",
    "discount_amount": "14.95",
    "final_amount": "284.05",
    "currency": "TWD",
    "points_earned": 299,
    "tier": "ordinary",
    "payment_method": "balance",
    "card_no": "PPD****0001",
    "balance_after": "715.95",
    "created_at": "2025-09-29T04:00:00.000000Z",
}
ID = "0198c5a4-7f4e-7c3a-9d2f-0a1b2c3d4e5f"
STARTED = {
    "id": "01a203df-035c-785c-b315-f36ee95e4ad1",
    "status": "pending",
    "card_no": "PPD00000001",
    "provider": "sandbox",
    "amount": "500.00",
    "currency": "TWD",
    "created_at": "2025-09-29T04:00:00.000000Z",
    "expires_at": "2025-09-29T05:00:00.000000Z",
    "pay_url": "https://pay.example.com/sandbox/pay/Zq1vT0c8mJ2yX5nW7bR4kL9sD3fG6hA0",
}
CREDITED = {
    **STARTED,
    "status": "completed",
    "pay_url": None,
    "failure_code": None,
    "tx_no": "RCG0000000042",
    "credited_to": "card",
    "late": False,
}
CHARGE = [
    OpenApiExample(
        "A scanned code",
        {"code": "77201210041123829227", "amount": "299.00"},
        request_only=True,
    ),
    OpenApiExample("Paid", CHARGE_EXAMPLE, response_only=True, status_codes=["201"]),
    OpenApiExample(
        "The member is asked",
        {
            "code": "AWAITING_MEMBER",
            "status": "pending",
            "title": "The member must approve this payment. Retry with the same Idempotency-Key.",
            "detail": "The member has been asked.",
            "external_order_id": "WX20250929001",
            "amount": "5000.00",
            "final_amount": "4750.00",
            "currency": "TWD",
            "expires_at": "2025-09-29T04:00:45.000000Z",
        },
        response_only=True,
        status_codes=["202"],
    ),
]
FIND_CHARGE_BY_ORDER = [
    OpenApiExample(
        "Found",
        {
            **CHARGE_EXAMPLE,
            "failure_code": None,
            "refunded_total": "0.00",
            "refunds": [],
        },
        response_only=True,
    ),
    OpenApiExample(
        "It waits for its member",
        {
            **{name: None for name in CHARGE_EXAMPLE if name != "balance_after"},
            "status": "pending",
            "external_order_id": "WX20250929001",
            "amount": "5000.00",
            "discount_amount": "250.00",
            "final_amount": "4750.00",
            "currency": "TWD",
            "points_earned": 0,
            "payment_method": "balance",
            "card_no": "PPD****0001",
            "created_at": "2025-09-29T04:00:00.000000Z",
            "failure_code": None,
            "refunded_total": "0.00",
            "refunds": [],
            "expires_at": "2025-09-29T04:00:45.000000Z",
        },
        response_only=True,
    ),
]
GET_CHARGE = [
    OpenApiExample(
        "Found",
        {
            **CHARGE_EXAMPLE,
            "failure_code": None,
            "refunded_total": "50.00",
            "refunds": [
                {
                    "tx_no": "REF0000000007",
                    "amount": "50.00",
                    "points_reversed": 52,
                    "credited_to": "card",
                    "reason": "damaged",
                    "created_at": "2025-09-30T04:00:00.000000Z",
                }
            ],
        },
        response_only=True,
    )
]
REFUND = [
    OpenApiExample("Part of it", {"amount": "50.00", "reason": "damaged"}, request_only=True),
    OpenApiExample(
        "Refunded",
        {
            "tx_no": "REF0000000007",
            "original_tx_no": "PAY0000000123",
            "status": "completed",
            "amount": "50.00",
            "points_reversed": 52,
            "refunded_total": "50.00",
            "remaining": "234.05",
            "credited_to": "card",
        },
        response_only=True,
        status_codes=["201"],
    ),
]
REVERSE_ORDER = [
    OpenApiExample(
        "Was paid",
        {
            "external_order_id": "WX20250929001",
            "status": "cancelled",
            "tx_no": "PAY0000000123",
            "refund_tx_no": "REF0000000008",
            "amount": "284.05",
        },
        response_only=True,
    )
]
VALIDATE_CODE = [
    OpenApiExample("A scanned code", {"code": "77201210041123829227"}, request_only=True),
    OpenApiExample(
        "Live",
        {
            "card_type": "PPD",
            "card_no": "PPD****0001",
            "tier": "ordinary",
            "discount_rate": "0.95",
            "expires_at": "2025-09-29T04:15:00.000000Z",
        },
        response_only=True,
    ),
    OpenApiExample(
        "A voucher",
        {
            "card_type": "VCH",
            "card_no": "VCH****0001",
            "tier": None,
            "discount_rate": "1.00",
            "expires_at": "2025-09-29T04:15:00.000000Z",
            "voucher": {"kind": "percent", "value": "20.00", "min_spend": "100.00"},
        },
        response_only=True,
    ),
]
TOP_UP = [
    OpenApiExample("By number", {"card_no": "PPD00000001", "amount": "500.00"}, request_only=True),
    OpenApiExample("Credited", TOP_UP_EXAMPLE, response_only=True, status_codes=["201"]),
]
REVERSE_TOP_UP = [
    OpenApiExample(
        "Reversed",
        {**TOP_UP_EXAMPLE, "status": "cancelled"},
        response_only=True,
    )
]
LIST_SHOP_TRANSACTIONS = [
    OpenApiExample(
        "A payment",
        {
            "tx_no": "PAY0000000123",
            "type": "payment",
            "status": "completed",
            "failure_code": None,
            "external_order_id": "WX20250929001",
            "original_tx_no": None,
            "card_no": "PPD****0001",
            "amount": "299.00",
            "final_amount": "284.05",
            "currency": "TWD",
            "points": 299,
            "payment_method": "balance",
            "terminal_id": "0c771d72-ac2e-4bf8-bca4-a05f6c56a8b5",
            "created_at": "2025-09-29T04:00:00.000000Z",
        },
        response_only=True,
    )
]
GET_SHOP_SUMMARY = [
    OpenApiExample(
        "A day",
        {
            "date": "2025-09-29",
            "currency": "TWD",
            "lines": [
                {
                    "type": "payment",
                    "payment_method": "balance",
                    "count": 12,
                    "amount": "3588.00",
                    "final_amount": "3408.60",
                }
            ],
        },
        response_only=True,
    )
]
SET_PIN = [
    OpenApiExample("A PIN", {"password": "demo-password-1", "pin": "4711"}, request_only=True)
]
LIST_APPROVALS = [
    OpenApiExample(
        "One waits",
        {
            "next": None,
            "previous": None,
            "results": [
                {
                    "id": ID,
                    "merchant_code": "SHOP001",
                    "merchant_name": "Corner shop",
                    "card_no": "PPD00000001",
                    "amount": "5000.00",
                    "final_amount": "4750.00",
                    "currency": "TWD",
                    "payment_method": "balance",
                    "external_order_id": None,
                    "expires_at": "2025-09-29T04:00:45.000000Z",
                }
            ],
        },
        response_only=True,
    )
]
APPROVE_PAYMENT = [
    OpenApiExample("With the PIN", {"pin": "4711"}, request_only=True),
    OpenApiExample("Paid", CHARGE_EXAMPLE, response_only=True, status_codes=["201"]),
]
DECLINE_PAYMENT = [OpenApiExample("Declined", {}, request_only=True)]
LIST_MY_TRANSACTIONS = [
    OpenApiExample(
        "A payment",
        {
            "tx_no": "PAY0000000001",
            "type": "payment",
            "status": "completed",
            "failure_code": None,
            "card_no": "PPD00000001",
            "merchant_code": "SHOP001",
            "merchant_name": "Corner shop",
            "amount": "299.00",
            "discount_rate": "0.95",
            "discount_amount": "14.95",
            "final_amount": "284.05",
            "currency": "TWD",
            "points": 299,
            "payment_method": "balance",
            "external_order_id": "WX20250929001",
            "original_tx_no": None,
            "created_at": "2025-09-29T04:00:00.000000Z",
        },
        response_only=True,
    )
]
LIST_MY_POINTS = [
    OpenApiExample(
        "Earned",
        {
            "card_no": "PPD00000001",
            "points": 299,
            "balance_after": 299,
            "tx_no": "PAY0000000001",
            "type": "payment",
            "created_at": "2025-09-29T04:00:00.000000Z",
        },
        response_only=True,
    )
]
LIST_TOP_UP_PROVIDERS = [OpenApiExample("One", {"providers": ["sandbox"]}, response_only=True)]
START_TOP_UP = [
    OpenApiExample(
        "By the sandbox",
        {"amount": "500.00", "provider": "sandbox", "return_path": "/"},
        request_only=True,
    ),
    OpenApiExample("To be paid", STARTED, response_only=True, status_codes=["201"]),
]
LIST_TOP_UPS = [OpenApiExample("Credited", CREDITED, response_only=True)]
GET_TOP_UP = [OpenApiExample("Credited", CREDITED, response_only=True)]
