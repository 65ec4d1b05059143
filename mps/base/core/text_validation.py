"""Which text is accepted: any script and any spaces, but nothing invisible, and nothing that breaks
a log line, a screen or a spreadsheet.
"""

import re
import unicodedata

# Line and paragraph separators end a line, too; a lone surrogate is no character at all.
_CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
# Code points that are never characters; XML, and so a workbook, cannot hold the last of them.
_NONCHARACTERS = r"\ufdd0-\ufdef" + "".join(
    f"{chr(plane * 0x10000 + 0xFFFE)}-{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
)
# Embeddings, overrides and isolates: they turn around what stands behind them on the screen.
_DIRECTION = r"\u202a-\u202e\u2066-\u2069"
CONTROL = re.compile(f"[{_CONTROL}]")
UNWANTED = re.compile(f"[{_CONTROL}{_NONCHARACTERS}{_DIRECTION}]")
# Marks, separators and format characters leave nothing on the screen. What is not assigned yet may
# be a letter of a newer Unicode than this Python knows.
_INVISIBLE = frozenset({"Mn", "Me", "Zs", "Zl", "Zp", "Cf", "Cc", "Cs"})
# They are letters to Unicode, and blank all the same.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def is_text(text: str, *, at_least: int = 1, at_most: int) -> bool:
    """Return whether a text has the right length, spaces around it not counted, and can be read."""
    return (
        at_least <= len(text.strip())
        and len(text) <= at_most
        and not UNWANTED.search(text)
        and (at_least == 0 or is_visible(text))
    )


def is_visible(text: str) -> bool:
    """Return whether a reader would see anything of a text."""
    return any(
        unicodedata.category(character) not in _INVISIBLE and character not in _BLANK_LETTERS
        for character in text
    )
