"""Text on its way into a spreadsheet: it must stay text, and the file must stay readable."""

import re

# Excel, LibreOffice and Google Sheets compute cells that begin so, the full-width signs included.
_FORMULA = re.compile(r"[=+\-@|%\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9.]+", re.ASCII)
# What XML 1.0 has no place for. One such character and a workbook does not open any more.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_cell(value: str) -> str:
    """Return `as_text`, but leave a number as it is, with its sign."""
    return value if _NUMBER.fullmatch(value) else as_text(value)


def as_text(value: str) -> str:
    """Return a text with an apostrophe before what would be computed."""
    value = printable(value)
    return f"'{value}" if _FORMULA.match(value) else value


def printable(value: str) -> str:
    """Return a text with � for what XML, and so a workbook, cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", value)
