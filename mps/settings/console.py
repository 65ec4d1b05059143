"""Settings of the admin console: names and colours."""

import functools
from typing import Any

from django.urls import reverse
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

# A page of the console asks for all of its links, more than once.
_link = lazy(functools.cache(reverse), str)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%231d4ed8'/%3E"
    "%3Cpath d='M3 6h10M3 8h10v4H3z' stroke='white' fill='none'/%3E%3C/svg%3E"
)
# In the order of daily work.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Member Payment System"),
    "SITE_HEADER": "MPS",
    "SITE_SUBHEADER": _("Console"),
    "SITE_SYMBOL": "payments",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "href": _ICON}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": "mps.base.console.banner",
    "DASHBOARD_CALLBACK": "payments.first_page.first_page",
    "ACCOUNT": {
        "navigation": [
            {"title": _("Change password"), "link": _link("admin:password_change")},
            {"title": _("Passkeys"), "link": _link("admin:passkeys")},
            {"title": _("Recovery codes"), "link": _link("admin:recovery_codes")},
        ]
    },
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": "mps.base.console.navigation.build",
    },
}
