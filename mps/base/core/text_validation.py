"""Which text is taken: any writing with any spaces, but no control characters."""

import re

# Line and paragraph separators end a line, too; a lone surrogate is no character at all.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def is_text(text: str, *, at_least: int = 1, at_most: int) -> bool:
    """Return whether a text is between so short, spaces around it not counted, and so long."""
    return at_least <= len(text.strip()) and len(text) <= at_most and not CONTROL.search(text)
