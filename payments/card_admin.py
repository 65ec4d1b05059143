"""Payment sections on the console's pages of cards: add and deduct money and points."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from cards.models import Card
from mps.base import console
from mps.base.console import Act, Done
from mps.base.core import problems
from payments import cash_outs, charge_decision, points, topups

_STAFF_KEYS = uuid.UUID("3d0f5a52-6c0e-4a55-9a39-5f7c1b2f8f10")


class TopUpForm(console.ActForm):
    """Money that was received for a card."""

    amount = console.MoneyField(label=_("Amount"))
    payment_method = forms.ChoiceField(
        label=_("Received via"),
        choices=[*charge_decision.OUTSIDE_METHODS.items(), ("bank", _("Bank transfer"))],
    )
    provider_order_id = forms.RegexField(
        label=_("Provider order number"),
        regex=r"\A[A-Za-z0-9._:-]{1,64}\Z",
        max_length=64,
        required=False,
        help_text=_("Each order is credited only once. Leave blank if there is none."),
    )
    reason = forms.CharField(label=_("Note"), max_length=200, required=False)


class CashOutForm(console.ActForm):
    """Money that was paid out."""

    amount = console.MoneyField(label=_("Amount"))
    reason = forms.CharField(label=_("Reason"), max_length=200)


class PointsForm(console.ActForm):
    """Points to add or take."""

    delta_points = forms.IntegerField(
        label=_("Points"), help_text=_("50 adds fifty, -50 deducts fifty.")
    )
    reason = forms.CharField(label=_("Reason"), max_length=200)


def _top_up(card: Card, values: dict[str, Any], staff: Any) -> Done:
    answer = topups.recharge_card(
        card_id=card.id,
        amount=values["amount"],
        scope_id=uuid.uuid5(_STAFF_KEYS, f"staff:{staff.pk}"),
        idempotency_key=values["token"],
        payment_method=values["payment_method"],
        provider_order_id=values["provider_order_id"],
        reason=values["reason"],
    )
    if answer.refused:
        title = problems.in_readers_language(answer.body)["title"]
        return Done(text=f"{card}: {title}", refused=True)
    return Done(
        text=_("%(card)s: %(amount)s credited as %(number)s.")
        % {"card": card, "amount": answer.body["amount"], "number": answer.body["tx_no"]}
    )


def _cash_out(card: Card, values: dict[str, Any], staff: Any) -> Done:
    answer = cash_outs.cash_out_card(
        card_id=card.id,
        amount=values["amount"],
        scope_id=uuid.uuid5(_STAFF_KEYS, f"staff:{staff.pk}"),
        idempotency_key=values["token"],
        reason=values["reason"],
    )
    return Done(
        text=_("%(card)s: %(amount)s paid out as %(number)s.")
        % {"card": card, "amount": answer.body["amount"], "number": answer.body["tx_no"]}
    )


def _adjust_points(card: Card, values: dict[str, Any], staff: Any) -> Done:
    done = points.adjust_points(
        card_id=card.id, delta=values["delta_points"], reason=values["reason"]
    )
    return Done(
        text=_("%(card)s: points changed by %(delta)s, as %(number)s.")
        % {"card": card, "delta": f"{values['delta_points']:+}", "number": done.tx_no}
    )


console.add_acts(
    Card,
    Act(
        name="top-up",
        label=_("Top up"),
        explanation=_("Credits money you have received to this card immediately:"),
        run=_top_up,
        four_eyes=console.above_amount,
        form=TopUpForm,
        offered=lambda card: card.type.may_be_topped_up and card.status == Card.Status.ACTIVE,
        replays=True,
        icon="add",
        group=_("Balance and points"),
    ),
    Act(
        name="cash-out",
        label=_("Pay out"),
        explanation=_("Records that money on this card was paid out to its owner:"),
        run=_cash_out,
        four_eyes=console.above_amount,
        form=CashOutForm,
        offered=lambda card: card.money_account_id is not None,
        replays=True,
        icon="payments",
        group=_("Balance and points"),
    ),
    Act(
        name="adjust-points",
        label=_("Adjust points"),
        explanation=_("Adds or deducts points on this card. Its tier is updated immediately:"),
        run=_adjust_points,
        four_eyes=console.above_points,
        form=PointsForm,
        offered=lambda card: card.points_account_id is not None,
        icon="stars",
        group=_("Balance and points"),
    ),
)
