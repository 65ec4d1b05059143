"""Errors raised by the services of settlements."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class NoTransactionsInPeriodError(MpsError):
    """The shop has no unsettled transactions before the end of the period."""

    code = "NO_TRANSACTIONS_IN_PERIOD"
    status = 409
    title = _("There is nothing to settle in this period.")


class SettlementStateError(MpsError):
    """The settlement's status or net amount does not allow this action."""

    code = "SETTLEMENT_STATE_CONFLICT"
    status = 409
    title = _("The settlement's status does not allow this.")
