"""What tills read of their shop's settlements."""

from typing import Any
from uuid import UUID

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from merchants.api import PosView
from merchants.models import Merchant
from mps.base.core import fields
from mps.base.core.api import NewestFirst
from mps.base.core.parsing import FastJSONRenderer
from settlements import selectors, statements
from settlements.models import Settlement

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


@extend_schema_field(
    {
        "type": "string",
        "format": "decimal",
        "pattern": r"^-?[0-9]{1,12}\.[0-9]{2}$",
        "example": "-98.00",
    }
)
class SignedMoney(fields.Money):
    """An amount that may be owed either way."""


class SettlementOut(serializers.Serializer[Any]):
    """A settlement as the shop sees it."""

    id = serializers.UUIDField()
    mode = serializers.ChoiceField(choices=Merchant.SettlementMode.choices)
    period_start = fields.Moment()
    period_end = fields.Moment()
    currency = serializers.CharField()
    gross = fields.Money()
    refunds = fields.Money()
    cash_topups = SignedMoney()
    fee = SignedMoney()
    carried_in = SignedMoney()
    net = SignedMoney()
    tx_count = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Settlement.Status.choices)
    created_at = fields.Moment()
    approved_at = fields.Moment(allow_null=True)
    paid_at = fields.Moment(allow_null=True)
    payout_reference = serializers.CharField()


class SettlementsView(PosView):
    """What this shop was settled for."""

    pagination_class = NewestFirst
    query_parameters = NewestFirst.QUERY

    @extend_schema(
        operation_id="list_settlements",
        tags=["POS"],
        responses={200: SettlementOut(many=True)},
        examples=[OpenApiExample("A settlement", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """List this shop's settlements, newest first."""
        found = selectors.list_settlements(merchant_id=self.till.merchant_id)
        pages = NewestFirst()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(SettlementOut(page, many=True).data)


class SettlementView(PosView):
    """One settlement."""

    @extend_schema(
        operation_id="get_settlement",
        tags=["POS"],
        responses={200: SettlementOut},
        examples=[OpenApiExample("Paid out", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, settlement_id: UUID) -> Response:
        """Return a settlement of this shop."""
        return Response(SettlementOut(self.find(settlement_id)).data)

    def find(self, settlement_id: UUID) -> Settlement:
        """Return it; :raises NotFoundError: there is none, or it is another shop's."""
        return selectors.get_settlement(
            settlement_id=settlement_id, merchant_id=self.till.merchant_id
        )


class CsvRenderer(FastJSONRenderer):
    """Lets a caller ask for CSV; what goes wrong is a problem document all the same."""

    media_type = statements.CSV
    format = "csv"


class XlsxRenderer(FastJSONRenderer):
    """Lets a caller ask for a workbook; what goes wrong is a problem document all the same."""

    media_type = statements.XLSX
    format = "xlsx"


class StatementCsvView(SettlementView):
    """A statement for programs."""

    renderer_classes = [CsvRenderer, FastJSONRenderer]

    @extend_schema(
        operation_id="get_statement_csv",
        tags=["POS"],
        responses={(200, statements.CSV): OpenApiTypes.STR, 409: None},
        examples=[
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
        ],
    )
    def get(self, request: Request, settlement_id: UUID) -> FileResponse:  # type: ignore[override]
        """Return the statement of a settlement as CSV: its transactions, then the sums."""
        return statements.download(self.find(settlement_id), statements.CSV)


class StatementXlsxView(SettlementView):
    """A statement for people."""

    renderer_classes = [XlsxRenderer, FastJSONRenderer]

    @extend_schema(
        operation_id="get_statement_xlsx",
        tags=["POS"],
        responses={(200, statements.XLSX): OpenApiTypes.BINARY, 409: None},
        examples=[
            OpenApiExample(
                "A workbook",
                "binary: a sheet for the settlement, one for its transactions",
                response_only=True,
                media_type=statements.XLSX,
            )
        ],
    )
    def get(self, request: Request, settlement_id: UUID) -> FileResponse:  # type: ignore[override]
        """Return the statement of a settlement as a workbook."""
        return statements.download(self.find(settlement_id), statements.XLSX)
