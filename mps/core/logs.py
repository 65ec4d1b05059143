"""One JSON object a line, with the request's id."""

import logging
from typing import Any

import orjson
import structlog


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
    }
    if record.exc_info:
        line["exception"] = logging.Formatter().formatException(record.exc_info)
    return orjson.dumps(line, default=str).decode()
