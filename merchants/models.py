"""Models of shops, their users and their terminals."""

import re
import uuid
from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow
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


# The models of the webhooks room, for Django to find.
from merchants.webhooks import models as _webhooks  # noqa: E402, F401
