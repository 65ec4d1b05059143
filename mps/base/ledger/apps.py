from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LedgerConfig(AppConfig):
    name = "mps.base.ledger"
    label = "ledger"
    verbose_name = _("Ledger")
    sql_files = ("ledger", "policies")
    staff_rights = {
        "finance": {"view": "account entry posting"},
    }
