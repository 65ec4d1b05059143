"""HTTP endpoints to register a member and to export or erase a member's data."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards import selectors as cards
from cards.api import CardOut
from cards.examples import CARD_EXAMPLE
from members import api as members
from members import examples as member_examples
from members import field_checks
from mps.base.core import fields
from mps.base.core.api import ApiView, read_body
from mps.product.accounts import selectors, services
from payments.member_api import PointsOut, TransactionOut

_MEMBER_EXAMPLE = {
    "number": "M00000001",
    "name": "Chen",
    "phone": "0912345678",
    "email": None,
    "card": {
        **CARD_EXAMPLE,
        "card_no": "STD00000001",
        "card_type": "STD",
        "name": "",
        "balance": None,
        "points": 0,
        "discount_rate": "1.00",
    },
}


class Members(ApiView):
    """Whoever wants to become a member."""

    authentication_classes = []
    permission_classes = []

    class Input(serializers.Serializer[Any]):
        """Who registers; the member number signs in as phone and e-mail do."""

        name = fields.Text(max_length=80)
        phone = fields.Text(max_length=32, required=False, allow_blank=True, default="")
        email = fields.Text(max_length=254, required=False, allow_blank=True, default="")
        password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)
        identity = members.ProofInput(required=False)

    class Output(serializers.Serializer[Any]):
        """The new member with their standard card."""

        number = serializers.CharField()
        name = serializers.CharField()
        phone = serializers.CharField(allow_null=True)
        email = serializers.CharField(allow_null=True)
        card = CardOut()

    @extend_schema(
        operation_id="register",
        tags=["Members"],
        auth=[],
        request=Input,
        responses={201: Output, 401: None},
        examples=[
            OpenApiExample(
                "By phone",
                {"name": "Chen", "phone": "0912345678", "password": "correct horse 7"},
                request_only=True,
            ),
            OpenApiExample("Registered", _MEMBER_EXAMPLE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        """Register a member with a standard card, optionally with an external identity.

        Where contacts are verified, phone and e-mail are sent codes and are the member's once
        `POST /me/verifications/confirm` has seen them.
        """
        member, card = services.sign_up(request=request._request, **read_body(self.Input, request))
        shown = cards.show_own_card(card_no=card.number, member_id=member.id)
        return Response(
            {
                "number": member.number,
                "name": member.name,
                "phone": member.phone,
                "email": member.email,
                "card": CardOut(shown).data,
            },
            status=201,
        )


class ErasureView(members.MemberView):
    """The end of a membership."""

    class Input(serializers.Serializer[Any]):
        password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)

    @extend_schema(
        operation_id="erase_me",
        tags=["Members"],
        request=Input,
        responses={204: None},
        examples=[
            OpenApiExample("Erase me", {"password": "correct-horse-7"}, request_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Erase the member's personal data; keep the financial records.

        Cards are closed. Payments and the member number stay, without personal data. Refused while
        a card holds money (`CARD_NOT_EMPTY`) or others use a card that has no other owner.
        """
        services.erase_member(member=self.member, **read_body(self.Input, request))
        return Response(status=204)


class SignInOut(serializers.Serializer[Any]):
    """A sign-in that may still act."""

    created_at = fields.Moment()
    expires_at = fields.Moment()
    address = serializers.CharField()


class EventOut(serializers.Serializer[Any]):
    """What the log holds about the member."""

    happened_at = fields.Moment()
    action = serializers.CharField()
    address = serializers.CharField()


class ExportView(members.MemberView):
    """All data stored about the member."""

    class Output(serializers.Serializer[selectors.Export]):
        member = members.MemberOut()
        identities = members.IdentityOut(many=True)
        cards = CardOut(many=True)
        transactions = TransactionOut(many=True)
        points = PointsOut(many=True)
        sessions = SignInOut(many=True)
        events = EventOut(many=True)

    @extend_schema(
        operation_id="export_me",
        tags=["Members"],
        responses={200: Output},
        examples=[
            OpenApiExample(
                "Somebody who has just registered",
                {
                    "member": member_examples.MEMBER_EXAMPLE,
                    "identities": [],
                    "cards": [],
                    "transactions": [],
                    "points": [],
                    "sessions": [
                        {
                            "created_at": "2025-09-29T04:00:00.000000Z",
                            "expires_at": "2025-09-30T04:00:00.000000Z",
                            "address": "192.0.2.7",
                        }
                    ],
                    "events": [
                        {
                            "happened_at": "2025-09-29T04:00:00.000000Z",
                            "action": "MEMBER_REGISTERED",
                            "address": "192.0.2.7",
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Return all data stored about the member in one document."""
        export = selectors.export_member(self.scope, member_id=self.member.member_id)
        return Response(
            self.Output(export).data,
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": 'attachment; filename="member.json"',
            },
        )
