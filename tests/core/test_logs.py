"""One JSON object a line, whatever is logged."""

import io
import json
import logging
import logging.config
from typing import Any

import pytest
import structlog
from django.conf import settings


@pytest.fixture
def log() -> Any:
    """A logger with the configured handler; `log.lines()` is what it wrote."""
    stream = io.StringIO()
    formatter = settings.LOGGING["formatters"]["json"]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.Logger("a.logger")
    logger.addHandler(handler)
    logger.lines = lambda: [json.loads(line) for line in stream.getvalue().splitlines()]  # type: ignore[attr-defined]
    return logger


def test_a_line_says_when_where_and_in_which_request(log: Any) -> None:
    with structlog.contextvars.bound_contextvars(request_id="the-request"):
        log.warning("charged %s", "twice")
    (line,) = log.lines()
    assert line["event"] == "charged twice"
    assert (line["level"], line["logger"]) == ("warning", "a.logger")
    assert line["request_id"] == "the-request"
    assert line["at"].endswith("Z")


def test_a_traceback_stays_in_its_line(log: Any) -> None:
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        log.exception("a defect")
    (line,) = log.lines()
    assert line["exception"].startswith("Traceback")
    assert "ZeroDivisionError: by nothing" in line["exception"]
    assert "exc_info" not in line


def test_text_that_is_no_utf_8_is_logged_escaped(log: Any) -> None:
    log.error("path %s", "\ud800")
    assert log.lines()[0]["event"] == "path \ud800"


def test_what_we_add_is_written_and_what_libraries_add_is_not(log: Any) -> None:
    log.warning("theirs", extra={"args_of_task": "a secret"})
    log.name = "payments.member_topups"
    log.warning("ours", extra={"order": "T-1"})
    theirs, ours = log.lines()
    assert "args_of_task" not in theirs
    assert ours["order"] == "T-1"
