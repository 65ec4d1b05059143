"""Examples in the description of the API of cards."""

from drf_spectacular.utils import OpenApiExample

CARD_EXAMPLE = {
    "card_no": "PPD00000001",
    "card_type": "PPD",
    "name": "Family",
    "status": "active",
    "role": "owner",
    "balance": "715.95",
    "points": 299,
    "tier": "ordinary",
    "level": 0,
    "next_tier": "silver",
    "next_tier_points": 1000,
    "discount_rate": "0.95",
    "expires_at": None,
    "voucher": None,
}
VOUCHER_EXAMPLE = {
    "card_no": "VCH00000001",
    "card_type": "VCH",
    "name": "",
    "status": "active",
    "role": "owner",
    "balance": None,
    "points": None,
    "tier": None,
    "level": None,
    "next_tier": None,
    "next_tier_points": None,
    "discount_rate": "1.00",
    "expires_at": "2026-12-31T15:59:59.999999Z",
    "voucher": {
        "kind": "percent",
        "value": "20.00",
        "min_spend": "200.00",
        "merchants": [{"code": "SHOP001", "name": "Corner shop"}],
        "used": False,
    },
}
CODE_EXAMPLE = {
    "code": "77290145667120934185",
    "expires_at": "2026-03-01T08:15:00.000000Z",
    "ttl_seconds": 900,
}
BINDING_EXAMPLE = {
    "member_no": "M00000002",
    "name": "Lin",
    "role": "member",
    "limit_per_payment": None,
    "limit_per_day": "200.00",
}
LIST_MY_CARDS = [OpenApiExample("A prepaid card", CARD_EXAMPLE, response_only=True)]
SHOW_MY_CARD = [
    OpenApiExample("A prepaid card", CARD_EXAMPLE, response_only=True),
    OpenApiExample("A voucher", VOUCHER_EXAMPLE, response_only=True),
]
LOCK_MY_CARD = [OpenApiExample("Locked", {**CARD_EXAMPLE, "status": "frozen"}, response_only=True)]
UNLOCK_MY_CARD = [OpenApiExample("Unlocked", CARD_EXAMPLE, response_only=True)]
MAKE_CODE = [
    OpenApiExample("For ten minutes", {"ttl_seconds": 600}, request_only=True),
    OpenApiExample("Made", CODE_EXAMPLE, response_only=True, status_codes=["201"]),
]
SHOW_CODE = [OpenApiExample("Live", CODE_EXAMPLE, response_only=True)]
SET_BINDING_PASSWORD = [
    OpenApiExample("A new password", {"password": "our family 7"}, request_only=True)
]
REMOVE_BINDING_PASSWORD = [
    OpenApiExample("Removed", None, response_only=True, status_codes=["204"])
]
LIST_BINDINGS = [OpenApiExample("A member of the card", BINDING_EXAMPLE, response_only=True)]
JOIN_CARD = [
    OpenApiExample("Card password", {"password": "our family 7"}, request_only=True),
    OpenApiExample(
        "An invitation",
        {"member_no": "M00000002", "role": "member", "limit_per_day": "200.00"},
        request_only=True,
    ),
    OpenApiExample(
        "Bound",
        {"card_no": "PPD00000001", **BINDING_EXAMPLE},
        response_only=True,
        status_codes=["201"],
    ),
]
CHANGE_BINDING = [
    OpenApiExample(
        "200.00 a day",
        {"limit_per_payment": None, "limit_per_day": "200.00"},
        request_only=True,
    ),
    OpenApiExample("Changed", BINDING_EXAMPLE, response_only=True),
]
