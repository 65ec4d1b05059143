from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from mps.base.console.navigation import Page


class StaffConfig(AppConfig):
    name = "mps.base.staff"
    label = "staff"
    verbose_name = _("Staff")
    navigation = (
        Page("system", 7, _("Staff"), "manage_accounts", "auth.user"),
        Page("system", 8, _("Groups"), "groups", "auth.group"),
    )
