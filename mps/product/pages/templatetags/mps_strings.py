"""Template tag that passes a page's strings to its scripts as a data block."""

import json
from html import unescape

from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
# As json_script has it: nothing in here ends the element.
_ESCAPES = {ord(">"): "\\u003E", ord("<"): "\\u003C", ord("&"): "\\u0026"}


@register.filter
def strings_block(text: str) -> SafeString:
    """Turn lines of `name=text` into the element that `i18n.js` reads."""
    lines = (line.partition("=") for line in unescape(text).splitlines() if "=" in line)
    data = json.dumps({name.strip(): value for name, _, value in lines}, ensure_ascii=False)
    return mark_safe(  # noqa: S308
        f'<script type="application/json" id="strings">{data.translate(_ESCAPES)}</script>'
    )
