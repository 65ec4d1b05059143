"""HTTP endpoints for a shop's settlements."""

from typing import Any
from uuid import UUID

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from merchants.models import Merchant
from merchants.webhooks.api import PosView
from mps.base.core import fields
from mps.base.core.api import NewestFirst
from mps.base.core.parsing import FastJSONRenderer
from settlements import examples, selectors, statements
from settlements.models import Settlement


@extend_schema_field(
    {
        "type": "string",
        "format": "decimal",
        "pattern": r"^-?[0-9]{1,12}\.[0-9]{2}$",
        "example": "-98.00",
    }
)
class SignedMoney(fields.Money):
    """An amount that can be negative."""


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
    """This shop's settlements."""

    pagination_class = NewestFirst
    query_parameters = NewestFirst.QUERY

    @extend_schema(
        operation_id="list_settlements",
        tags=["POS"],
        responses={200: SettlementOut(many=True)},
        examples=examples.LIST_SETTLEMENTS,
    )
    def get(self, request: Request) -> Response:
        """List this shop's settlements, newest first."""
        found = selectors.list_settlements(self.scope, merchant_id=self.till.merchant_id)
        pages = NewestFirst()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(SettlementOut(page, many=True).data)


class SettlementView(PosView):
    """One settlement."""

    @extend_schema(
        operation_id="get_settlement",
        tags=["POS"],
        responses={200: SettlementOut},
        examples=examples.GET_SETTLEMENT,
    )
    def get(self, request: Request, settlement_id: UUID) -> Response:
        """Return a settlement of this shop."""
        return Response(SettlementOut(self.find(settlement_id)).data)

    def find(self, settlement_id: UUID) -> Settlement:
        """Return the settlement; :raises NotFoundError: none, or it is another shop's."""
        return selectors.get_settlement(
            self.scope, settlement_id=settlement_id, merchant_id=self.till.merchant_id
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
    """A statement as CSV."""

    renderer_classes = [CsvRenderer, FastJSONRenderer]

    @extend_schema(
        operation_id="get_statement_csv",
        tags=["POS"],
        responses={(200, statements.CSV): OpenApiTypes.STR, 409: None},
        examples=examples.GET_STATEMENT_CSV,
    )
    def get(self, request: Request, settlement_id: UUID) -> FileResponse:  # type: ignore[override]
        """Return a settlement's statement as CSV: its transactions, then the totals."""
        return statements.download(self.scope, self.find(settlement_id), statements.CSV)


class StatementXlsxView(SettlementView):
    """A statement as a workbook."""

    renderer_classes = [XlsxRenderer, FastJSONRenderer]

    @extend_schema(
        operation_id="get_statement_xlsx",
        tags=["POS"],
        responses={(200, statements.XLSX): OpenApiTypes.BINARY, 409: None},
        examples=examples.GET_STATEMENT_XLSX,
    )
    def get(self, request: Request, settlement_id: UUID) -> FileResponse:  # type: ignore[override]
        """Return a settlement's statement as a workbook."""
        return statements.download(self.scope, self.find(settlement_id), statements.XLSX)
