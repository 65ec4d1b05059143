"""Forms of console actions."""

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.forms.widgets import Input
from django.utils.translation import gettext_lazy as _
from unfold import widgets

from mps.base.core import errors, money


class ActForm(forms.Form):
    """What an act asks for. Its token tells a double click from a second act."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, targets: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets
        self.fields["token"].initial = new_token()
        for each in self.fields.values():
            _dress(each)


class ReasonForm(ActForm):
    """Why it is done; the log keeps it."""

    reason = forms.CharField(label=_("Reason"), max_length=200)


class MoneyField(forms.CharField):
    """An amount of money, as strict as the API's."""

    def __init__(self, *, or_zero: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 20, **kwargs})
        self.or_zero = or_zero
        self.widget.attrs.update(inputmode="decimal", autocomplete="off")

    def clean(self, value: Any) -> Any:
        """Return the amount; empty where none is required."""
        text = super().clean(value)
        if not text and not self.required:
            return None
        try:
            return money.parse_amount(text, or_zero=self.or_zero)
        except errors.InvalidAmountError as error:
            raise forms.ValidationError(str(error.detail)) from None


class RateField(forms.DecimalField):
    """A factor, such as 0.95, with at most four decimals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{"min_value": Decimal(0), "max_value": Decimal(1), "decimal_places": 4, **kwargs}
        )
        self.widget.attrs.update(step="any")


class LimitsForm(ReasonForm):
    """What may be paid at once and in a day, as it is and as it is to be."""

    limit_per_payment = MoneyField(
        label=_("Limit per payment"), required=False, help_text=_("Leave blank for no limit.")
    )
    limit_per_day = MoneyField(
        label=_("Limit per day"), required=False, help_text=_("Leave blank for no limit.")
    )
    field_order = ("limit_per_payment", "limit_per_day", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for held in self.targets[:1]:
            self.initial.update(held.limits)


class MomentField(forms.DateTimeField):
    """A date and time in the platform's time zone."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})


_DRESS: tuple[tuple[type[forms.Widget], type[forms.Widget]], ...] = (
    (forms.PasswordInput, widgets.UnfoldAdminPasswordWidget),
    (forms.Textarea, widgets.UnfoldAdminTextareaWidget),
    (forms.Select, widgets.UnfoldAdminSelectWidget),
    (forms.CheckboxInput, widgets.UnfoldBooleanSwitchWidget),
    (Input, widgets.UnfoldAdminTextInputWidget),
)


def _dress(form_field: forms.Field) -> None:
    """Give a field the console's looks."""
    old = form_field.widget
    if isinstance(old, forms.HiddenInput):
        return
    new_class = next(new for plain, new in _DRESS if isinstance(old, plain))
    attrs = dict(old.attrs)
    kind = attrs.pop("type", getattr(old, "input_type", ""))
    new = new_class(attrs=attrs)
    if isinstance(new, Input):
        new.input_type = kind
    new.is_required = old.is_required
    form_field.widget = new
    if isinstance(form_field, forms.ChoiceField):
        new.choices = form_field.choices  # type: ignore[attr-defined]


def new_token() -> str:
    """Return a token for a form, which is also a sound idempotency key."""
    return uuid.uuid4().hex
