"""HTTP endpoints for tills: charge, query, refund, reverse, validate, top up, daily summary."""

from datetime import date
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards import pricing
from cards.codes import InvalidCodeError, require_code
from cards.models import Voucher
from merchants.webhooks.api import PosView
from mps.base.core import days, fields, money, problems
from mps.base.core.api import NewestFirst, read_body
from mps.base.core.days import show_time
from mps.base.core.db_scope import Scope
from mps.base.core.errors import InvalidRequestError, NotFoundError
from payments import charge_decision, charges, examples, representations, selectors, topups
from payments import refunds as payment_refunds
from payments.errors import IdempotencyKeyRequiredError
from payments.idempotency import Answer
from payments.models import Transaction

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 printable ASCII characters; repeating a key returns the same response.",
)


class Code(fields.Text):
    """A payment code: 20 digits with a check digit."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Take a well-formed code; nothing is looked up."""
        try:
            return require_code(data)
        except InvalidCodeError as error:
            raise serializers.ValidationError(str(error.title), code=error.code) from None


class ChargeOut(serializers.Serializer[Any]):
    """A payment as the till sees it."""

    tx_no = serializers.CharField()
    status = serializers.ChoiceField(choices=Transaction.Status.choices)
    external_order_id = serializers.CharField(allow_null=True)
    amount = fields.Money()
    discount_rate = fields.Rate()
    discount_amount = fields.Money()
    final_amount = fields.Money()
    currency = serializers.CharField()
    points_earned = serializers.IntegerField()
    tier = serializers.CharField(allow_null=True)
    payment_method = serializers.ChoiceField(choices=[*charge_decision.METHODS])
    card_no = serializers.CharField()
    balance_after = fields.Money(required=False)
    created_at = serializers.DateTimeField()


class ChargeDetailOut(ChargeOut):
    """A payment with its refunds and current status."""

    class Refund(serializers.Serializer[Any]):
        tx_no = serializers.CharField()
        amount = fields.Money()
        points_reversed = serializers.IntegerField()
        credited_to = serializers.ChoiceField(choices=["card", "unclaimed"], allow_null=True)
        reason = serializers.CharField()
        created_at = serializers.DateTimeField()

    failure_code = serializers.CharField(allow_null=True)
    refunded_total = fields.Money()
    refunds = Refund(many=True)


class OrderOut(ChargeDetailOut):
    """The result of an order: its payment, or why there is none.

    `pending`: it waits for its member until `expires_at`. `cancelled` without a number: it was
    reversed before anything came.
    """

    tx_no = serializers.CharField(allow_null=True)
    amount = fields.Money(allow_null=True)
    discount_rate = fields.Rate(allow_null=True)
    discount_amount = fields.Money(allow_null=True)
    final_amount = fields.Money(allow_null=True)
    payment_method = serializers.ChoiceField(choices=[*charge_decision.METHODS], allow_null=True)
    card_no = serializers.CharField(allow_null=True)
    expires_at = serializers.DateTimeField(required=False)


class AwaitingOut(serializers.Serializer[Any]):
    """A payment that waits for its member. Repeat the request to get its current status."""

    code = serializers.CharField()
    status = serializers.CharField()
    title = serializers.CharField()
    detail = serializers.CharField()
    external_order_id = serializers.CharField(allow_null=True)
    amount = fields.Money()
    final_amount = fields.Money()
    currency = serializers.CharField()
    expires_at = serializers.DateTimeField()


def idempotency_key(request: Request) -> str:
    """Return the request's key; :raises IdempotencyKeyRequiredError: if there is none."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if not key:
        raise IdempotencyKeyRequiredError
    return key


def respond(request: Request, answer: Answer) -> Response:
    """Render a new or replayed response; errors become problem documents."""
    body = problems.in_readers_language(answer.body)
    if answer.refused:
        # Services, which store it, know no addresses.
        body["instance"] = request.path
    return Response(
        body,
        status=answer.status,
        headers={"Idempotent-Replayed": "true"} if answer.replayed else None,
        content_type=problems.CONTENT_TYPE if answer.refused else None,
    )


class ChargesView(PosView):
    """Take a payment; find one by its order."""

    class Input(serializers.Serializer[Any]):
        code = Code()
        amount = fields.Money()
        external_order_id = fields.OrderId(required=False, default="")
        payment_method = fields.Choice(
            choices=[*charge_decision.METHODS], required=False, default=charge_decision.BALANCE
        )
        voucher_code = Code(required=False, default="")
        tag = fields.Tag(required=False, default=dict)

    @extend_schema(
        operation_id="charge",
        tags=["POS"],
        parameters=[IDEMPOTENCY_KEY],
        request=Input,
        responses={201: ChargeOut, 202: AwaitingOut},
        examples=examples.CHARGE,
    )
    def post(self, request: Request) -> Response:
        """Charge the card of a payment code."""
        key = idempotency_key(request)
        body = read_body(self.Input, request)
        return respond(request, charges.charge_card(till=self.till, idempotency_key=key, **body))

    @extend_schema(
        operation_id="find_charge_by_order",
        tags=["POS"],
        parameters=[OpenApiParameter("external_order_id", str, required=True)],
        responses={200: OrderOut},
        examples=examples.FIND_CHARGE_BY_ORDER,
    )
    def get(self, request: Request) -> Response:
        """Return the result of an order, for a till that does not know it."""
        order = request.query_params.get("external_order_id")
        if not order:
            raise InvalidRequestError(errors={"external_order_id": ["Required."]})
        found = selectors.find_by_order(self.scope, self.till, order)
        if found is None or isinstance(found, Transaction):
            return _charge_detail(self.scope, found)
        return Response(representations.unpaid_order(found))

    query_parameters = frozenset({"external_order_id"})


class ChargeView(PosView):
    """One payment."""

    @extend_schema(
        operation_id="get_charge",
        tags=["POS"],
        responses={200: ChargeDetailOut},
        examples=examples.GET_CHARGE,
    )
    def get(self, request: Request, tx_no: str) -> Response:
        """Return a payment of this shop with its refunds."""
        return _charge_detail(self.scope, selectors.find_payment(self.scope, self.till, tx_no))


def _charge_detail(scope: Scope, payment: Transaction | None) -> Response:
    if payment is None:
        raise NotFoundError("Payment not found.")
    return Response(representations.charge_detail(payment, selectors.refunds_of(scope, payment)))


class RefundsView(PosView):
    """Refunds of a payment."""

    class Input(serializers.Serializer[Any]):
        amount = fields.Money(or_zero=True)
        reason = fields.Text(max_length=200, required=False, default="", allow_blank=True)
        tag = fields.Tag(required=False, default=dict)

    class Output(serializers.Serializer[Any]):
        tx_no = serializers.CharField()
        original_tx_no = serializers.CharField()
        status = serializers.ChoiceField(choices=Transaction.Status.choices)
        amount = fields.Money()
        points_reversed = serializers.IntegerField()
        refunded_total = fields.Money()
        remaining = fields.Money()
        credited_to = serializers.ChoiceField(choices=["card", "unclaimed"], allow_null=True)

    @extend_schema(
        operation_id="refund",
        tags=["POS"],
        parameters=[IDEMPOTENCY_KEY],
        request=Input,
        responses={201: Output},
        examples=examples.REFUND,
    )
    def post(self, request: Request, tx_no: str) -> Response:
        """Refund part or all of a payment of this shop."""
        key = idempotency_key(request)
        body = read_body(self.Input, request)
        return respond(
            request,
            payment_refunds.refund_payment(
                till=self.till, tx_no=tx_no, idempotency_key=key, **body
            ),
        )


class ReverseView(PosView):
    """Reversal of an order."""

    class Output(serializers.Serializer[Any]):
        external_order_id = serializers.CharField()
        status = serializers.ChoiceField(choices=["cancelled"])
        tx_no = serializers.CharField(required=False)
        refund_tx_no = serializers.CharField(required=False)
        amount = fields.Money(required=False)

    @extend_schema(
        operation_id="reverse_order",
        tags=["POS"],
        request={"application/json": {"type": "object"}},
        responses={200: Output},
        examples=examples.REVERSE_ORDER,
    )
    def post(self, request: Request, external_order_id: str) -> Response:
        """Reverse an order, whatever its status. Repeat it as often as needed."""
        _ = request.data  # read, so that a malformed body is refused like anywhere else
        try:
            order = fields.OrderId().run_validation(external_order_id)
        except serializers.ValidationError as error:
            raise InvalidRequestError(errors={"external_order_id": error.detail}) from None  # type: ignore[dict-item]
        return Response(payment_refunds.reverse_order(till=self.till, external_order_id=order))


class ValidateView(PosView):
    """Validation of a code."""

    class Input(serializers.Serializer[Any]):
        code = Code()

    class Output(serializers.Serializer[Any]):
        class Worth(serializers.Serializer[Any]):
            kind = serializers.ChoiceField(choices=Voucher.Kind.choices)
            value = fields.Money(help_text="`percent`: so many percent off; `amount`: money off.")
            min_spend = fields.Money(help_text="From which list amount on; 0.00: any.")

        card_type = serializers.CharField()
        card_no = serializers.CharField()
        tier = serializers.CharField(allow_null=True)
        discount_rate = fields.Rate()
        expires_at = serializers.DateTimeField()
        voucher = Worth(required=False, help_text="What a voucher takes off, after any rate.")

    @extend_schema(
        operation_id="validate_code",
        tags=["POS"],
        request=Input,
        responses={200: Output},
        examples=examples.VALIDATE_CODE,
    )
    def post(self, request: Request) -> Response:
        """Return what an active code is good for, without using it up."""
        body = read_body(self.Input, request)
        card = charges.validate_code(till=self.till, code=body["code"])
        rate = pricing.card_rate(
            card.card_type, card.fixed_discount, card.tier_rate, card.corporate_rate
        )
        found: dict[str, Any] = {
            "card_type": card.card_type,
            "card_no": selectors.mask_card_number(card.card_no),
            "tier": card.tier,
            "discount_rate": money.show_rate(rate),
            "expires_at": show_time(card.code_expires_at),
        }
        if card.voucher_kind is not None:
            assert card.voucher_value is not None
            assert card.voucher_min_spend is not None
            found["voucher"] = {
                "kind": card.voucher_kind,
                "value": money.show_money(card.voucher_value),
                "min_spend": money.show_money(card.voucher_min_spend),
            }
        return Response(found)


class TopUpsView(PosView):
    """Cash top-ups."""

    class Input(serializers.Serializer[Any]):
        code = Code(required=False, default="")
        card_no = fields.Text(max_length=14, required=False, default="")
        amount = fields.Money()

    class Output(serializers.Serializer[Any]):
        tx_no = serializers.CharField()
        status = serializers.ChoiceField(choices=Transaction.Status.choices)
        amount = fields.Money()
        card_no = serializers.CharField()

    @extend_schema(
        operation_id="top_up",
        tags=["POS"],
        parameters=[IDEMPOTENCY_KEY],
        request=Input,
        responses={201: Output},
        examples=examples.TOP_UP,
    )
    def post(self, request: Request) -> Response:
        """Top up a card with cash taken at this till."""
        key = idempotency_key(request)
        body = read_body(self.Input, request)
        return respond(request, topups.top_up_at_till(till=self.till, idempotency_key=key, **body))


class TopUpReverseView(PosView):
    """Reversal of a cash top-up."""

    @extend_schema(
        operation_id="reverse_top_up",
        tags=["POS"],
        request={"application/json": {"type": "object"}},
        responses={200: TopUpsView.Output, 402: None},
        examples=examples.REVERSE_TOP_UP,
    )
    def post(self, request: Request, tx_no: str) -> Response:
        """Reverse a top-up of this terminal on the same day, while the balance is still there."""
        _ = request.data
        return Response(topups.reverse_top_up(till=self.till, tx_no=tx_no))


class TransactionsView(PosView):
    """This shop's transactions."""

    pagination_class = NewestFirst
    query_parameters = frozenset({"date", "type", "status"}) | NewestFirst.QUERY

    class Output(serializers.Serializer[Any]):
        tx_no = serializers.CharField()
        type = serializers.ChoiceField(choices=Transaction.Type.choices)
        status = serializers.ChoiceField(choices=Transaction.Status.choices)
        failure_code = serializers.CharField(allow_null=True)
        external_order_id = serializers.CharField(allow_null=True)
        original_tx_no = serializers.CharField(allow_null=True)
        card_no = serializers.CharField()
        amount = fields.Money()
        final_amount = fields.Money()
        currency = serializers.CharField()
        points = serializers.IntegerField()
        payment_method = serializers.CharField(allow_null=True)
        terminal_id = serializers.UUIDField(allow_null=True)
        created_at = serializers.DateTimeField()

    @extend_schema(
        operation_id="list_shop_transactions",
        tags=["POS"],
        parameters=[
            OpenApiParameter("date", date, description="A day in the shop's time zone."),
            OpenApiParameter("type", str, enum=Transaction.Type.values),
            OpenApiParameter("status", str, enum=Transaction.Status.values),
        ],
        responses={200: Output(many=True)},
        examples=examples.LIST_SHOP_TRANSACTIONS,
    )
    def get(self, request: Request) -> Response:
        """List this shop's transactions, newest first."""
        day = days.read_day(request.query_params, "date")
        found = selectors.shop_transactions(
            self.scope,
            self.till,
            day=day,
            kind=_one_of(request, "type", Transaction.Type.values),
            status=_one_of(request, "status", Transaction.Status.values),
        )
        pages = NewestFirst()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([representations.shop_line(each) for each in page])


class SummaryView(PosView):
    """A day's summary."""

    query_parameters = frozenset({"date"})

    class Output(serializers.Serializer[Any]):
        class Line(serializers.Serializer[Any]):
            type = serializers.ChoiceField(choices=Transaction.Type.choices)
            payment_method = serializers.CharField()
            count = serializers.IntegerField()
            amount = fields.Money()
            final_amount = fields.Money()

        date = serializers.DateField()
        currency = serializers.CharField()
        lines = Line(many=True)

    @extend_schema(
        operation_id="get_shop_summary",
        tags=["POS"],
        parameters=[
            OpenApiParameter("date", date, description="A day in the shop's time zone; today.")
        ],
        responses={200: Output},
        examples=examples.GET_SHOP_SUMMARY,
    )
    def get(self, request: Request) -> Response:
        """Return counts and totals of successful transactions by type and method."""
        asked = days.read_day(request.query_params, "date")
        day = asked or days.read_today(self.till.time_zone)
        return Response(
            representations.summary(day, selectors.summarise_day(self.scope, self.till, day))
        )


def _one_of(request: Request, name: str, choices: list[str]) -> str:
    value: str = request.query_params.get(name, "")
    if name in request.query_params and value not in choices:
        raise InvalidRequestError(errors={name: [f"Must be one of {', '.join(choices)}."]})
    return value
