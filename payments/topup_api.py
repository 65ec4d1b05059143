"""HTTP endpoints for members' top-ups and for the providers' callbacks."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards.api import CardView
from mps.base.core import api, fields
from payments import examples, member_topups, providers, topup_confirmations
from payments.api import IDEMPOTENCY_KEY, idempotency_key, respond
from payments.models import TopUp


class TopUpOut(serializers.Serializer[Any]):
    """A new top-up."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=TopUp.Status.choices)
    card_no = serializers.CharField()
    provider = serializers.ChoiceField(choices=providers.NAMES)
    amount = fields.Money()
    currency = serializers.CharField()
    created_at = fields.Moment()
    expires_at = fields.Moment()
    pay_url = serializers.CharField(allow_null=True)


class TopUpDetailOut(TopUpOut):
    """A top-up's current status. `late` means it was paid after it had been closed."""

    failure_code = serializers.CharField(allow_null=True)
    tx_no = serializers.CharField(allow_null=True)
    credited_to = serializers.ChoiceField(choices=["card", "unclaimed"], allow_null=True)
    late = serializers.BooleanField()


class TopUpProviders(CardView):
    """The available top-up providers."""

    class Output(serializers.Serializer[Any]):
        providers = serializers.ListField(child=serializers.ChoiceField(choices=providers.NAMES))

    @extend_schema(
        operation_id="list_top_up_providers",
        tags=["Members"],
        responses={200: Output},
        examples=examples.LIST_TOP_UP_PROVIDERS,
    )
    def get(self, request: Request) -> Response:
        """List the available top-up providers, the preferred one first."""
        return Response({"providers": list(providers.offered())})


class MyTopUps(CardView):
    """Top-ups of a card."""

    pagination_class = api.NewestFirst

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]
        """The list is paged; a command takes no parameters."""
        paged = self.request.method in {"GET", "HEAD"}
        return api.NewestFirst.QUERY if paged else frozenset()

    class Input(serializers.Serializer[Any]):
        amount = fields.Money()
        provider = fields.Choice(choices=providers.NAMES)
        return_path = fields.Text(max_length=200, required=False, default="", allow_blank=True)

    @extend_schema(
        operation_id="start_top_up",
        tags=["Members"],
        parameters=[IDEMPOTENCY_KEY],
        request=Input,
        responses={201: TopUpOut},
        examples=examples.START_TOP_UP,
    )
    def post(self, request: Request, card_no: str) -> Response:
        """Start a top-up through a payment provider and return where to pay. It is credited once
        paid.
        """
        key = idempotency_key(request)
        body = api.read_body(self.Input, request)
        return respond(
            request,
            member_topups.start_top_up(
                member_id=self.member.member_id,
                card_no=card_no,
                idempotency_key=key,
                site_url=request.build_absolute_uri("/"),
                **body,
            ),
        )

    @extend_schema(
        operation_id="list_top_ups",
        tags=["Members"],
        responses=TopUpDetailOut(many=True),
        examples=examples.LIST_TOP_UPS,
    )
    def get(self, request: Request, card_no: str) -> Response:
        """List a card's top-ups through providers, newest first."""
        found = member_topups.list_top_ups(
            self.scope, card_no=card_no, member_id=self.member.member_id
        )
        pages = api.NewestFirst()
        page = pages.paginate_queryset(found, request, view=self) or []
        lines = member_topups.show_top_ups(self.scope, list(page), member_id=self.member.member_id)
        return pages.get_paginated_response(lines)


class OneTopUp(CardView):
    """A top-up of a card."""

    @extend_schema(
        operation_id="get_top_up",
        tags=["Members"],
        responses={200: TopUpDetailOut},
        examples=examples.GET_TOP_UP,
    )
    def get(self, request: Request, card_no: str, topup_id: UUID) -> Response:
        """Return a top-up. Poll this until it is credited."""
        top_up = member_topups.get_top_up(
            self.scope, card_no=card_no, member_id=self.member.member_id, top_up_id=topup_id
        )
        return Response(
            member_topups.show_top_ups(self.scope, [top_up], member_id=self.member.member_id)[0]
        )


class TopUpCallback(api.ApiView):
    """Callback for providers.

    The body is the provider's, in its own form, and its signature says who calls; so it is no part
    of our OpenAPI.
    """

    authentication_classes = []
    permission_classes = []

    @extend_schema(exclude=True)
    def post(self, request: Request, provider: str) -> Response:
        """Accept a provider's callback if its signature is valid."""
        topup_confirmations.receive_callback(
            provider=provider, body=request.body, headers=request.headers
        )
        return Response({"received": True})
