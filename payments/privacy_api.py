"""What members ask of what is kept about them, over HTTP."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards import privacy as cards
from cards.api import CardOut
from members import api as members
from members import services as member_services
from mps.base.core import fields
from mps.base.core.api import read_body
from payments import privacy
from payments.member_api import PointsOut, TransactionOut


class ErasureView(members.MemberView):
    """The end of a membership."""

    class Input(serializers.Serializer[Any]):
        password = fields.Secret(max_length=member_services.MAX_PASSWORD_LENGTH)

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
        """Forget who I am, for good.

        Cards are closed; payments and the member number stay, without the person. Refused while a
        card holds money (`CARD_NOT_EMPTY`) or others use one that nobody else owns.
        """
        cards.erase_member(member=self.member, **read_body(self.Input, request))
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
    """All that is kept about the member."""

    class Output(serializers.Serializer[privacy.Export]):
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
                    "member": members.MEMBER_EXAMPLE,
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
        """Hand out all that is kept about me, in one document."""
        export = privacy.export_member(member_id=self.member.member_id)
        return Response(
            self.Output(export).data,
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": 'attachment; filename="member.json"',
            },
        )
