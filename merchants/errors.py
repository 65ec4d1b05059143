"""Errors raised by the services of merchants."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class MerchantSuspendedError(MpsError):
    """The shop is suspended: it cannot take payments, top-ups or refunds."""

    code = "MERCHANT_SUSPENDED"
    status = 403
    title = _("This shop is suspended.")
