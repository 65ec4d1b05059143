"""Double entry:

Accounts, postings, entries. Read-only here; `ledger_post()` in the database is the writer.
"""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import NewId


class Account(models.Model):
    """A place where value is: a card's money or points, a merchant, the platform's own accounts."""

    class Kind(models.TextChoices):
        CARD_MONEY = "card_money", _("money on a card")
        CARD_POINTS = "card_points", _("points on a card")
        MERCHANT = "merchant", _("owed to a merchant")
        CLEARING = "clearing", _("money from and to outside")
        UNCLAIMED = "unclaimed", _("unclaimed refunds")
        POINTS_ISSUE = "points_issue", _("points issued")
        FEE = "fee", _("fees earned")
        ADJUSTMENT = "adjustment", _("adjustments")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    unit = models.CharField(_("unit"), max_length=3)
    balance = models.DecimalField(_("balance"), max_digits=14, decimal_places=2, null=True)
    created_at = models.DateTimeField(_("opened at"))

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.unit} {self.id}"


_POSTINGS = {
    "payment": _("payment"),
    "refund": _("refund"),
    "recharge": _("top-up"),
    "adjustment": _("adjustment"),
    "cash_out": _("cash-out"),
    "settlement": _("settlement"),
    "payout": _("payout"),
}


class Posting(models.Model):
    """One thing that happened, as a set of entries that sum to zero per unit."""

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    kind = models.CharField(_("kind"), max_length=20)
    reference = models.UUIDField(_("reference"))
    posted_at = models.DateTimeField(_("posted at"))

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")

    def __str__(self) -> str:
        return f"{self.kind_label} {self.id}"

    @property
    def kind_label(self) -> Any:
        """The kind in the reader's language, where it has a name."""
        return _POSTINGS.get(self.kind, self.kind)


class Entry(models.Model):
    """A signed amount on an account, with the balance after it where the account keeps one."""

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    posting = models.ForeignKey(
        Posting, models.DO_NOTHING, related_name="entries", db_constraint=False
    )
    account = models.ForeignKey(
        Account, models.DO_NOTHING, related_name="entries", db_constraint=False
    )
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    balance_after = models.DecimalField(
        _("balance after"), max_digits=14, decimal_places=2, null=True
    )

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")

    def __str__(self) -> str:
        return f"{self.amount:,.2f}"
