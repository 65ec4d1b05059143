"""Card sections on the console's pages of members: issue cards, and list a member's cards."""

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cards import (
    binding_passwords,
    card_admin,
    issuing,
    vouchers,
)
from cards.models import Binding, Card, CardType, Voucher
from members.models import Member
from merchants.models import Merchant
from mps.base import console
from mps.base.console import Act, Done, Section
from mps.base.core.db_scope import Scope


class OwnerForm(console.ActForm):
    """What a shared card is issued with."""

    name = forms.CharField(label=_("Name on the card"), max_length=80, required=False)
    fixed_discount = console.RateField(
        label=_("Fixed discount"),
        required=False,
        help_text=_("0.95 means 100.00 costs 95.00. Leave blank for the tier discount, if any."),
    )
    binding_password = forms.CharField(
        label=_("Binding password"),
        min_length=binding_passwords.MIN_BINDING_PASSWORD,
        max_length=128,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Lets members join this card. Leave blank to allow invitations only."),
    )
    expires_at = console.MomentField(label=_("Expires at"), required=False)


class VoucherForm(console.ActForm):
    """What a voucher is good for."""

    kind = forms.ChoiceField(label=_("Kind"), choices=Voucher.Kind.choices)
    value = console.MoneyField(label=_("Value"), help_text=_("20 means 20 % off, or 20.00 off."))
    min_spend = console.MoneyField(
        label=_("Minimum spend"),
        required=False,
        help_text=_("Before discount. Leave blank for none."),
    )
    expires_at = console.MomentField(label=_("Expires at"), required=False)
    merchants = forms.CharField(
        label=_("Merchant codes"),
        max_length=1000,
        required=False,
        help_text=_("Where it can be used, separated by commas. Leave blank for all merchants."),
    )

    def clean_merchants(self) -> list[Any]:
        """Return the merchants' ids."""
        codes = {code.strip() for code in self.cleaned_data["merchants"].split(",")} - {""}
        found = dict(Merchant.objects.filter(code__in=codes).values_list("code", "id"))
        if missing := sorted(codes - set(found)):
            raise forms.ValidationError(
                _("Merchant not found: %(codes)s.") % {"codes": ", ".join(missing)}
            )
        return list(found.values())


def _issue(card_type: str, member: Member, values: dict[str, Any]) -> Done:
    card = issuing.issue_shared_card(
        card_type=card_type,
        owner_id=member.id,
        name=values["name"],
        fixed_discount=values["fixed_discount"],
        binding_password=values["binding_password"],
        expires_at=values["expires_at"],
    )
    return Done(text=_("%(card)s was issued.") % {"card": card}, show=card)


def _issue_prepaid(member: Member, values: dict[str, Any], staff: Any) -> Done:
    return _issue(CardType.PREPAID, member, values)


def _issue_corporate(member: Member, values: dict[str, Any], staff: Any) -> Done:
    return _issue(CardType.CORPORATE, member, values)


def _issue_voucher(member: Member, values: dict[str, Any], staff: Any) -> Done:
    card = vouchers.issue_voucher_card(
        owner_id=member.id,
        kind=values["kind"],
        value=values["value"],
        min_spend=values["min_spend"] or Decimal(0),
        expires_at=values["expires_at"],
        merchant_ids=values["merchants"],
    )
    return Done(text=_("%(card)s was issued.") % {"card": card}, show=card)


console.add_acts(
    Member,
    Act(
        name="issue-prepaid",
        label=_("Issue a prepaid card"),
        explanation=_("Issues a prepaid card with a zero balance to this member:"),
        run=_issue_prepaid,
        form=OwnerForm,
        icon="add_card",
        group=_("Issue a card"),
    ),
    Act(
        name="issue-corporate",
        label=_("Issue a corporate card"),
        explanation=_("Issues a corporate card with a zero balance to this member:"),
        run=_issue_corporate,
        form=OwnerForm,
        icon="business_center",
        group=_("Issue a card"),
    ),
    Act(
        name="issue-voucher",
        label=_("Issue a voucher"),
        explanation=_("Issues a voucher that this member can use once:"),
        run=_issue_voucher,
        form=VoucherForm,
        icon="redeem",
        group=_("Issue a card"),
    ),
)


def _cards(scope: Scope, member: Member) -> Section:
    cards = card_admin.with_tier(
        Card.objects.filter(bindings__member=member)
        .select_related("money_account", "points_account")
        .annotate(role=F("bindings__role"))
    )
    roles = dict(Binding.Role.choices)
    return Section(
        _("Cards"),
        [_("Number"), _("Type"), _("Role"), _("Status"), _("Balance"), _("Points"), _("Tier")],
        [
            [
                console.link(card),
                card.get_card_type_display(),
                roles.get(card.role, card.role),
                console.badge(card.status, card.get_status_display(), card_admin.STATUS_COLOURS),
                console.amount(card.money_account.balance if card.money_account else None),
                console.whole(card.points_account.balance if card.points_account else None),
                card.tier_code or "–",
            ]
            for card in cards.order_by("created_at")[:100]
        ],
    )


def _shared(scope: Scope, member: Member) -> Section:
    """Whom a member shares cards with: on their own cards, and on those of others."""
    bindings = (
        Binding.objects.filter(Q(member=member) | Q(card__owner=member))
        .select_related("card", "member")
        .order_by("card__created_at", "created_at")
    )
    return Section(
        _("Bindings"),
        [
            _("Card"),
            _("Member"),
            _("Role"),
            _("Limit per payment"),
            _("Limit per day"),
            _("Bound at"),
        ],
        [
            [
                console.link(each.card),
                console.link(each.member),
                console.link(each, each.get_role_display()),
                console.amount(each.limit_per_payment),
                console.amount(each.limit_per_day),
                console.moment(each.created_at),
            ]
            for each in bindings[:100]
        ],
    )


console.add_sections(Member, _cards, _shared)
