"""Errors specific to the operations of members, besides those all operations share."""

REFUSALS = {
    "add_my_identity": "EXTERNAL_ID_ALREADY_BOUND INVALID_CREDENTIALS MEMBER_SUSPENDED",
    "change_me": "ALREADY_EXISTS MEMBER_SUSPENDED",
    "change_my_password": "INVALID_CREDENTIALS",
    "login": "INVALID_CREDENTIALS",
    "login_by_code": "INVALID_CREDENTIALS",
    "login_by_provider": "INVALID_CREDENTIALS",
    "remove_my_identity": "MEMBER_SUSPENDED",
    "request_verification": "MEMBER_SUSPENDED",
    "reset_password": "INVALID_CREDENTIALS",
    "verify_contact": "ALREADY_EXISTS INVALID_CREDENTIALS MEMBER_SUSPENDED",
}
