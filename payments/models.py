"""Models of transactions, and of the registries that make each happen only once."""

from decimal import Decimal

from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId


class Transaction(models.Model):
    """A business event: payment, refund, recharge, adjustment or cash-out.

    Amounts and references never change; a trigger sees to it. Status and the refund totals move
    forward only.
    """

    class Type(models.TextChoices):
        PAYMENT = "payment", _("payment")
        REFUND = "refund", _("refund")
        RECHARGE = "recharge", _("top-up")
        ADJUSTMENT = "adjustment", _("adjustment")
        CASH_OUT = "cash_out", _("cash-out")

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        REFUNDED = "refunded", _("refunded")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    tx_no = models.CharField(_("number"), max_length=20)
    type = models.CharField(_("type"), max_length=12, choices=Type.choices)
    status = models.CharField(_("status"), max_length=12, choices=Status.choices)
    failure_code = models.CharField(_("failure"), max_length=60, default="", blank=True)
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    terminal = models.ForeignKey(
        "merchants.Terminal",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    card = models.ForeignKey(
        "cards.Card", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    # As it was and is; whoever may see the transaction need not see the card.
    card_no = models.CharField(_("card"), max_length=14)
    member = models.ForeignKey(
        "members.Member", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    discount_rate = models.DecimalField(
        _("discount rate"), max_digits=5, decimal_places=4, default=Decimal(1)
    )
    discount_amount = models.DecimalField(
        _("discount"), max_digits=14, decimal_places=2, default=Decimal(0)
    )
    final_amount = models.DecimalField(_("final amount"), max_digits=14, decimal_places=2)
    points = models.IntegerField(_("points"), default=0)
    fee = models.DecimalField(_("fee"), max_digits=14, decimal_places=2, default=Decimal(0))
    tier = models.CharField(_("tier"), max_length=20, default="", blank=True)
    balance_after = models.DecimalField(
        _("balance after"), max_digits=14, decimal_places=2, null=True
    )
    payment_method = models.CharField(_("payment method"), max_length=20, default="", blank=True)
    external_order_id = models.CharField(_("order"), max_length=64, default="", blank=True)
    original = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        related_name="refunds",
        db_constraint=False,
        db_index=False,
    )
    voucher_card = models.ForeignKey(
        "cards.Card",
        models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    credited_to = models.CharField(_("credited to"), max_length=10, default="", blank=True)
    reason = models.CharField(_("reason"), max_length=200, default="", blank=True)
    tag = models.JSONField(_("tag"), default=dict, blank=True)
    refunded_total = models.DecimalField(
        _("refunded"), max_digits=14, decimal_places=2, default=Decimal(0)
    )
    refunded_points = models.IntegerField(_("points taken back"), default=0)
    refunded_fee = models.DecimalField(
        _("fee given back"), max_digits=14, decimal_places=2, default=Decimal(0)
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")

    def __str__(self) -> str:
        return self.tx_no


class Consent(models.Model):
    """A payment that waits for its member's word, or did."""

    class State(models.TextChoices):
        AWAITING = "awaiting", _("awaiting")
        APPROVED = "approved", _("approved")
        CLOSED = "closed", _("closed")

    id = models.UUIDField(primary_key=True, editable=False)
    merchant = models.ForeignKey(
        "merchants.Merchant", models.DO_NOTHING, related_name="+", db_constraint=False
    )
    terminal_id = models.UUIDField(null=True)
    key = models.CharField(max_length=255)
    request_hash = models.BinaryField(max_length=32)
    card = models.ForeignKey(
        "cards.Card", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    card_no = models.CharField(_("card"), max_length=14)
    member = models.ForeignKey(
        "members.Member", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    voucher_card_id = models.UUIDField(null=True)
    voucher_member_id = models.UUIDField(null=True)
    external_order_id = models.CharField(_("order"), max_length=64)
    payment_method = models.CharField(_("payment method"), max_length=20)
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    final_amount = models.DecimalField(_("final amount"), max_digits=14, decimal_places=2)
    tag = models.JSONField(_("tag"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    created_at = models.DateTimeField(_("asked at"))
    expires_at = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("payment approval")
        verbose_name_plural = _("payment approvals")

    def __str__(self) -> str:
        return f"{self.final_amount} {self.currency}"


class Idempotency(models.Model):
    """The answer given to (principal, key), to be given again."""

    pk = models.CompositePrimaryKey("scope_id", "key")
    scope_id = models.UUIDField()
    key = models.CharField(max_length=255)
    request_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class Order(models.Model):
    """A merchant's order: its one unfailed payment, or the fact that it was reversed."""

    pk = models.CompositePrimaryKey("merchant_id", "external_order_id")
    merchant_id = models.UUIDField()
    external_order_id = models.CharField(max_length=64)
    tx_id = models.UUIDField(null=True)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    reversed_at = models.DateTimeField(null=True)
    refund_tx_id = models.UUIDField(null=True)

    def __str__(self) -> str:
        return self.external_order_id


class ProviderOrder(models.Model):
    """A provider's order that was credited to a card, once."""

    pk = models.CompositePrimaryKey("provider", "provider_order_id")
    provider = models.CharField(max_length=30)
    provider_order_id = models.CharField(max_length=64)
    tx_id = models.UUIDField()
    card_id = models.UUIDField()
    amount = models.DecimalField(max_digits=14, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_order_id}"


class TopUp(models.Model):
    """What a member asked a provider to take for a card, and what came of it.

    Pending until the provider says; credited once, by the transaction it then names. There is no
    transaction before that: one that was closed unpaid could not be completed when the payment
    comes after all.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    order_id = models.CharField(_("order"), max_length=40)
    provider = models.CharField(_("provider"), max_length=20)
    card = models.ForeignKey(
        "cards.Card", models.PROTECT, related_name="+", db_index=False, verbose_name=_("card")
    )
    member = models.ForeignKey(
        "members.Member",
        models.PROTECT,
        related_name="+",
        db_index=False,
        verbose_name=_("member"),
    )
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    idempotency_key = models.CharField(max_length=255, editable=False)
    request_hash = models.BinaryField(max_length=32)
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, db_default=Status.PENDING
    )
    failure_code = models.CharField(_("failure"), max_length=60, db_default="", blank=True)
    reference = models.CharField(_("provider's order"), max_length=255, db_default="", blank=True)
    pay_url = models.CharField(max_length=4000, db_default="", blank=True, editable=False)
    payment_id = models.CharField(_("provider's payment"), max_length=64, db_default="", blank=True)
    paid_amount = models.DecimalField(_("paid"), max_digits=14, decimal_places=2, null=True)
    paid_currency = models.CharField(_("paid in"), max_length=3, db_default="", blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True)
    late = models.BooleanField(_("late"), db_default=False)
    tx_id = models.UUIDField(null=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=DatabaseNow(), editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    closed_at = models.DateTimeField(_("closed at"), null=True)

    class Meta:
        verbose_name = _("top-up")
        verbose_name_plural = _("top-ups")

    def __str__(self) -> str:
        return f"{self.provider} {self.order_id}"


class SandboxOrder(models.Model):
    """An order in the books of the sandbox, which plays a provider. Not ours to believe."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        PAID = "paid", _("paid")
        CANCELLED = "cancelled", _("cancelled")

    order_id = models.CharField(primary_key=True, max_length=40)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3)
    return_path = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status.choices, db_default=Status.OPEN)
    payment_id = models.CharField(max_length=64, db_default="")
    created_at = models.DateTimeField(db_default=DatabaseNow())
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.order_id
