"""Examples in the description of the API of members."""

from drf_spectacular.utils import OpenApiExample

from members import onetime

MEMBER_EXAMPLE = {
    "number": "M00000001",
    "name": "林小美",
    "phone": "0912345678",
    "email": "mei@example.com",
    "phone_verified": True,
    "email_verified": False,
    "pin_set": True,
    "status": "active",
    "created_at": "2025-09-29T04:00:00.000000Z",
}
PROOF_EXAMPLES = [
    OpenApiExample(
        "LINE, by an id token or an access token",
        {"provider": "line", "id_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJVMTIzIn0.c2ln"},
        request_only=True,
    ),
    OpenApiExample(
        "WeChat, by a mini program's login code; `code` for one of the web",
        {"provider": "wechat", "login_code": "071AbcDe0fGhIj1kLmNo"},
        request_only=True,
    ),
]
TOKEN_EXAMPLE = {
    "token": f"mps.m{'0' * 32}.{'A' * 43}",
    "expires_at": "2025-09-30T04:00:00.000000Z",
}
SIGNED_IN = OpenApiExample("Signed in", TOKEN_EXAMPLE, response_only=True)
SENT = OpenApiExample(
    "Sent, if there is anybody",
    {"expires_in_seconds": onetime.TTL_SECONDS},
    response_only=True,
    status_codes=["202"],
)
ASKED_FOR_A_CODE = [
    OpenApiExample(
        "To a verified phone or e-mail", {"identifier": "0912345678"}, request_only=True
    ),
    SENT,
]
LOGIN = [
    OpenApiExample(
        "By phone; e-mail and member number do as well",
        {"identifier": "0912345678", "password": "correct-horse-7"},
        request_only=True,
    ),
    OpenApiExample(
        "Signed in",
        {
            "token": f"mps.m{'0' * 32}.{'A' * 43}",
            "expires_at": "2025-09-30T04:00:00.000000Z",
        },
        response_only=True,
    ),
]
LOGOUT = [OpenApiExample("Signed out", None, response_only=True, status_codes=["204"])]
GET_ME = [OpenApiExample("A member", MEMBER_EXAMPLE, response_only=True)]
CHANGE_ME = [
    OpenApiExample(
        "Another phone, no e-mail any more",
        {"phone": "0987654321", "email": None},
        request_only=True,
    ),
    OpenApiExample(
        "Changed",
        {**MEMBER_EXAMPLE, "phone": "0987654321", "email": None},
        response_only=True,
    ),
]
LIST_MY_IDENTITIES = [
    OpenApiExample(
        "One",
        {
            "next": None,
            "previous": None,
            "results": [
                {
                    "provider": "wechat",
                    "external_id": "oABC123",
                    "created_at": "2025-09-29T04:00:00.000000Z",
                }
            ],
        },
        response_only=True,
    )
]
ADD_MY_IDENTITY = [
    *PROOF_EXAMPLES,
    OpenApiExample(
        "Bound",
        {
            "provider": "line",
            "external_id": "U4af4980629",
            "created_at": "2025-09-29T04:00:00.000000Z",
        },
        response_only=True,
        status_codes=["201"],
    ),
]
REMOVE_MY_IDENTITY = [OpenApiExample("Removed", None, response_only=True, status_codes=["204"])]
LOGIN_BY_PROVIDER = [*PROOF_EXAMPLES, SIGNED_IN]
LOGIN_BY_CODE = [
    OpenApiExample(
        "The code that came",
        {"identifier": "0912345678", "code": "048213"},
        request_only=True,
    ),
    SIGNED_IN,
]
RESET_PASSWORD = [
    OpenApiExample(
        "The code that came",
        {"identifier": "0912345678", "code": "048213", "password": "battery staple 8"},
        request_only=True,
    )
]
CHANGE_MY_PASSWORD = [
    OpenApiExample(
        "Another one",
        {"current_password": "correct-horse-7", "new_password": "battery staple 8"},
        request_only=True,
    ),
    OpenApiExample(
        "The first one, of a member who signs in by a provider",
        {
            "identity": {"provider": "wechat", "login_code": "071AbcDe0fGhIj1kLmNo"},
            "new_password": "battery staple 8",
        },
        request_only=True,
    ),
]
REQUEST_VERIFICATION = [
    OpenApiExample("A phone", {"contact": "0912345678"}, request_only=True),
    SENT,
]
VERIFY_CONTACT = [
    OpenApiExample(
        "The code that came",
        {"contact": "0912345678", "code": "048213"},
        request_only=True,
    ),
    OpenApiExample("Proved", MEMBER_EXAMPLE, response_only=True),
]
LIST_MY_SESSIONS = [
    OpenApiExample(
        "This one only",
        {
            "results": [
                {
                    "id": "0198f0a1-6a5b-7c3d-8e9f-0a1b2c3d4e5f",
                    "created_at": "2025-09-29T04:00:00.000000Z",
                    "expires_at": "2025-09-30T04:00:00.000000Z",
                    "address": "203.0.113.7",
                    "current": True,
                }
            ]
        },
        response_only=True,
    )
]
END_MY_SESSION = [OpenApiExample("Ended", None, response_only=True, status_codes=["204"])]
