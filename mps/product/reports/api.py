"""HTTP endpoints for reports over many shops and cards, for trusted backends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards import reports as cards
from mps.base.core import fields as api_fields
from mps.base.core.api import ApiView
from mps.base.core.days import MAX_DAYS, Days, read_days, read_today
from mps.base.core.db_scope import Scope
from mps.product.rpc.authentication import ServiceAuthentication
from payments import reports as payments

Line = payments.DailyLine | payments.FailureLine | cards.UsageLine


class ReportView(ApiView):
    """A report over days of the platform's time zone."""

    authentication_classes = [ServiceAuthentication]
    query_parameters = frozenset({"from", "to"})
    report: ClassVar[Callable[[Scope, Days], Sequence[Line]]]
    line: ClassVar[type[serializers.Serializer[Any]]]

    def get(self, request: Request) -> Response:
        """Return the days and their lines."""
        days = read_days(request.query_params, today=read_today(settings.MPS_TIME_ZONE))
        lines = type(self).report(self.scope, days)
        return Response(
            {
                "from": days.first.isoformat(),
                "to": days.last.isoformat(),
                "lines": self.line([asdict(each) for each in lines], many=True).data,
            }
        )


class DailyOut(serializers.Serializer[Any]):
    """A shop's day by one method; no shop: members' own top-ups."""

    day = serializers.DateField()
    merchant_code = serializers.CharField(allow_null=True)
    payment_method = serializers.CharField()
    payments = serializers.IntegerField()
    paid = api_fields.Money()
    refunds = serializers.IntegerField()
    refunded = api_fields.Money()
    topups = serializers.IntegerField()
    topped_up = api_fields.Money()


class UsageOut(serializers.Serializer[Any]):
    """What became of the codes issued on a day."""

    day = serializers.DateField()
    issued = serializers.IntegerField()
    used = serializers.IntegerField()
    expired = serializers.IntegerField()
    revoked = serializers.IntegerField()
    replaced = serializers.IntegerField()
    live = serializers.IntegerField()


class FailureOut(serializers.Serializer[Any]):
    """A reason, how often, and its part of all failures and of all attempts."""

    failure_code = serializers.CharField()
    count = serializers.IntegerField()
    share_of_failures = serializers.DecimalField(max_digits=5, decimal_places=4)
    share_of_attempts = serializers.DecimalField(max_digits=5, decimal_places=4)


def _described(
    operation_id: str, line: type[serializers.Serializer[Any]], example: Mapping[str, Any]
) -> Callable[[Any], Any]:
    """Describe a report for OpenAPI."""
    answer = type(
        f"{line.__name__.removesuffix('Out')}ReportOut",
        (serializers.Serializer,),
        {
            "from": serializers.DateField(),
            "to": serializers.DateField(),
            "lines": line(many=True),
            "__doc__": "Days of the platform's time zone, both included, and the lines.",
        },
    )
    return extend_schema(
        operation_id=operation_id,
        tags=["Reports"],
        parameters=[
            OpenApiParameter("from", date, description=f"First day; at most {MAX_DAYS} in all."),
            OpenApiParameter("to", date, description="Last day, included; default: today."),
        ],
        responses={200: answer},
        examples=[
            OpenApiExample(
                "A day",
                {"from": "2025-09-29", "to": "2025-09-29", "lines": [example]},
                response_only=True,
            )
        ],
    )


class DailyView(ReportView):
    """Takings."""

    report = payments.daily
    line = DailyOut

    @_described(
        "report_daily",
        DailyOut,
        {
            "day": "2025-09-29",
            "merchant_code": "SHOP001",
            "payment_method": "balance",
            "payments": 12,
            "paid": "2840.50",
            "refunds": 1,
            "refunded": "50.00",
            "topups": 0,
            "topped_up": "0.00",
        },
    )
    def get(self, request: Request) -> Response:
        """Return payments, refunds and top-ups by day, shop and method."""
        return super().get(request)


class UsageView(ReportView):
    """Payment codes."""

    report = cards.code_usage
    line = UsageOut

    @_described(
        "report_code_usage",
        UsageOut,
        {
            "day": "2025-09-29",
            "issued": 120,
            "used": 80,
            "expired": 25,
            "revoked": 5,
            "replaced": 8,
            "live": 2,
        },
    )
    def get(self, request: Request) -> Response:
        """Return what became of the codes issued on each day."""
        return super().get(request)


class FailureView(ReportView):
    """Failed payments."""

    report = payments.failure_reasons
    line = FailureOut

    @_described(
        "report_failure_reasons",
        FailureOut,
        {
            "failure_code": "INSUFFICIENT_BALANCE",
            "count": 3,
            "share_of_failures": "0.7500",
            "share_of_attempts": "0.0200",
        },
    )
    def get(self, request: Request) -> Response:
        """Return why payments failed, the most frequent reason first."""
        return super().get(request)
