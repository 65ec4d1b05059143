"""Limits per payment and per day, as a card, a binding, a member and a merchant may carry them."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.db_scope import Scope
from mps.base.core.errors import InvalidRequestError
from mps.base.core.money import is_exact, show_money


class Limited(models.Model):
    """What may be paid at once, and in a day of the installation's time zone. NULL: no limit."""

    limit_per_payment = models.DecimalField(
        _("limit per payment"), max_digits=14, decimal_places=2, null=True, blank=True
    )
    limit_per_day = models.DecimalField(
        _("limit per day"), max_digits=14, decimal_places=2, null=True, blank=True
    )

    class Meta:
        abstract = True

    @property
    def limits(self) -> dict[str, str | None]:
        """The limits as the log keeps them."""
        return {
            name: None if (limit := getattr(self, name)) is None else show_money(limit)
            for name in ("limit_per_payment", "limit_per_day")
        }


def write_limits(scope: Scope, held: Limited, **limits: Decimal | None) -> dict[str, Any]:
    """Write the limits of a row that the caller holds locked; return what the log keeps of it."""
    before = held.limits
    type(held)._base_manager.filter(pk=held.pk).update(**limits)
    for name, limit in limits.items():
        setattr(held, name, limit)
    return {"before": before, "after": held.limits}


def require_limits(**limits: Decimal | None) -> None:
    """Check limits by the names of their fields; None means none.

    :raises InvalidRequestError: one is not above zero, too great, or has more than two decimals.
    """
    wrong = {
        name: ["Above 0.00, with at most two decimals; null for no limit."]
        for name, value in limits.items()
        if value is not None and not (is_exact(value) and 0 < value <= settings.MPS_MAX_AMOUNT)
    }
    if wrong:
        raise InvalidRequestError(errors=wrong)
