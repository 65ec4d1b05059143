from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop


class AuditConfig(AppConfig):
    name = "mps.base.audit"
    label = "audit"
    verbose_name = _("Audit")
    sql_files = ("events", "seals", "policies")
    jobs = {
        gettext_noop("seal the audit chain"): {"task": "audit.seal", "schedule": 60.0},
    }
    staff_rights = {
        "risk": {"view": "event"},
    }
