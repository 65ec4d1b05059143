from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Payments")
    sql_files = ("transactions", "limits", "charges", "consents", "topups", "retention", "policies")
