"""What the console's tests look up."""

import re
from typing import Any

from django.test import Client
from django.urls import reverse

from mps.base.audit.models import Event
from mps.base.core.db_scope import principal_scope
from mps.base.ledger.models import Posting


def list_url(model: Any, name: str = "changelist") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")


def page_url(obj: Any, name: str = "change") -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{name}", args=[obj.pk])


def act_url(model: Any, act: str, obj: Any = None) -> str:
    base = f"admin:{model._meta.app_label}_{model._meta.model_name}_act"
    return (
        reverse(base, args=[act]) if obj is None else reverse(f"{base}_object", args=[obj.pk, act])
    )


def act(client: Client, model: Any, name: str, obj: Any = None, /, **values: Any) -> Any:
    """Open an act's form and send it as a browser does."""
    url = act_url(model, name, obj)
    asked = client.get(url)
    assert asked.status_code == 200, asked.status_code
    return client.post(url, {"token": token_of(asked), **values}, follow=True)


def token_of(response: Any) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{32})"', response.content.decode())
    assert found
    return found.group(1)


def texts(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def events(action: str = "") -> list[Event]:
    with principal_scope("platform_admin"):
        found = Event.objects.order_by("id")
        return list(found.filter(action=action) if action else found)


def count_events() -> int:
    return len(events())


def count_postings() -> int:
    with principal_scope("platform_admin"):
        return Posting.objects.count()


def fresh(obj: Any) -> Any:
    with principal_scope("platform_admin"):
        return type(obj)._base_manager.get(pk=obj.pk)
