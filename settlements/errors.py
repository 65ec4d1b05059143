"""What settlements' services refuse."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class NoTransactionsInPeriodError(MpsError):
    """Nothing the shop did before the period's end is left to settle."""

    code = "NO_TRANSACTIONS_IN_PERIOD"
    status = 409
    title = _("There is nothing to settle in this period.")


class SettlementStateError(MpsError):
    """The settlement is in a state, or of a net, that this does not fit."""

    code = "SETTLEMENT_STATE_CONFLICT"
    status = 409
    title = _("The settlement's status does not allow this.")
