"""Models of webhook endpoints, the event outbox and deliveries."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId


class WebhookEndpoint(models.Model):
    """Where a shop wants to hear of what happens. Its secret is nowhere stored: it is made of id,
    version and a key that is not in the database.
    """

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.PROTECT,
        related_name="webhook_endpoints",
        verbose_name=_("merchant"),
    )
    url = models.CharField(_("address"), max_length=500)
    description = models.CharField(_("description"), max_length=200, default="", blank=True)
    events = ArrayField(
        models.TextField(), verbose_name=_("types of events"), default=list, blank=True
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(_("why disabled"), max_length=200, default="", blank=True)
    secret_version = models.PositiveIntegerField(_("number of the secret"), default=1)
    secret_key_id = models.CharField(max_length=20)
    old_secret_version = models.PositiveIntegerField(null=True)
    old_secret_key_id = models.CharField(max_length=20, default="", blank=True)
    old_secret_until = models.DateTimeField(_("old secret signs until"), null=True)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)
    deleted_at = models.DateTimeField(_("removed at"), null=True)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")

    def __str__(self) -> str:
        return self.url


class WebhookEvent(models.Model):
    """Something a shop is told of. Written by `merchants_emit()` in the database only; its id is
    the webhook's, the same at every attempt.
    """

    class Type(models.TextChoices):
        PAYMENT_COMPLETED = "payment.completed", _("payment completed")
        PAYMENT_FAILED = "payment.failed", _("payment failed")
        REFUND_COMPLETED = "refund.completed", _("refund completed")
        SETTLEMENT_GENERATED = "settlement.generated", _("settlement generated")
        SETTLEMENT_PAID = "settlement.paid", _("settlement paid")
        PING = "ping", _("test")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="webhook_events",
        verbose_name=_("merchant"),
    )
    type = models.CharField(_("type"), max_length=40, choices=Type.choices)
    payload = models.JSONField(_("data"))
    created_at = models.DateTimeField(_("happened at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")

    def __str__(self) -> str:
        return f"{self.get_type_display()} {localtime(self.created_at):%F %T}"


class WebhookDelivery(models.Model):
    """An event on its way to an endpoint. Written by functions in the database only."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    event = models.ForeignKey(
        WebhookEvent,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
        verbose_name=_("event"),
    )
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
        verbose_name=_("endpoint"),
    )
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PENDING
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), db_default=DatabaseNow())
    give_up_at = models.DateTimeField(_("given up at"))
    last_attempt_at = models.DateTimeField(_("last attempt at"), null=True)
    last_status = models.PositiveSmallIntegerField(_("last answer"), null=True)
    last_error = models.CharField(_("what went wrong"), max_length=100, default="", blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {localtime(self.created_at):%F %T}"

    @property
    def planned_at(self) -> datetime | None:
        """When it is tried next, if it is."""
        return self.next_attempt_at if self.state == self.State.PENDING else None
