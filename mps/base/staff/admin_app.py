"""Make Django use the console instead of its own admin site."""

from django.contrib.admin.apps import AdminConfig


class ConsoleSiteConfig(AdminConfig):
    """The admin app with the console's pages, behind the staff's sign-in."""

    default_site = "mps.base.staff.passkey_pages.PasskeySite"
