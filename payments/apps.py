from celery.schedules import crontab
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Payments")
    sql_files = ("transactions", "limits", "charges", "consents", "topups", "retention", "policies")
    jobs = {
        gettext_noop("close payments that were not approved in time"): {
            "task": "payments.close_expired_approvals",
            "schedule": 60.0,
        },
        gettext_noop("close expired top-ups"): {
            "task": "payments.expire_top_ups",
            "schedule": 60.0,
        },
        gettext_noop("compare top-ups with their providers"): {
            "task": "payments.compare_top_ups",
            "schedule": crontab(hour="20", minute="10"),
        },
        gettext_noop("purge idempotency records"): {
            "task": "payments.purge_idempotency",
            "schedule": crontab(hour="18", minute="40"),
        },
        gettext_noop("archive old transactions"): {
            "task": "payments.archive_transactions",
            "schedule": crontab(hour="19", minute="10", day_of_week="sun"),
        },
    }
    staff_rights = {
        "support": {"view": "topup transaction", "change": "topup"},
        "finance": {"view": "topup transaction", "change": "topup transaction"},
        "risk": {"view": "topup transaction"},
    }
    navigation = (
        Page("payments", 1, _("Transactions"), "receipt_long", "payments.transaction"),
        Page("payments", 2, _("Top-ups"), "add_card", "payments.topup"),
    )
