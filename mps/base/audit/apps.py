from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "mps.base.audit"
    label = "audit"
    verbose_name = _("Audit")
    sql_files = ("events", "seals", "policies")
