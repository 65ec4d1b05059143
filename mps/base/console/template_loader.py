"""Load the console's base template without the parts that are not used.

The library's own loads fonts, icons, charts and sorting of a megabyte and more on each page. Here
are the reader's own font, the icons we show, and charts only where there are some
(`admin/index.html`).
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.template.loaders.app_directories import Loader

_FRAME = "unfold/layouts/skeleton.html"
_CSS = """<link href="{%% static %s %%}" rel="stylesheet">"""
_INSTEAD = {
    _CSS % '"unfold/fonts/inter/styles.css"': "",
    _CSS % '"unfold/fonts/material-symbols/styles.css"': "",
    """<script src="{% static 'unfold/js/alpine/alpine.sort.js' %}" defer></script>""": "",
    """<script src="{% static 'unfold/js/chart/chart.js' %}"></script>""": "",
    # After the library's own, which it overrules in places.
    "{% block extrastyle %}": _CSS % '"mps/console/console.css"'
    + """<script src="{% static 'mps/console/keyboard.js' %}"></script>{% block extrastyle %}""",
    # The names of what shows an icon only, for that script.
    """<body class="antialiased""": """<body data-label-menu="{% translate 'Menu' %}" """
    """data-label-show="{% translate 'Show the password' %}" class="antialiased""",
}


class LighterFrameLoader(Loader):
    """Find templates in the apps, and that one frame made lighter."""

    def get_contents(self, origin: Any) -> str:
        """Return a template's text.

        :raises ImproperlyConfigured: another version of the library has another frame.
        """
        text: str = super().get_contents(origin)
        if origin.template_name == _FRAME:
            for found, instead in _INSTEAD.items():
                if text.count(found) != 1:
                    raise ImproperlyConfigured(f"{_FRAME} is not what it was: look for {found}")
                text = text.replace(found, instead)
        return text
