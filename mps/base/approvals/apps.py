from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop


class ApprovalsConfig(AppConfig):
    name = "mps.base.approvals"
    label = "approvals"
    verbose_name = _("Approvals")
    sql_files = ("approvals", "policies")
    jobs = {
        gettext_noop("close expired requests for approval"): {
            "task": "approvals.expire",
            "schedule": 300.0,
        },
    }
    staff_rights = {
        "finance": {"view": "approval", "change": "approval"},
        "risk": {"view": "approval", "change": "approval"},
    }
