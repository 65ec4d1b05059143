from celery.schedules import crontab
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class MembersConfig(AppConfig):
    name = "members"
    verbose_name = _("Members")
    sql_files = ("members", "sign_in", "one_time_codes", "policies")
    jobs = {
        gettext_noop("purge expired sign-ins"): {
            "task": "members.purge_tokens",
            "schedule": crontab(hour="18", minute="30"),
        },
    }
    staff_rights = {
        "support": {"view": "externalidentity member membertoken", "change": "member"},
        "finance": {"view": "member"},
        "risk": {"view": "externalidentity member membertoken", "change": "member"},
    }
    navigation = (
        Page("members", 1, _("Members"), "group", "members.member"),
        Page("members", 2, _("External identities"), "link", "members.externalidentity"),
        Page("members", 3, _("Sign-ins"), "login", "members.membertoken"),
    )
