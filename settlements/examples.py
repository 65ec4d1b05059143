"""Examples in the description of the API of settlements."""

from drf_spectacular.utils import OpenApiExample

from settlements import statements

EXAMPLE = {
    "id": "01998f2e-7a3b-7c4d-8e5f-6a7b8c9d0e1f",
    "mode": "t_plus_1",
    "period_start": "2025-09-28T16:00:00.000000Z",
    "period_end": "2025-09-29T16:00:00.000000Z",
    "currency": "TWD",
    "gross": "2840.50",
    "refunds": "50.00",
    "cash_topups": "500.00",
    "fee": "55.81",
    "carried_in": "0.00",
    "net": "2234.69",
    "tx_count": 14,
    "status": "paid",
    "created_at": "2025-09-29T16:10:00.000000Z",
    "approved_at": "2025-09-30T01:00:00.000000Z",
    "paid_at": "2025-09-30T02:00:00.000000Z",
    "payout_reference": "BANK-20250930-17",
}
LIST_SETTLEMENTS = [OpenApiExample("A settlement", EXAMPLE, response_only=True)]
GET_SETTLEMENT = [OpenApiExample("Paid out", EXAMPLE, response_only=True)]
GET_STATEMENT_CSV = [
    OpenApiExample(
        "A payment and what it comes to",
        ",".join(statements.COLUMNS)
        + "\r\nPAY0000000123,payment,2025-09-29T12:00:00+08:00,WX20250929001,,PPD****0001,"
        "balance,284.05,284.05,0.00,0.00,5.68,278.37\r\n"
        "TOTAL,,,,,,,,284.05,0.00,0.00,5.68,278.37\r\n"
        "CARRIED_IN,,,,,,,,,,,,0.00\r\nNET,,,,,,,,,,,,278.37\r\n",
        response_only=True,
        media_type=statements.CSV,
    )
]
GET_STATEMENT_XLSX = [
    OpenApiExample(
        "A workbook",
        "binary: a sheet for the settlement, one for its transactions",
        response_only=True,
        media_type=statements.XLSX,
    )
]
