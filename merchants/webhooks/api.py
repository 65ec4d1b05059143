"""HTTP endpoints for a shop's webhooks."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from merchants import examples
from merchants.authentication import TerminalAuthentication
from merchants.selectors import Till
from merchants.webhooks import endpoints
from merchants.webhooks.models import WebhookDelivery, WebhookEvent
from mps.base.core import fields
from mps.base.core.api import ApiView, NewestFirst, read_body


class PosView(ApiView):
    """An endpoint for tills."""

    authentication_classes = [TerminalAuthentication]

    @property
    def till(self) -> Till:
        """The till that asks."""
        till: Till = self.request.user  # type: ignore[assignment]
        return till


class EndpointOut(serializers.Serializer[Any]):
    """A webhook endpoint. Without `events`, it receives all events."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=endpoints.EVENT_TYPES))
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField()
    failing_since = fields.Moment(allow_null=True)
    created_at = fields.Moment()


class SecretOut(EndpointOut):
    """A webhook endpoint with its secret, which is shown only once."""

    secret = serializers.CharField()


class DeliveryOut(serializers.Serializer[Any]):
    """A delivery. The receiver gets `webhook_id` as `webhook-id`."""

    id = serializers.UUIDField()
    webhook_id = serializers.UUIDField(source="event_id")
    type = serializers.ChoiceField(choices=WebhookEvent.Type.choices, source="event.type")
    state = serializers.ChoiceField(choices=WebhookDelivery.State.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = fields.Moment(allow_null=True, source="planned_at")
    last_attempt_at = fields.Moment(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField()
    delivered_at = fields.Moment(allow_null=True)
    created_at = fields.Moment()


class Events(serializers.ListField):
    """Event types; empty means all."""

    child = fields.Choice(choices=endpoints.EVENT_TYPES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=len(endpoints.EVENT_TYPES), **kwargs)


class WebhookEndpointsView(PosView):
    """The shop's webhook endpoints."""

    pagination_class = NewestFirst
    query_parameters = NewestFirst.QUERY

    class Input(serializers.Serializer[Any]):
        """A new endpoint."""

        url = fields.Text(max_length=500)
        description = fields.Text(max_length=200, required=False, allow_blank=True)
        events = Events(required=False)

    @extend_schema(
        operation_id="list_webhook_endpoints",
        tags=["POS"],
        responses={200: EndpointOut(many=True)},
        examples=examples.LIST_WEBHOOK_ENDPOINTS,
    )
    def get(self, request: Request) -> Response:
        """List this shop's webhook endpoints, newest first."""
        pages = NewestFirst()
        found = endpoints.list_endpoints(self.scope, till=self.till)
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(EndpointOut(page, many=True).data)

    @extend_schema(
        operation_id="create_webhook_endpoint",
        tags=["POS"],
        request=Input,
        responses={201: SecretOut},
        examples=examples.CREATE_WEBHOOK_ENDPOINT,
    )
    def post(self, request: Request) -> Response:
        """Create a webhook endpoint. Its secret is shown only once.

        Messages are signed as Standard Webhooks (`webhook-id`, `webhook-timestamp`,
        `webhook-signature`); their body is `{"type", "timestamp", "data"}`. Answer 2xx within ten
        seconds; anything else is tried again for three days, under the same `webhook-id`.
        """
        endpoint, secret = endpoints.create_endpoint(
            till=self.till, **read_body(self.Input, request)
        )
        return Response({**EndpointOut(endpoint).data, "secret": secret}, status=201)


class WebhookEndpointView(PosView):
    """One endpoint."""

    class Input(serializers.Serializer[Any]):
        """What may be changed."""

        url = fields.Text(max_length=500, required=False)
        description = fields.Text(max_length=200, required=False, allow_blank=True)
        events = Events(required=False)
        enabled = fields.Flag(required=False)

    @extend_schema(
        operation_id="get_webhook_endpoint",
        tags=["POS"],
        responses={200: EndpointOut},
        examples=examples.GET_WEBHOOK_ENDPOINT,
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """Return a webhook endpoint of this shop."""
        endpoint = endpoints.get_endpoint(self.scope, till=self.till, endpoint_id=endpoint_id)
        return Response(EndpointOut(endpoint).data)

    @extend_schema(
        operation_id="change_webhook_endpoint",
        tags=["POS"],
        request=Input,
        responses={200: EndpointOut},
        examples=examples.CHANGE_WEBHOOK_ENDPOINT,
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change a webhook endpoint. Events that occur while it is disabled are not sent later."""
        endpoint = endpoints.change_endpoint(
            till=self.till, endpoint_id=endpoint_id, changes=read_body(self.Input, request)
        )
        return Response(EndpointOut(endpoint).data)

    @extend_schema(operation_id="remove_webhook_endpoint", tags=["POS"], responses={204: None})
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Delete a webhook endpoint. Its pending deliveries are discarded."""
        endpoints.remove_endpoint(till=self.till, endpoint_id=endpoint_id)
        return Response(status=204)


class RotateSecretView(PosView):
    """A new secret."""

    class Input(serializers.Serializer[Any]):
        """How long the old one goes on signing."""

        overlap_seconds = fields.Whole(
            required=False, min_value=0, max_value=endpoints.MAX_OVERLAP_SECONDS
        )

    @extend_schema(
        operation_id="rotate_webhook_secret",
        tags=["POS"],
        request=Input,
        responses={200: SecretOut},
        examples=examples.ROTATE_WEBHOOK_SECRET,
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Replace a webhook endpoint's secret. The new one is shown only once; the old one also
        signs for a day.

        During the overlap `webhook-signature` holds a signature of each.
        """
        endpoint, secret = endpoints.rotate_secret(
            till=self.till, endpoint_id=endpoint_id, **read_body(self.Input, request)
        )
        return Response({**EndpointOut(endpoint).data, "secret": secret})


class SendTestView(PosView):
    """A sign of life."""

    class Input(serializers.Serializer[Any]):
        """Nothing."""

    @extend_schema(
        operation_id="test_webhook_endpoint",
        tags=["POS"],
        request=Input,
        responses={201: DeliveryOut},
        examples=examples.TEST_WEBHOOK_ENDPOINT,
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send a `ping` to a webhook endpoint, like any other event."""
        read_body(self.Input, request)
        delivery = endpoints.send_test(till=self.till, endpoint_id=endpoint_id)
        return Response(DeliveryOut(delivery).data, status=201)


class DeliveriesView(PosView):
    """What was sent."""

    pagination_class = NewestFirst
    query_parameters = NewestFirst.QUERY

    @extend_schema(
        operation_id="list_webhook_deliveries",
        tags=["POS"],
        responses={200: DeliveryOut(many=True)},
        examples=examples.LIST_WEBHOOK_DELIVERIES,
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """List a webhook endpoint's deliveries of the last 30 days, newest first."""
        pages = NewestFirst()
        found = endpoints.list_deliveries(self.scope, till=self.till, endpoint_id=endpoint_id)
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(DeliveryOut(page, many=True).data)
