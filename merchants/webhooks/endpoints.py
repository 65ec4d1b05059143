"""Create, change, test and delete a shop's webhook endpoints, by the shop or by staff.

Rules: docs/rules.md#webhooks.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext, gettext_noop

from merchants.selectors import Till
from merchants.webhooks import selectors, signing, targets
from merchants.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.core.db_scope import Scope

MAX_ENDPOINTS = 10
OVERLAP_SECONDS = 86_400
MAX_OVERLAP_SECONDS = 7 * 86_400
# What an endpoint may choose from; a test is sent on request only.
EVENT_TYPES = tuple(str(kind) for kind in WebhookEvent.Type if kind != WebhookEvent.Type.PING)

# Kept in English and translated where they are shown; the database writes the last two.
DISABLED = gettext_noop("Disabled by the shop.")
REMOVED = gettext_noop("Removed.")
UNREACHED = gettext_noop("Nothing has reached it for 3 days.")
HELD = gettext_noop("endpoint disabled")


# --- endpoints, by the shop ----------------------------------------------------------------------


def list_endpoints(scope: Scope, *, till: Till) -> QuerySet[WebhookEndpoint]:
    """Return the shop's endpoints.

    :raises PermissionDeniedError: the terminal may not.
    """
    with _asked("list", till):
        return selectors.list_endpoints(scope, merchant_id=till.merchant_id)


def require_may_manage(*, till: Till, act: str) -> None:
    """Refuse whoever may not manage the shop's endpoints, and record it.

    For what goes on in a scope that a refusal would roll back, its record with it.

    :raises PermissionDeniedError: the terminal may not.
    """
    with _asked(act, till):
        pass


def get_endpoint(scope: Scope, *, till: Till, endpoint_id: UUID) -> WebhookEndpoint:
    """Return one of the shop's endpoints.

    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is none, or it is another shop's.
    """
    with _asked("show", till, endpoint_id):
        return selectors.get_endpoint(scope, merchant_id=till.merchant_id, endpoint_id=endpoint_id)


def list_deliveries(scope: Scope, *, till: Till, endpoint_id: UUID) -> QuerySet[WebhookDelivery]:
    """Return what was or will be sent to one of the shop's endpoints.

    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is no such endpoint, or it is another shop's.
    """
    with _asked("list deliveries", till, endpoint_id):
        return selectors.list_deliveries(
            scope, merchant_id=till.merchant_id, endpoint_id=endpoint_id
        )


def create_endpoint(
    *, till: Till, url: str, description: str = "", events: list[str] | None = None
) -> tuple[WebhookEndpoint, str]:
    """Open an endpoint; return it with its secret, which is not shown again.

    :param events: which types it wants; none: all.
    :raises PermissionDeniedError: the terminal may not.
    :raises InvalidRequestError: the address is none messages may go to, or there are enough.
    """
    with _asked("create", till):
        targets.require_url(url)
        with _scope(till) as scope:
            _lock_endpoints(scope, till.merchant_id)
            if (
                selectors.list_endpoints(scope, merchant_id=till.merchant_id).count()
                >= MAX_ENDPOINTS
            ):
                raise errors.InvalidRequestError(
                    gettext("A shop can have at most %(count)s webhook endpoints.")
                    % {"count": MAX_ENDPOINTS}
                )
            endpoint = WebhookEndpoint.objects.create(
                merchant_id=till.merchant_id,
                url=url,
                description=description,
                events=_in_order(events),
                secret_key_id=signing.newest_key_id(),
            )
            _record("CREATED", endpoint, _shown(endpoint))
            return endpoint, _secret_of(endpoint)


def change_endpoint(
    *, till: Till, endpoint_id: UUID, changes: Mapping[str, Any]
) -> WebhookEndpoint:
    """Change an endpoint.

    :param changes: any of `url`, `description`, `events`, `enabled`. What waits for an endpoint
        that is disabled is held, and sent when it is enabled again within 3 days.
    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is none, or it is another shop's.
    :raises InvalidRequestError: the address is none messages may go to.
    """
    with _asked("change", till, endpoint_id):
        if "url" in changes:
            targets.require_url(changes["url"])
        with _scope(till) as scope:
            endpoint = _lock(scope, till, endpoint_id)
            before = _shown(endpoint)
            endpoint.url = changes.get("url", endpoint.url)
            endpoint.description = changes.get("description", endpoint.description)
            endpoint.events = _in_order(changes.get("events", endpoint.events))
            endpoint.save(update_fields=["url", "description", "events"])
            _switch(scope, endpoint, changes.get("enabled", endpoint.enabled), DISABLED)
            after = _shown(endpoint)
            _record(
                "CHANGED",
                endpoint,
                {
                    name: {"before": before[name], "after": after[name]}
                    for name in before
                    if before[name] != after[name]
                },
            )
            return endpoint


def remove_endpoint(*, till: Till, endpoint_id: UUID) -> None:
    """Remove an endpoint; what waits for it is not sent any more.

    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is none, or it is another shop's.
    """
    with _asked("remove", till, endpoint_id), _scope(till) as scope:
        endpoint = _lock(scope, till, endpoint_id)
        _switch(scope, endpoint, False, REMOVED)
        WebhookEndpoint.objects.filter(id=endpoint.id).update(deleted_at=Now())
        _record("REMOVED", endpoint, _shown(endpoint))


def rotate_secret(
    *, till: Till, endpoint_id: UUID, overlap_seconds: int = OVERLAP_SECONDS
) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret and return it; meanwhile the old one signs, too.

    :param overlap_seconds: how long, 0 to a week.
    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is none, or it is another shop's.
    """
    with _asked("rotate secret", till, endpoint_id), _scope(till) as scope:
        endpoint = _lock(scope, till, endpoint_id)
        WebhookEndpoint.objects.filter(id=endpoint.id).update(
            secret_version=endpoint.secret_version + 1,
            secret_key_id=signing.newest_key_id(),
            old_secret_version=endpoint.secret_version,
            old_secret_key_id=endpoint.secret_key_id,
            old_secret_until=Now() + timedelta(seconds=overlap_seconds),
        )
        endpoint.refresh_from_db()
        _record("SECRET_ROTATED", endpoint, {"overlap_seconds": overlap_seconds})
        return endpoint, _secret_of(endpoint)


def send_test(*, till: Till, endpoint_id: UUID) -> WebhookDelivery:
    """Send an endpoint a `ping`, through the outbox like any event.

    :raises PermissionDeniedError: the terminal may not.
    :raises NotFoundError: there is none, or it is another shop's.
    :raises InvalidRequestError: it is disabled.
    """
    with _asked("test", till, endpoint_id), _scope(till) as scope:
        endpoint = _lock(scope, till, endpoint_id)
        if not endpoint.enabled:
            raise errors.InvalidRequestError(gettext("The webhook endpoint is disabled."))
        with connection.cursor() as cursor:
            cursor.execute("SELECT merchants_emit_ping(%s)", [endpoint.id])
            [delivery_id] = cursor.fetchone()
        _record("TESTED", endpoint)
        return WebhookDelivery.objects.select_related("event").get(id=delivery_id)


# --- endpoints and deliveries, by staff ----------------------------------------------------------


def enable_endpoint(*, endpoint_id: UUID, reason: str) -> None:
    """Send to an endpoint again, also what was held for it. Safe to repeat.

    :raises NotFoundError: there is none.
    :raises InvalidRequestError: there is no reason.
    """
    _set_enabled(endpoint_id, True, reason)


def disable_endpoint(*, endpoint_id: UUID, reason: str) -> None:
    """Stop sending to an endpoint. Safe to repeat.

    :raises NotFoundError: there is none.
    :raises InvalidRequestError: there is no reason.
    """
    _set_enabled(endpoint_id, False, reason)


def resend_delivery(*, delivery_id: UUID, reason: str) -> None:
    """Send an event to an endpoint again, under its own id, for another 3 days if need be.

    :raises NotFoundError: there is no such delivery.
    :raises InvalidRequestError: it is under way, or its endpoint is disabled.
    """
    audit.require_reason(reason)
    with (
        audit.refusals(
            "WEBHOOK_RESEND_REFUSED", object_type="webhook_delivery", object_id=delivery_id
        ),
        db_scope.principal_scope("platform_admin"),
    ):
        delivery = WebhookDelivery.objects.filter(id=delivery_id).first()
        if delivery is None:
            raise errors.NotFoundError(gettext("Delivery not found."))
        with connection.cursor() as cursor:
            cursor.execute("SELECT merchants_resend_delivery(%s)", [delivery_id])
            [again] = cursor.fetchone()
        if not again:
            raise errors.InvalidRequestError(
                gettext("The delivery is in progress, or its endpoint is disabled.")
            )
        audit.record(
            "WEBHOOK_RESENT",
            object_type="webhook_delivery",
            object_id=delivery_id,
            details={
                "event": str(delivery.event_id),
                "endpoint": str(delivery.endpoint_id),
                "reason": reason,
            },
        )


# --- inside ---------------------------------------------------------------------------------------


@contextmanager
def _asked(act: str, till: Till, object_id: object = "") -> Iterator[None]:
    """Let a terminal that may do something with an endpoint; a refusal is recorded."""
    with audit.refusals(
        "WEBHOOK_ENDPOINT_REFUSED",
        object_type="webhook_endpoint",
        object_id=object_id,
        details={"act": act, "merchant": till.merchant_code},
    ):
        if not till.can_manage_webhooks:
            raise errors.PermissionDeniedError(
                gettext("This terminal is not allowed to manage webhook endpoints.")
            )
        yield


def _scope(till: Till) -> AbstractContextManager[Scope]:
    return db_scope.principal_scope(till.role, till.principal_id)


def _lock(scope: Scope, till: Till, endpoint_id: UUID) -> WebhookEndpoint:
    return selectors.get_endpoint(
        scope, merchant_id=till.merchant_id, endpoint_id=endpoint_id, lock=True
    )


def _lock_endpoints(scope: Scope, merchant_id: UUID) -> None:
    """Let nobody else open an endpoint for this shop until the database transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT merchants_lock_endpoints(%s)", [merchant_id])


def _in_order(events: list[str] | None) -> list[str]:
    return [kind for kind in EVENT_TYPES if kind in (events or ())]


def _secret_of(endpoint: WebhookEndpoint) -> str:
    """Return an endpoint's present secret, whose key was configured a moment ago."""
    secret = signing.derive_secret(
        endpoint_id=endpoint.id, version=endpoint.secret_version, key_id=endpoint.secret_key_id
    )
    assert secret is not None
    return secret


def _switch(scope: Scope, endpoint: WebhookEndpoint, enabled: bool, reason: str) -> None:
    """Enable or disable a locked endpoint; what waits for it is held, or released."""
    if endpoint.enabled == enabled:
        return
    endpoint.enabled = enabled
    endpoint.disabled_reason = "" if enabled else reason
    endpoint.failing_since = None
    endpoint.save(update_fields=["enabled", "disabled_reason", "failing_since"])
    function = "merchants_release_deliveries" if enabled else "merchants_hold_deliveries"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [endpoint.id])


def _set_enabled(endpoint_id: UUID, enabled: bool, reason: str) -> None:
    """Enable or disable an endpoint in the platform's name."""
    audit.require_reason(reason)
    with (
        audit.refusals(
            "WEBHOOK_ENDPOINT_REFUSED", object_type="webhook_endpoint", object_id=endpoint_id
        ),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        endpoint = (
            WebhookEndpoint.objects.select_for_update(no_key=True)
            .filter(id=endpoint_id, deleted_at=None)
            .first()
        )
        if endpoint is None:
            raise errors.NotFoundError(gettext("Webhook endpoint not found."))
        _switch(scope, endpoint, enabled, reason)
        _record("ENABLED" if enabled else "DISABLED", endpoint, {"reason": reason})


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return what the log keeps of an endpoint: of its address the host, which is no secret."""
    return {
        "host": targets.host_of(endpoint.url),
        "description": endpoint.description,
        "events": " ".join(endpoint.events) or "all",
        "enabled": endpoint.enabled,
    }


def _record(act: str, endpoint: WebhookEndpoint, details: Mapping[str, Any] | None = None) -> None:
    audit.record(
        f"WEBHOOK_ENDPOINT_{act}",
        object_type="webhook_endpoint",
        object_id=endpoint.id,
        details={"merchant": str(endpoint.merchant_id), **(details or {})},
    )
