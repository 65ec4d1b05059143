"""Console pages of cards: balances, bindings and staff actions."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import CharField, F, Func, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant

from cards import binding_passwords, card_limits, card_status, sharing
from cards.models import Binding, Card, CardType, Voucher
from members.models import Member
from merchants.models import Merchant
from mps.base import console
from mps.base.console import Act, Done, Section
from mps.base.core.db_scope import Scope

STATUS_COLOURS = {
    "active": "success",
    "frozen": "info",
    "lost": "danger",
    "suspended": "danger",
    "expired": "warning",
    "closed": "warning",
}

CARD_NUMBER = r"(STD|PPD|COR|VCH)[0-9]{8,11}"

MEMBER_NUMBER = r"M[0-9]{8,11}"


def with_tier(cards: QuerySet[Card]) -> QuerySet[Any]:
    """Return the cards with the code of their tier, as the database derives it from the points."""
    return cards.annotate(
        tier_code=Func(
            F("points_account__balance"), function="cards_tier_code", output_field=CharField()
        )
    )


@admin.register(Card)
class CardAdmin(console.Exported, console.ConsoleAdmin):
    """Cards of all types. Type, number, owner and accounts never change."""

    export_fields = (
        "number",
        "card_type",
        "status",
        "owner__number",
        "name",
        "fixed_discount",
        "money_account__balance",
        "points_account__balance",
        "expires_at",
        "created_at",
    )
    list_display = (
        "number",
        "shown_owner",
        "card_type",
        "shown_status",
        "balance",
        "points",
        "tier",
        "expires_at",
        "created_at",
    )
    list_select_related = ("owner", "money_account", "points_account")
    list_filter = (
        ("card_type", ChoicesDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("created_at", console.DayFilter),
        ("expires_at", console.DayFilter),
    )
    ordering = ("-number",)
    search_fields = ("name", "owner__name")
    search_help_text = _("Card number, member number or phone, or part of the name")
    exact_search = (
        (CARD_NUMBER, "number"),
        (MEMBER_NUMBER, "owner__number"),
        (r"\+?[0-9]{6,15}", "owner__phone"),
    )
    history_fields: ClassVar[tuple[str, ...]] = ("number",)
    editable: ClassVar[tuple[str, ...]] = ("name", "fixed_discount", "expires_at")
    fieldsets = (
        (None, {"fields": ("number", "card_type", "shown_owner", "name")}),
        (_("Balance and points"), {"fields": ("balance", "points", "tier", "fixed_discount")}),
        (
            _("Status"),
            {
                "fields": (
                    "shown_status",
                    "status_reason",
                    "locked_by_member",
                    "expires_at",
                    "created_at",
                )
            },
        ),
        (_("Limits"), {"fields": ("limit_per_payment", "limit_per_day")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Card]:
        """Return cards with what is on them at hand."""
        cards = super().get_queryset(request)
        return with_tier(cards.select_related("owner", "money_account", "points_account"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what may not be changed; a voucher card has no fixed discount."""
        fixed = list(super().get_readonly_fields(request, obj))
        if obj is not None and not obj.type.may_be_shared:
            fixed.append("fixed_discount")
        return fixed

    @console.shown(_("owner"), ordering="owner__number")
    def shown_owner(self, card: Card) -> Any:
        """Show whose card it is."""
        return console.link(card.owner)

    @console.shown(_("status"), ordering="status")
    def shown_status(self, card: Card) -> Any:
        """Show the status in its colour."""
        return console.badge(card.status, card.get_status_display(), STATUS_COLOURS)

    @console.shown(_("balance"), figures=True)
    def balance(self, card: Card) -> str:
        """Show the money on it."""
        return console.amount(card.money_account.balance if card.money_account else None)

    @console.shown(_("points"), figures=True)
    def points(self, card: Card) -> str:
        """Show the points on it."""
        return console.whole(card.points_account.balance if card.points_account else None)

    @console.shown(_("tier"))
    def tier(self, card: Any) -> str:
        """Show the tier its points make."""
        return card.tier_code or "–"


class MemberForm(console.ActForm):
    """A member, by number."""

    member = forms.CharField(
        label=_("Member number"), max_length=12, help_text=_("For example, M00000001.")
    )

    def clean_member(self) -> Member:
        """Return the member."""
        number = self.cleaned_data["member"].strip().upper()
        member = Member.objects.filter(number=number).first()
        if member is None:
            raise forms.ValidationError(_("There is no member with this number."))
        return member


class BindForm(MemberForm):
    """A member and what they may do with the card."""

    role = forms.ChoiceField(
        label=_("Role"), choices=Binding.Role.choices, initial=Binding.Role.MEMBER
    )


class BindingPasswordForm(console.ActForm):
    """A new binding password."""

    password = forms.CharField(
        label=_("Binding password"),
        min_length=binding_passwords.MIN_BINDING_PASSWORD,
        max_length=128,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Leave blank to remove the password."),
    )


def _bind(card: Card, values: dict[str, Any], staff: Any) -> Done:
    sharing.bind_member(card_id=card.id, member_id=values["member"].id, role=values["role"])
    return Done(
        text=_("%(member)s was added to %(card)s.") % {"member": values["member"], "card": card}
    )


def _unbind(card: Card, values: dict[str, Any], staff: Any) -> Done:
    sharing.unbind_member(card_id=card.id, member_id=values["member"].id)
    return Done(
        text=_("%(member)s was removed from %(card)s.") % {"member": values["member"], "card": card}
    )


def _is_shared(card: Card) -> bool:
    return card.type.may_be_shared


console.add_acts(
    Card,
    Act(
        name="freeze",
        label=_("Freeze"),
        explanation=_("These cards can no longer pay, starting now. Their balance is kept:"),
        run=console.calling(card_status.freeze_card, "card_id", _("%(name)s was frozen.")),
        bulk=True,
        offered=lambda card: card.status == Card.Status.ACTIVE,
        icon="ac_unit",
        variant=ActionVariant.DANGER,
    ),
    Act(
        name="unfreeze",
        label=_("Unfreeze"),
        explanation=_("These cards can pay again:"),
        run=console.calling(card_status.unfreeze_card, "card_id", _("%(name)s was activated.")),
        four_eyes=console.always,
        bulk=True,
        offered=lambda card: card.status == Card.Status.FROZEN,
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    Act(
        name="lost",
        label=_("Mark as lost"),
        explanation=_(
            "These cards can no longer pay, and their payment codes become invalid, starting now:"
        ),
        run=console.calling(
            card_status.mark_card_lost, "card_id", _("%(name)s was marked as lost.")
        ),
        bulk=True,
        offered=lambda card: card.status in card_status.STOPPABLE - {Card.Status.LOST},
        icon="report",
        group=_("Risk"),
    ),
    Act(
        name="suspend",
        label=_("Suspend"),
        explanation=_(
            "These cards can no longer pay, and their payment codes become invalid, starting now:"
        ),
        run=console.calling(card_status.suspend_card, "card_id", _("%(name)s was suspended.")),
        bulk=True,
        offered=lambda card: card.status in card_status.STOPPABLE - {Card.Status.SUSPENDED},
        icon="gpp_bad",
        group=_("Risk"),
    ),
    Act(
        name="activate",
        label=_("Activate"),
        explanation=_("These lost or suspended cards can pay again:"),
        run=console.calling(card_status.activate_card, "card_id", _("%(name)s was activated.")),
        # Else whoever may not unfreeze alone would suspend the card and activate it.
        four_eyes=console.always,
        bulk=True,
        offered=lambda card: card.status in {Card.Status.LOST, Card.Status.SUSPENDED},
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    console.limiting(
        card_limits.set_card_limits,
        "card_id",
        _("Limits what anyone can pay with this card, from the next payment on:"),
        _("Risk"),
    ),
    Act(
        name="close",
        label=_("Close permanently"),
        explanation=_("Closes this card permanently. Pay out its balance first:"),
        run=console.calling(card_status.close_card, "card_id", _("%(name)s was closed.")),
        offered=lambda card: card.status != Card.Status.CLOSED,
        icon="block",
        variant=ActionVariant.DANGER,
        group=_("Risk"),
    ),
    Act(
        name="bind",
        label=_("Add a member"),
        explanation=_("Lets a member use this card, in the role you choose:"),
        run=_bind,
        form=BindForm,
        offered=_is_shared,
        icon="person_add",
        group=_("Sharing"),
    ),
    Act(
        name="unbind",
        label=_("Remove a member"),
        explanation=_(
            "Removes a member from this card. Their payment code for it "
            "becomes invalid immediately:"
        ),
        run=_unbind,
        form=MemberForm,
        offered=_is_shared,
        icon="person_remove",
        group=_("Sharing"),
    ),
    Act(
        name="binding-password",
        label=_("Set binding password"),
        explanation=_("Sets the password that members use to join this card. It is never shown:"),
        run=console.calling(
            binding_passwords.set_binding_password,
            "card_id",
            _("The binding password of %(name)s was saved."),
        ),
        form=BindingPasswordForm,
        offered=_is_shared,
        icon="key",
        group=_("Sharing"),
    ),
)


def _voucher(scope: Scope, card: Card) -> Section | None:
    if card.card_type != CardType.VOUCHER:
        return None
    voucher = Voucher.objects.filter(card=card).first()
    if voucher is None:
        return None
    codes = Merchant.objects.filter(id__in=voucher.merchant_ids).values_list("code", flat=True)
    return Section(
        _("Voucher"),
        [_("Kind"), _("Value"), _("Minimum spend"), _("Valid at"), _("Used")],
        [
            [
                voucher.get_kind_display(),
                console.amount(voucher.value),
                console.amount(voucher.min_spend),
                ", ".join(codes) or _("everywhere"),
                _("yes") if voucher.used_by_tx_id else _("no"),
            ]
        ],
    )


def _bindings(scope: Scope, card: Card) -> Section:
    bindings = card.bindings.select_related("member").order_by("created_at")
    return Section(
        _("Who can use it"),
        [
            _("Member"),
            _("Role"),
            _("Status"),
            _("Limit per payment"),
            _("Limit per day"),
            _("Bound at"),
        ],
        [
            [
                console.link(each.member),
                console.link(each, each.get_role_display()),
                each.member.get_status_display(),
                console.amount(each.limit_per_payment),
                console.amount(each.limit_per_day),
                console.moment(each.created_at),
            ]
            for each in bindings[:100]
        ],
    )


console.add_sections(Card, _voucher, _bindings)
