"""Structured logging: one JSON object per line, with the request's id."""

import json
import logging
from typing import Any

import orjson
import structlog

# What our own code adds by `extra=` is written down; what libraries add (requests, arguments of
# tasks) is not.
_OURS = frozenset({"mps", "members", "merchants", "cards", "payments", "settlements"})
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def render(logger: Any, method: str, event: dict[str, Any]) -> str:
    """Render a log record; the last processor of every handler."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    line: dict[str, Any] = {
        "at": structlog.processors.TimeStamper(fmt="iso", utc=True)(logger, method, {})[
            "timestamp"
        ],
        "level": record.levelname.lower(),
        "logger": record.name,
        **structlog.contextvars.get_contextvars(),
        **event,
        **_added(record),
    }
    line = dict(structlog.processors.format_exc_info(logger, method, line))
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:
        # Text that is no UTF-8, such as a lone surrogate: escaped, rather than no line at all.
        return json.dumps(line, default=str)


def _added(record: logging.LogRecord) -> dict[str, Any]:
    if record.name.partition(".")[0] not in _OURS:
        return {}
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OF_EVERY_RECORD and not name.startswith("_")
    }
