"""Errors specific to the operations of accounts, besides those all operations share."""

REFUSALS = {
    "erase_me": "CANNOT_REMOVE_LAST_OWNER CARD_NOT_EMPTY INVALID_CREDENTIALS",
    "register": "ALREADY_EXISTS EXTERNAL_ID_ALREADY_BOUND INVALID_CREDENTIALS",
}
