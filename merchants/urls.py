"""URLs of merchants."""

from django.urls import path

from merchants.webhooks import api

ENDPOINT = "pos/webhook-endpoints/<uuid:endpoint_id>"

urlpatterns = [
    path("pos/webhook-endpoints", api.WebhookEndpointsView.as_view()),
    path(ENDPOINT, api.WebhookEndpointView.as_view()),
    path(f"{ENDPOINT}/rotate-secret", api.RotateSecretView.as_view()),
    path(f"{ENDPOINT}/test", api.SendTestView.as_view()),
    path(f"{ENDPOINT}/deliveries", api.DeliveriesView.as_view()),
]
