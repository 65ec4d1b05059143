"""Errors specific to the operations of settlements, besides those all operations share."""

REFUSALS = {
    "get_statement_csv": "SETTLEMENT_STATE_CONFLICT",
    "get_statement_xlsx": "SETTLEMENT_STATE_CONFLICT",
}
