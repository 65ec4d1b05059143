"""Look up a shop's webhook endpoints and deliveries."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext

from merchants.webhooks.models import WebhookDelivery, WebhookEndpoint
from mps.base.core.db_scope import Scope
from mps.base.core.errors import NotFoundError


def list_endpoints(scope: Scope, *, merchant_id: UUID) -> QuerySet[WebhookEndpoint]:
    """Return a shop's webhook endpoints."""
    return WebhookEndpoint.objects.filter(merchant_id=merchant_id, deleted_at=None)


def get_endpoint(
    scope: Scope, *, merchant_id: UUID, endpoint_id: UUID, lock: bool = False
) -> WebhookEndpoint:
    """Return a webhook endpoint of this shop.

    :param lock: let nobody else change it until the database transaction ends.
    :raises NotFoundError: there is none, or it is another shop's.
    """
    found = list_endpoints(scope, merchant_id=merchant_id).filter(id=endpoint_id)
    endpoint = (found.select_for_update(no_key=True) if lock else found).first()
    if endpoint is None:
        raise NotFoundError(gettext("Webhook endpoint not found."))
    return endpoint


def list_deliveries(
    scope: Scope, *, merchant_id: UUID, endpoint_id: UUID
) -> QuerySet[WebhookDelivery]:
    """Return what was or will be sent to a webhook endpoint of this shop.

    :raises NotFoundError: there is no such endpoint, or it is another shop's.
    """
    endpoint = get_endpoint(scope, merchant_id=merchant_id, endpoint_id=endpoint_id)
    return WebhookDelivery.objects.filter(endpoint_id=endpoint.id).select_related("event")
