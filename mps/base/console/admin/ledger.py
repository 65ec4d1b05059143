"""Read-only console pages of the ledger."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from mps.base import console
from mps.base.console import Section
from mps.base.core.db_scope import Scope
from mps.base.ledger.models import Account, Entry, Posting

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@admin.register(Account)
class AccountAdmin(console.LogAdmin):
    """Where value is."""

    list_display = ("id", "kind", "unit", "balance", "created_at")
    list_filter = (("kind", ChoicesDropdownFilter), ("created_at", console.DayFilter))
    exact_search = ((_UUID, "id"),)
    search_fields = ("=unit",)
    search_help_text = _("Account ID or unit")
    fieldsets = ((None, {"fields": ("id", "kind", "unit", "balance", "created_at")}),)


@admin.register(Posting)
class PostingAdmin(console.LogAdmin):
    """What was posted."""

    list_display = ("id", "shown_kind", "reference", "posted_at")
    date_hierarchy = "posted_at"
    list_filter = (("posted_at", console.DayByIdFilter),)
    exact_search = ((_UUID, "reference"),)
    search_fields = ("=reference",)
    search_help_text = _("Object ID")
    fieldsets = ((None, {"fields": ("id", "shown_kind", "reference", "posted_at")}),)

    @console.shown(_("kind"))
    def shown_kind(self, posting: Posting) -> Any:
        """Show what it was for."""
        return posting.kind_label


@admin.register(Entry)
class EntryAdmin(console.Exported, console.LogAdmin):
    """Signed amounts on accounts."""

    export_fields = (
        "id",
        "posting__id",
        "posting__kind",
        "posting__posted_at",
        "account__id",
        "account__kind",
        "account__unit",
        "amount",
        "balance_after",
    )
    list_display = ("id", "account", "amount", "balance_after", "posted_at")
    list_select_related = ("account", "posting")
    date_hierarchy = "posting__posted_at"
    list_filter = (("posting__posted_at", console.DayByIdFilter),)
    exact_search = ((_UUID, "account_id"),)
    search_fields = ("=account_id",)
    search_help_text = _("Account ID")
    fieldsets = (
        (None, {"fields": ("id", "posting", "account", "amount", "balance_after", "posted_at")}),
    )

    @console.shown(_("posted at"))
    def posted_at(self, entry: Entry) -> str:
        """Show when."""
        return console.moment(entry.posting.posted_at)


def _of_account(scope: Scope, account: Account) -> Section:
    newest = account.entries.select_related("posting").order_by("-id")[: console.ROWS_SHOWN]
    return Section(
        _("Latest entries"),
        [_("Posting"), _("Amount"), _("Balance after"), _("Posted at")],
        [
            [
                console.link(entry.posting, entry.posting.kind_label),
                console.amount(entry.amount),
                console.amount(entry.balance_after),
                console.moment(entry.posting.posted_at),
            ]
            for entry in newest
        ],
    )


def _of_posting(scope: Scope, posting: Posting) -> Section:
    return Section(
        _("Entries"),
        [_("Account"), _("Unit"), _("Amount"), _("Balance after")],
        [
            [
                console.link(entry.account, entry.account.get_kind_display()),
                entry.account.unit,
                console.amount(entry.amount),
                console.amount(entry.balance_after),
            ]
            for entry in posting.entries.select_related("account").order_by("id")
        ],
    )


console.add_sections(Account, _of_account)
console.add_sections(Posting, _of_posting)
