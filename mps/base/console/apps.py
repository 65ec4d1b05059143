from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from mps.base.console.navigation import Page


class ConsoleConfig(AppConfig):
    name = "mps.base.console"
    label = "console"
    verbose_name = _("Console")
    navigation = (
        Page("ledger", 1, _("Accounts"), "account_balance", "ledger.account"),
        Page("ledger", 2, _("Postings"), "swap_horiz", "ledger.posting"),
        Page("ledger", 3, _("Entries"), "list", "ledger.entry"),
        Page("audit", 1, _("Approvals"), "how_to_reg", "approvals.approval"),
        Page("audit", 2, _("Audit events"), "policy", "audit.event"),
        Page("system", 3, _("Jobs"), "schedule", "django_celery_beat.periodictask"),
        Page("system", 4, _("Job runs"), "checklist", "core.jobrun"),
        Page("system", 5, _("Intervals"), "timer", "django_celery_beat.intervalschedule"),
        Page("system", 6, _("Crontabs"), "calendar_clock", "django_celery_beat.crontabschedule"),
    )
