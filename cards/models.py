"""Models of cards, bindings, tiers, vouchers and payment codes."""

import uuid
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cards.errors import CardExpiredError, CardNotActiveError
from mps.base.core.database import DatabaseNow, NewId
from mps.base.core.errors import MpsError
from mps.base.core.spending_limits import Limited

RATE = [MinValueValidator(Decimal("0.0001")), MaxValueValidator(Decimal(1))]


class CardType(models.TextChoices):
    """What kind of card; also the letters its number starts with."""

    STANDARD = "STD", _("standard")
    PREPAID = "PPD", _("prepaid")
    CORPORATE = "COR", _("corporate")
    VOUCHER = "VCH", _("voucher")

    @property
    def holds_money(self) -> bool:
        """Whether such a card pays by its own balance, and by nothing else."""
        return self in {CardType.PREPAID, CardType.CORPORATE}

    @property
    def may_be_topped_up(self) -> bool:
        """Whether money may be put on such a card."""
        return self.holds_money

    @property
    def may_be_shared(self) -> bool:
        """Whether other members may be bound to such a card, and it may bring its own discount."""
        return self.holds_money

    @property
    def earns_points(self) -> bool:
        """Whether such a card has points, and so a tier."""
        return self in {CardType.STANDARD, CardType.PREPAID}


# As text too, for what a caller named and for the database.
SHAREABLE_TYPES = tuple(each for each in CardType if each.may_be_shared)


class Tier(models.Model):
    """A membership level: from so many points on, prices are multiplied by this rate."""

    code = models.CharField(_("code"), max_length=20, unique=True)
    name = models.CharField(_("name"), max_length=40)
    level = models.PositiveSmallIntegerField(_("level"), unique=True)
    min_points = models.PositiveIntegerField(_("from points"), unique=True)
    rate = models.DecimalField(_("rate"), max_digits=5, decimal_places=4, validators=RATE)

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rate__gt=0, rate__lte=1), name="cards_tier_rate_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Card(Limited):
    """A card of one of the four types. Its money and points are ledger accounts."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        FROZEN = "frozen", _("frozen")
        LOST = "lost", _("lost")
        EXPIRED = "expired", _("expired")
        SUSPENDED = "suspended", _("suspended")
        CLOSED = "closed", _("closed")

        def refusal(self, *, is_past: bool) -> MpsError | None:
            """Return why a card of this status may not act now; None if it may.

            `is_past`: the card's own time is over.
            """
            if self == Card.Status.EXPIRED or is_past:
                return CardExpiredError()
            return None if self == Card.Status.ACTIVE else CardNotActiveError()

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(_("card number"), max_length=14, unique=True)
    card_type = models.CharField(_("type"), max_length=3, choices=CardType.choices)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE
    )
    status_reason = models.CharField(_("reason of the status"), max_length=200, blank=True)
    # A member unlocks what the member locked, never what staff froze.
    locked_by_member = models.BooleanField(_("locked by a member"), default=False)
    owner = models.ForeignKey(
        "members.Member", models.PROTECT, related_name="owned_cards", verbose_name=_("owner")
    )
    name = models.CharField(_("name"), max_length=80, blank=True)
    fixed_discount = models.DecimalField(
        _("fixed discount"),
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        validators=RATE,
        help_text=_("0.95 makes 100.00 cost 95.00; empty: by tier."),
    )
    binding_password = models.CharField(
        _("binding password"), max_length=128, blank=True, editable=False
    )
    money_account = models.OneToOneField(
        "ledger.Account",
        models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("money account"),
    )
    points_account = models.OneToOneField(
        "ledger.Account",
        models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("points account"),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    created_at = models.DateTimeField(_("issued at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("card")
        verbose_name_plural = _("cards")
        constraints = [
            models.UniqueConstraint(
                fields=["owner"],
                condition=models.Q(card_type="STD"),
                name="cards_card_one_standard_per_member",
            ),
            models.CheckConstraint(
                condition=models.Q(card_type__in=["STD", "PPD", "COR", "VCH"]),
                name="cards_card_type_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(number__regex=r"^(STD|PPD|COR|VCH)[0-9]{8,}$"),
                name="cards_card_number_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["active", "frozen", "lost", "expired", "suspended", "closed"]
                ),
                name="cards_card_status_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(fixed_discount=None)
                | models.Q(fixed_discount__gt=0, fixed_discount__lte=1),
                name="cards_card_fixed_discount_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(card_type__in=["PPD", "COR"], money_account__isnull=False)
                | models.Q(card_type__in=["STD", "VCH"], money_account__isnull=True),
                name="cards_card_money_account_by_type",
            ),
            models.CheckConstraint(
                condition=models.Q(card_type__in=["STD", "PPD"], points_account__isnull=False)
                | models.Q(card_type__in=["COR", "VCH"], points_account__isnull=True),
                name="cards_card_points_account_by_type",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    def refusal(self, *, is_past: bool) -> MpsError | None:
        """Return why it may not act now; None if it may. `is_past`: its time is over."""
        return Card.Status(self.status).refusal(is_past=is_past)

    @property
    def type(self) -> CardType:
        """Return its type, which says what it may."""
        return CardType(self.card_type)


class Binding(Limited):
    """What a member may do with a card. The owner is bound too."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        ADMIN = "admin", _("admin")
        MEMBER = "member", _("member")
        VIEWER = "viewer", _("viewer")

        @property
        def may_pay(self) -> bool:
            """Whether they get payment codes and pay; a viewer looks on."""
            return self != Binding.Role.VIEWER

        @property
        def may_top_up(self) -> bool:
            """Whether they put money on the card themselves."""
            return self in {Binding.Role.OWNER, Binding.Role.ADMIN}

        @property
        def may_manage(self) -> bool:
            """Whether they invite, change and remove others, lock the card and unlock it."""
            return self in {Binding.Role.OWNER, Binding.Role.ADMIN}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    card = models.ForeignKey(Card, models.PROTECT, related_name="bindings", verbose_name=_("card"))
    member = models.ForeignKey(
        "members.Member", models.PROTECT, related_name="bindings", verbose_name=_("member")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(_("bound at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("binding")
        verbose_name_plural = _("bindings")
        constraints = [
            models.UniqueConstraint(fields=["card", "member"], name="cards_binding_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "member", "viewer"]),
                name="cards_binding_role_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} {self.role} of {self.card_id}"

    @property
    def rights(self) -> Role:
        """Return its role, which says what the member may."""
        return Binding.Role(self.role)


# As text too, for the database.
PAYING_ROLES = tuple(role for role in Binding.Role if role.may_pay)


class FormerBinding(Limited):
    """What somebody who has left a card was held to. It holds again if they join by its password:
    nobody leaves to be rid of a limit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    card = models.ForeignKey(Card, models.PROTECT, related_name="+", verbose_name=_("card"))
    member = models.ForeignKey(
        "members.Member", models.PROTECT, related_name="+", verbose_name=_("member")
    )
    role = models.CharField(_("role"), max_length=10, choices=Binding.Role.choices)

    class Meta:
        verbose_name = _("former binding")
        verbose_name_plural = _("former bindings")
        constraints = [
            models.UniqueConstraint(fields=["card", "member"], name="cards_formerbinding_once"),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} was {self.role} of {self.card_id}"


class Voucher(models.Model):
    """What a voucher card is good for, and the payment that used it."""

    class Kind(models.TextChoices):
        PERCENT = "percent", _("percent off")
        AMOUNT = "amount", _("amount off")

    card = models.OneToOneField(
        Card, models.PROTECT, primary_key=True, related_name="voucher", verbose_name=_("card")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    value = models.DecimalField(_("value"), max_digits=14, decimal_places=2)
    min_spend = models.DecimalField(
        _("minimum spend"), max_digits=14, decimal_places=2, default=Decimal(0)
    )
    # Empty: at every merchant.
    merchant_ids = ArrayField(
        models.UUIDField(), default=list, blank=True, verbose_name=_("merchants")
    )
    used_by_tx_id = models.UUIDField(_("used by"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("voucher")
        verbose_name_plural = _("vouchers")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="percent", value__gt=0, value__lte=100)
                | models.Q(kind="amount", value__gt=0),
                name="cards_voucher_value_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(min_spend__gte=0), name="cards_voucher_min_spend_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.value} {self.get_kind_display()}"


class PaymentCode(models.Model):
    """The latest code of a member for a card.

    The digits are an HMAC of the nonce; they are not here.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    card = models.ForeignKey(Card, models.PROTECT, related_name="codes", verbose_name=_("card"))
    member = models.ForeignKey(
        "members.Member", models.PROTECT, related_name="codes", verbose_name=_("member")
    )
    nonce = models.BinaryField(max_length=16)
    key_id = models.CharField(_("key"), max_length=20)
    code_hash = models.BinaryField(max_length=32, unique=True)
    issued_at = models.DateTimeField(_("issued at"))
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    outcome = models.CharField(_("outcome"), max_length=10, default="", blank=True)

    class Meta:
        verbose_name = _("payment code")
        verbose_name_plural = _("payment codes")
        constraints = [
            models.UniqueConstraint(
                fields=["card", "member"], name="cards_paymentcode_one_per_card_and_member"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, outcome="")
                | models.Q(ended_at__isnull=False, outcome__in=["used", "revoked"]),
                name="cards_paymentcode_outcome_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {localtime(self.issued_at):%F %T}"


class CodeHistory(models.Model):
    """A code that is gone: replaced by its successor, after it was used, revoked, or ran out."""

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    card = models.ForeignKey(Card, models.DO_NOTHING, related_name="+", db_constraint=False)
    member = models.ForeignKey(
        "members.Member", models.DO_NOTHING, related_name="+", db_constraint=False
    )
    code_hash = models.BinaryField(max_length=32)
    issued_at = models.DateTimeField(_("issued at"))
    expires_at = models.DateTimeField(_("expired at"))
    ended_at = models.DateTimeField(_("ended at"))
    outcome = models.CharField(_("outcome"), max_length=10)

    class Meta:
        verbose_name = _("past payment code")
        verbose_name_plural = _("past payment codes")

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {localtime(self.ended_at):%F %T}"
