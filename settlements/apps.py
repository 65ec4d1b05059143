from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class SettlementsConfig(AppConfig):
    name = "settlements"
    verbose_name = _("Settlements")
    sql_files = ("settlements", "reports", "policies")
    jobs = {
        gettext_noop("settle in real time"): {
            "task": "settlements.settle_realtime",
            "schedule": 60.0,
        },
        gettext_noop("settle the day before"): {
            "task": "settlements.settle_t_plus_1",
            "schedule": 600.0,
        },
        gettext_noop("settle the month before"): {
            "task": "settlements.settle_monthly",
            "schedule": 600.0,
        },
    }
    staff_rights = {
        "finance": {"view": "settlement", "change": "settlement"},
    }
    navigation = (
        Page("payments", 3, _("Settlements"), "account_balance_wallet", "settlements.settlement"),
    )
