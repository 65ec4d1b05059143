"""Models of settlements: what the platform owes a shop for a period."""

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from merchants.models import Merchant
from mps.base.core.database import NewId


class Settlement(models.Model):
    """What a shop is owed for what it did before the end of a period and was not yet settled.

    Its figures never change; a trigger sees to it. `settlements_generate()` in the database is the
    one who makes it.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        SETTLED = "settled", _("settled")
        PAID = "paid", _("paid out")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    merchant = models.ForeignKey(
        Merchant, models.PROTECT, related_name="settlements", verbose_name=_("merchant")
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Merchant.SettlementMode.choices)
    period_start = models.DateTimeField(_("from"))
    period_end = models.DateTimeField(_("until"))
    currency = models.CharField(_("currency"), max_length=3)
    gross = models.DecimalField(_("payments"), max_digits=14, decimal_places=2)
    refunds = models.DecimalField(_("refunds"), max_digits=14, decimal_places=2)
    cash_topups = models.DecimalField(_("cash top-ups"), max_digits=14, decimal_places=2)
    fee = models.DecimalField(_("fee"), max_digits=14, decimal_places=2)
    carried_in = models.DecimalField(_("carried in"), max_digits=14, decimal_places=2)
    net = models.DecimalField(_("net"), max_digits=14, decimal_places=2)
    tx_count = models.PositiveIntegerField(_("transactions"))
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PENDING
    )
    created_at = models.DateTimeField(_("made at"))
    approved_at = models.DateTimeField(_("approved at"), null=True)
    approved_by = models.CharField(_("approved by"), max_length=80, default="", blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)
    payout_reference = models.CharField(
        _("payout reference"), max_length=100, default="", blank=True
    )
    failure_reason = models.CharField(_("failure"), max_length=200, default="", blank=True)
    carried_to = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="carried_from",
        verbose_name=_("carried to"),
    )

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")

    def __str__(self) -> str:
        return f"{self.merchant.code} {localtime(self.period_start):%Y-%m-%d %H:%M}"


class Line(models.Model):
    """The claim of one transaction by one settlement, and what it adds to each figure."""

    tx = models.OneToOneField(
        "payments.Transaction",
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="settlement_line",
    )
    settlement = models.ForeignKey(
        Settlement, models.DO_NOTHING, related_name="lines", db_constraint=False, db_index=False
    )
    gross = models.DecimalField(_("payments"), max_digits=14, decimal_places=2)
    refund = models.DecimalField(_("refunds"), max_digits=14, decimal_places=2)
    cash_topup = models.DecimalField(_("cash top-ups"), max_digits=14, decimal_places=2)
    fee = models.DecimalField(_("fee"), max_digits=14, decimal_places=2)

    class Meta:
        verbose_name = _("settlement line")
        verbose_name_plural = _("settlement lines")

    def __str__(self) -> str:
        return f"{self.tx_id} in {self.settlement_id}"
