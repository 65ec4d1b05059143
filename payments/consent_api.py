"""HTTP endpoints for members to approve payments above the threshold and to set their PIN."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from members import field_checks, pins
from members.api import MemberView
from mps.base.core import fields
from mps.base.core.api import WholeList, read_body
from payments import consents, examples, representations, selectors
from payments.api import ChargeOut, respond


class PinView(MemberView):
    """The PIN that approves payments."""

    class Input(serializers.Serializer[Any]):
        password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)
        pin = fields.Secret(max_length=16)

    @extend_schema(
        operation_id="set_pin",
        tags=["Members"],
        request=Input,
        responses={204: None},
        examples=examples.SET_PIN,
    )
    def put(self, request: Request) -> Response:
        """Set or change the member's PIN, confirmed by the password."""
        pins.set_pin(member_id=self.member.member_id, **read_body(self.Input, request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApprovalsView(MemberView):
    """Payments waiting for the member."""

    class Output(WholeList):
        class Waiting(serializers.Serializer[Any]):
            id = serializers.UUIDField()
            merchant_code = serializers.CharField()
            merchant_name = serializers.CharField()
            card_no = serializers.CharField()
            amount = fields.Money()
            final_amount = fields.Money()
            currency = serializers.CharField()
            payment_method = serializers.CharField()
            external_order_id = serializers.CharField(allow_null=True)
            expires_at = serializers.DateTimeField()

        results = Waiting(many=True)

    @extend_schema(
        operation_id="list_approvals",
        tags=["Members"],
        responses={200: Output},
        examples=examples.LIST_APPROVALS,
    )
    def get(self, request: Request) -> Response:
        """List the payments waiting for the member's approval."""
        found = selectors.awaiting_approvals(self.scope, self.member.member_id)
        waiting = [representations.approval_document(self.scope, each) for each in found]
        return Response({"next": None, "previous": None, "results": waiting})


class ApproveView(MemberView):
    """Approval of a payment."""

    class Input(serializers.Serializer[Any]):
        pin = fields.Secret(max_length=16)

    @extend_schema(
        operation_id="approve_payment",
        tags=["Members"],
        request=Input,
        responses={201: ChargeOut, 402: None},
        examples=examples.APPROVE_PAYMENT,
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve a payment with the PIN. The response is what the till gets."""
        return respond(
            request,
            consents.approve_payment(
                member_id=self.member.member_id,
                approval_id=approval_id,
                **read_body(self.Input, request),
            ),
        )


class DeclineView(MemberView):
    """Refusal of a payment."""

    class Input(serializers.Serializer[Any]):
        pass

    @extend_schema(
        operation_id="decline_payment",
        tags=["Members"],
        request=Input,
        responses={204: None},
        examples=examples.DECLINE_PAYMENT,
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Decline a payment waiting for the member's approval."""
        read_body(self.Input, request)
        consents.decline_payment(member_id=self.member.member_id, approval_id=approval_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
