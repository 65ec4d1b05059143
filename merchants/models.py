"""Shops, the people who run them, and the tills that act for them."""

import re
import uuid
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId
from mps.base.core.spending_limits import Limited


class Merchant(Limited):
    """A shop the platform takes payments for."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    class SettlementMode(models.TextChoices):
        REALTIME = "realtime", _("real time")
        T_PLUS_1 = "t_plus_1", _("next day")
        MONTHLY = "monthly", _("monthly")

    CODE_PATTERN = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}", re.ASCII)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    contact = models.CharField(_("contact"), max_length=200, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE
    )
    status_reason = models.CharField(_("reason of the status"), max_length=200, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="Asia/Taipei")
    settlement_mode = models.CharField(
        _("settlement mode"),
        max_length=10,
        choices=SettlementMode.choices,
        default=SettlementMode.T_PLUS_1,
    )
    fee_rate = models.DecimalField(
        _("fee rate"),
        max_digits=5,
        decimal_places=4,
        default=Decimal("0"),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1))],
        help_text=_("0.02 takes 2 % of each payment."),
    )
    account = models.OneToOneField(
        "ledger.Account",
        models.PROTECT,
        related_name="+",
        verbose_name=_("ledger account"),
        editable=False,
    )
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[A-Z0-9][A-Z0-9_-]{0,31}$"),
                name="merchants_merchant_code_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended"]),
                name="merchants_merchant_status_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(settlement_mode__in=["realtime", "t_plus_1", "monthly"]),
                name="merchants_merchant_settlement_mode_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(fee_rate__gte=0, fee_rate__lte=1),
                name="merchants_merchant_fee_rate_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class MerchantUser(models.Model):
    """A Django user who may see and manage one shop."""

    class Role(models.TextChoices):
        MANAGER = "manager", _("manager")
        CLERK = "clerk", _("clerk")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    merchant = models.ForeignKey(
        Merchant, models.PROTECT, related_name="users", verbose_name=_("merchant")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="merchant_roles",
        verbose_name=_("user"),
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.CLERK)
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("merchant user")
        verbose_name_plural = _("merchant users")
        constraints = [
            models.UniqueConstraint(fields=["merchant", "user"], name="merchants_user_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["manager", "clerk"]), name="merchants_user_role_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.merchant}"


class Terminal(models.Model):
    """One till. It acts with a key of its own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    merchant = models.ForeignKey(
        Merchant, models.PROTECT, related_name="terminals", verbose_name=_("merchant")
    )
    name = models.CharField(_("name"), max_length=80)
    can_top_up = models.BooleanField(_("may take cash top-ups"), default=False)
    can_manage_webhooks = models.BooleanField(_("may manage webhook endpoints"), default=False)
    require_signature = models.BooleanField(_("must sign its requests"), default=False)
    # When it last showed a code nobody ever had; for minutes after, its codes are counted first.
    guessed_at = models.DateTimeField(_("guessed a code at"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("terminal")
        verbose_name_plural = _("terminals")

    def __str__(self) -> str:
        return self.name


class TerminalKey(models.Model):
    """A key of a terminal: `mps.t<id>.<secret>`; only the secret's SHA-256 is kept, and, sealed
    with a key of the server's, what the terminal signs its requests with.

    A terminal may have two for a while, so that it can change to the new one without a pause.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    terminal = models.ForeignKey(
        Terminal, models.CASCADE, related_name="keys", verbose_name=_("terminal")
    )
    secret_hash = models.BinaryField(max_length=32)
    sealed_signing_key = models.BinaryField(max_length=32)
    sealed_by = models.CharField(max_length=20)
    created_at = models.DateTimeField(_("made at"), db_default=DatabaseNow(), editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("terminal key")
        verbose_name_plural = _("terminal keys")

    def __str__(self) -> str:
        return f"t{self.id.hex[:8]}…"


class WebhookEndpoint(models.Model):
    """Where a shop wants to hear of what happens. Its secret is nowhere stored: it is made of id,
    version and a key that is not in the database.
    """

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    merchant = models.ForeignKey(
        Merchant,
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
        Merchant,
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
