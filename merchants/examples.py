"""Examples in the description of the API of merchants."""

from drf_spectacular.utils import OpenApiExample

ENDPOINT = {
    "id": "01998f2e-7a3b-7c4d-8e5f-6a7b8c9d0e1f",
    "url": "https://till.example.com/mps",
    "description": "The till's back office",
    "events": ["payment.completed", "refund.completed"],
    "enabled": True,
    "disabled_reason": "",
    "failing_since": None,
    "created_at": "2025-09-29T04:00:00.000000Z",
}
WITH_SECRET = {**ENDPOINT, "secret": "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGUhISE="}
DELIVERY = {
    "id": "01998f2f-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
    "webhook_id": "01998f2f-1a2b-7c3d-8e4f-5a6b7c8d9e0e",
    "type": "payment.completed",
    "state": "pending",
    "attempts": 2,
    "next_attempt_at": "2025-09-29T04:00:36.000000Z",
    "last_attempt_at": "2025-09-29T04:00:06.000000Z",
    "last_status": 503,
    "last_error": "HTTP 503",
    "delivered_at": None,
    "created_at": "2025-09-29T04:00:00.000000Z",
}
LIST_WEBHOOK_ENDPOINTS = [OpenApiExample("An endpoint", ENDPOINT, response_only=True)]
CREATE_WEBHOOK_ENDPOINT = [
    OpenApiExample(
        "Payments and refunds",
        {name: ENDPOINT[name] for name in ("url", "description", "events")},
        request_only=True,
    ),
    OpenApiExample("With its secret", WITH_SECRET, response_only=True),
]
GET_WEBHOOK_ENDPOINT = [OpenApiExample("An endpoint", ENDPOINT, response_only=True)]
CHANGE_WEBHOOK_ENDPOINT = [
    OpenApiExample("Stop for a while", {"enabled": False}, request_only=True),
    OpenApiExample(
        "Stopped",
        {**ENDPOINT, "enabled": False, "disabled_reason": "Disabled by the shop."},
        response_only=True,
    ),
]
ROTATE_WEBHOOK_SECRET = [
    OpenApiExample("Both sign for an hour", {"overlap_seconds": 3600}, request_only=True),
    OpenApiExample("With its new secret", WITH_SECRET, response_only=True),
]
TEST_WEBHOOK_ENDPOINT = [
    OpenApiExample("Nothing to say", {}, request_only=True),
    OpenApiExample(
        "On its way",
        {
            **DELIVERY,
            "type": "ping",
            "attempts": 0,
            "next_attempt_at": "2025-09-29T04:00:00.000000Z",
            "last_attempt_at": None,
            "last_status": None,
            "last_error": "",
        },
        response_only=True,
    ),
]
LIST_WEBHOOK_DELIVERIES = [OpenApiExample("To be tried again", DELIVERY, response_only=True)]
