from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from mps.base.console.navigation import Report


class ReportsConfig(AppConfig):
    name = "mps.product.reports"
    label = "reports"
    verbose_name = _("Reports")
    navigation = (
        Report("reports", 1, _("Daily"), "calendar_month", "daily", "payments.view_transaction"),
        Report(
            "reports", 2, _("Failures"), "error", "failure-reasons", "payments.view_transaction"
        ),
        Report("reports", 3, _("Code usage"), "qr_code", "code-usage", "cards.view_codehistory"),
    )
