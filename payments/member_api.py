"""HTTP endpoints for members' transactions and points."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.response import Response

from members.api import MemberView
from mps.base.core import api, errors, fields
from payments import examples, history
from payments.models import Transaction

Line = TypeVar("Line", history.HistoryLine, history.PointsLine)


class TransactionOut(serializers.Serializer[history.HistoryLine]):
    """A transaction as a member sees it."""

    tx_no = serializers.CharField()
    type = serializers.ChoiceField(choices=Transaction.Type.choices)
    status = serializers.ChoiceField(choices=Transaction.Status.choices)
    failure_code = serializers.CharField(allow_null=True)
    card_no = serializers.CharField()
    merchant_code = serializers.CharField(allow_null=True)
    merchant_name = serializers.CharField(allow_null=True)
    amount = fields.Money()
    discount_rate = fields.Rate()
    discount_amount = fields.Money()
    final_amount = fields.Money()
    currency = serializers.CharField()
    points = serializers.IntegerField()
    payment_method = serializers.CharField(allow_null=True)
    external_order_id = serializers.CharField(allow_null=True)
    original_tx_no = serializers.CharField(allow_null=True)
    created_at = fields.Moment()


class PointsOut(serializers.Serializer[history.PointsLine]):
    """A change of a card's points, with its reason."""

    card_no = serializers.CharField()
    points = serializers.IntegerField()
    balance_after = serializers.IntegerField()
    tx_no = serializers.CharField(allow_null=True)
    type = serializers.CharField()
    created_at = fields.Moment()


class HistoryPages(api.NewestFirst):
    """Pages of a history that is read in spans; the cursor is the id where one ends."""

    def answer(
        self,
        request: Request,
        read: Callable[[history.Span], list[Line]],
        shown_by: type[serializers.Serializer[Line]],
    ) -> Response:
        """Answer the page the request asks for. One row more is read, to know if others follow."""
        self.base_url = request.build_absolute_uri()
        cursor = self.decode_cursor(request)
        limit = self.get_page_size(request)
        position = UUID(str(cursor.position)) if cursor and cursor.position else None
        older = not (cursor and cursor.reverse)
        lines = read(history.Span(limit=limit + 1, position=position, older=older))
        more = len(lines) > limit
        lines = lines[:limit] if older else lines[:limit][::-1]
        next_link = previous_link = None
        if lines and (more or not older):
            next_link = self._link(reverse=False, position=lines[-1].id)
        if lines and (position is not None if older else more):
            previous_link = self._link(reverse=True, position=lines[0].id)
        return Response(
            {
                "results": [shown_by(line).data for line in lines],
                "next": next_link,
                "previous": previous_link,
            }
        )

    def _link(self, *, reverse: bool, position: UUID) -> str:
        return self.encode_cursor(Cursor(0, reverse, str(position)))  # type: ignore[arg-type]


class MyTransactions(MemberView):
    """A member's transactions."""

    pagination_class = HistoryPages
    query_parameters = HistoryPages.QUERY | {"card_no", "type"}

    @extend_schema(
        operation_id="list_my_transactions",
        tags=["Members"],
        parameters=[
            OpenApiParameter("card_no", str, description="Only of this card."),
            OpenApiParameter("type", str, enum=Transaction.Type.values),
        ],
        responses=TransactionOut(many=True),
        examples=examples.LIST_MY_TRANSACTIONS,
    )
    def get(self, request: Request) -> Response:
        """List the transactions of the member's cards, newest first."""
        transaction_type = request.query_params.get("type", "")
        if "type" in request.query_params and transaction_type not in Transaction.Type.values:
            raise errors.InvalidRequestError(
                errors={"type": [f"Must be one of {', '.join(Transaction.Type.values)}."]}
            )
        return HistoryPages().answer(
            request,
            lambda span: history.transactions_of_member(
                self.scope,
                member_id=self.member.member_id,
                span=span,
                card_no=request.query_params.get("card_no", ""),
                transaction_type=transaction_type,
            ),
            TransactionOut,
        )


class MyPoints(MemberView):
    """A member's points."""

    pagination_class = HistoryPages
    query_parameters = HistoryPages.QUERY

    @extend_schema(
        operation_id="list_my_points",
        tags=["Members"],
        responses=PointsOut(many=True),
        examples=examples.LIST_MY_POINTS,
    )
    def get(self, request: Request) -> Response:
        """List the point changes of the member's cards, newest first."""
        return HistoryPages().answer(
            request,
            lambda span: history.points_of_member(
                self.scope, member_id=self.member.member_id, span=span
            ),
            PointsOut,
        )
