"""Console pages of webhooks."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.enums import ActionVariant

from merchants.webhooks import endpoints
from merchants.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from mps.base import console
from mps.base.console import Act, Section
from mps.base.core.db_scope import Scope

STATE_COLOURS = {"pending": "info", "delivered": "success", "failed": "danger"}


def translated(text: str) -> str:
    """Return what is kept in English in the reader's language; what somebody wrote as it is."""
    return gettext(text) if text else ""


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(console.LogAdmin):
    """Where shops are told."""

    list_display = ("url", "merchant", "enabled", "failing_since", "created_at", "deleted_at")
    list_select_related = ("merchant",)
    list_filter = (("enabled", BooleanRadioFilter), ("created_at", console.DayFilter))
    search_fields = ("=merchant__code", "url")
    search_help_text = _("Merchant code or part of the URL")
    fieldsets = (
        (None, {"fields": ("merchant", "url", "description", "events", "created_at")}),
        (_("Status"), {"fields": ("enabled", "shown_reason", "failing_since", "deleted_at")}),
        (_("Secret"), {"fields": ("secret_version", "old_secret_until")}),
    )

    @console.shown(_("why disabled"))
    def shown_reason(self, endpoint: WebhookEndpoint) -> str:
        """Show why nothing is sent to it."""
        return translated(endpoint.disabled_reason) or "–"


@admin.register(WebhookEvent)
class WebhookEventAdmin(console.LogAdmin):
    """What shops are told."""

    list_display = ("created_at", "type", "merchant")
    list_select_related = ("merchant",)
    date_hierarchy = "created_at"
    list_filter = (("type", ChoicesDropdownFilter), ("created_at", console.DayByIdFilter))
    search_fields = ("=id", "=merchant__code")
    search_help_text = _("Webhook ID or merchant code")
    fieldsets = ((None, {"fields": ("id", "merchant", "type", "payload", "created_at")}),)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(console.LogAdmin):
    """How telling them went."""

    list_display = (
        "created_at",
        "shown_type",
        "endpoint",
        "shown_state",
        "attempts",
        "shown_error",
        "next_attempt_at",
    )
    list_select_related = ("event", "endpoint")
    date_hierarchy = "created_at"
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("event__type", ChoicesDropdownFilter),
        ("created_at", console.DayByIdFilter),
    )
    search_fields = ("=event__id", "=endpoint__merchant__code")
    search_help_text = _("Webhook ID or merchant code")
    fieldsets = (
        (None, {"fields": ("event", "endpoint", "created_at")}),
        (
            _("Status"),
            {
                "fields": (
                    "shown_state",
                    "attempts",
                    "last_attempt_at",
                    "last_status",
                    "shown_error",
                    "next_attempt_at",
                    "give_up_at",
                    "delivered_at",
                )
            },
        ),
    )

    @console.shown(_("type"))
    def shown_type(self, delivery: WebhookDelivery) -> str:
        """Show what it tells."""
        return delivery.event.get_type_display()

    @console.shown(_("what went wrong"))
    def shown_error(self, delivery: WebhookDelivery) -> str:
        """Show what went wrong at last."""
        return translated(delivery.last_error) or "–"

    @console.shown(_("state"))
    def shown_state(self, delivery: WebhookDelivery) -> Any:
        """Show the state in its colour."""
        return console.badge(delivery.state, delivery.get_state_display(), STATE_COLOURS)


def _table(found: Any) -> list[list[Any]]:
    return [
        [
            console.link(each, each.event.get_type_display()),
            console.link(each.endpoint),
            console.badge(each.state, each.get_state_display(), STATE_COLOURS),
            console.whole(each.attempts),
            translated(each.last_error),
            console.moment(each.created_at),
        ]
        for each in found.select_related("event", "endpoint").order_by("-id")[: console.ROWS_SHOWN]
    ]


def _deliveries(scope: Scope, told: WebhookEndpoint | WebhookEvent) -> Section:
    return Section(
        _("Latest deliveries"),
        [_("Event"), _("Endpoint"), _("Status"), _("Attempts"), _("Error"), _("Created at")],
        _table(told.deliveries),
    )


console.add_sections(WebhookEndpoint, _deliveries)
console.add_sections(WebhookEvent, _deliveries)
console.add_acts(
    WebhookEndpoint,
    Act(
        name="enable",
        label=_("Enable"),
        explanation=_("Resumes sending to these URLs, including the events held for up to 3 days:"),
        run=console.calling(endpoints.enable_endpoint, "endpoint_id", _("%(name)s was enabled.")),
        bulk=True,
        offered=lambda endpoint: not endpoint.enabled and endpoint.deleted_at is None,
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    Act(
        name="disable",
        label=_("Disable"),
        explanation=_("Stops sending to these URLs:"),
        run=console.calling(endpoints.disable_endpoint, "endpoint_id", _("%(name)s was disabled.")),
        bulk=True,
        offered=lambda endpoint: endpoint.enabled,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
)
console.add_acts(
    WebhookDelivery,
    Act(
        name="resend",
        label=_("Send again"),
        explanation=_("Sends these events again, each with its original ID:"),
        run=console.calling(
            endpoints.resend_delivery, "delivery_id", _("%(name)s was sent again.")
        ),
        bulk=True,
        offered=lambda delivery: delivery.state != WebhookDelivery.State.PENDING,
        icon="replay",
    ),
)
