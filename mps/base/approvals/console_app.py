"""How Django finds the console: in place of its own admin site."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """The admin app with our site."""

    default_site = "mps.base.approvals.console.FourEyesSite"
