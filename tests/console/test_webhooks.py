"""Staff see what shops are told, stop it, and send it again."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from merchants.webhooks import delivery as webhook_delivery
from merchants.webhooks import endpoints
from merchants.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from mps.base.core.db_scope import principal_scope
from tests.console.helpers import act, events, fresh, list_url, page_url, texts
from tests.merchants.receiver import Receiver, receiving


@pytest.fixture
def told(world: SimpleNamespace) -> Any:
    """A shop that was told of a payment."""
    with principal_scope("platform_admin"):
        endpoint = WebhookEndpoint.objects.get()
    with receiving() as receiver:
        endpoints.change_endpoint(
            till=world.till, endpoint_id=endpoint.id, changes={"url": receiver.url}
        )
        webhook_delivery.deliver_due()
        yield endpoint, receiver


def test_staff_see_endpoints_events_and_deliveries(
    console: Client, told: tuple[WebhookEndpoint, Receiver]
) -> None:
    endpoint, receiver = told
    with principal_scope("platform_admin"):
        delivery = WebhookDelivery.objects.select_related("event").order_by("id").first()
    assert delivery is not None

    for obj in (endpoint, delivery, delivery.event):
        assert str(receiver.port) in console.get(page_url(obj)).content.decode()
    for query in ({"state__exact": "delivered"}, {"q": str(delivery.event_id)}):
        assert str(receiver.port) in console.get(list_url(WebhookDelivery), query).content.decode()
    page = console.get(list_url(WebhookEvent), {"type__exact": delivery.event.type})
    assert page_url(delivery.event) in page.content.decode()
    # Nothing can be changed but by an act.
    assert console.post(page_url(endpoint), {"url": "http://127.0.0.1:1/"}).status_code == 403


def test_staff_send_a_delivery_again(
    console: Client, told: tuple[WebhookEndpoint, Receiver]
) -> None:
    _endpoint, receiver = told
    with principal_scope("platform_admin"):
        delivery = WebhookDelivery.objects.earliest("id")
    before = list(receiver.ids)

    answer = act(console, WebhookDelivery, "resend", delivery, reason="They lost it")
    webhook_delivery.deliver_due()

    assert "was sent again" in texts(answer)[0]
    assert receiver.ids == [*before, str(delivery.event_id)]
    assert [event.context["reason"] for event in events("WEBHOOK_RESENT")] == ["They lost it"]


def test_staff_disable_and_enable_an_endpoint(
    console: Client, told: tuple[WebhookEndpoint, Receiver]
) -> None:
    endpoint, _receiver = told

    act(console, WebhookEndpoint, "disable", endpoint, reason="It is noisy")
    assert (fresh(endpoint).enabled, fresh(endpoint).disabled_reason) == (False, "It is noisy")

    act(console, WebhookEndpoint, "enable", endpoint, reason="It is quiet")
    assert (fresh(endpoint).enabled, fresh(endpoint).disabled_reason) == (True, "")
    for act_name, reason in (("DISABLED", "It is noisy"), ("ENABLED", "It is quiet")):
        [event] = events(f"WEBHOOK_ENDPOINT_{act_name}")
        assert (event.actor_type, event.context["reason"]) == ("staff", reason)
