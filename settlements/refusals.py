"""Why settlements' operations may refuse, beside what all operations share."""

REFUSALS = {
    "get_statement_csv": "SETTLEMENT_STATE_CONFLICT",
    "get_statement_xlsx": "SETTLEMENT_STATE_CONFLICT",
}
