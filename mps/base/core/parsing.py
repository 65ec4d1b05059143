"""Parse JSON strictly and render it fast."""

import json
import re
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.utils.http import parse_header_parameters
from rest_framework import parsers, renderers

from mps.base.core import errors
from mps.base.core.money import JsonNumber

MAX_BODY_BYTES = 64 * 1024
MAX_DEPTH = 32
_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(parsers.BaseParser):
    """JSON in UTF-8 by the standard library:

    No duplicate keys, numbers as written, bounded size and depth.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body.

        :raises UnsupportedMediaTypeError, PayloadTooLargeError, InvalidRequestError:
        """
        _require_utf8_json(media_type)
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise errors.PayloadTooLargeError
        try:
            body = json.loads(
                raw.decode("utf-8"),
                object_pairs_hook=_pairs,
                parse_int=JsonNumber,
                parse_float=JsonNumber,
                parse_constant=_refuse_constant,
            )
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise errors.InvalidRequestError("The body is not valid JSON in UTF-8.") from error
        _check(body, MAX_DEPTH)
        if not isinstance(body, dict):
            raise errors.InvalidRequestError("The body is not a JSON object.")
        return body


def _require_utf8_json(media_type: str | None) -> None:
    """Refuse wildcards, which the framework lets pass, and any charset but UTF-8."""
    given, parameters = parse_header_parameters(media_type or "")
    if given.lower() != StrictJSONParser.media_type or parameters.get(
        "charset", "utf-8"
    ).lower() not in {"utf-8", "utf8"}:
        raise errors.UnsupportedMediaTypeError


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("duplicate key")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check(value: Any, depth: int) -> None:
    """Refuse what PostgreSQL cannot keep (NUL, lone surrogates) and what nobody sends (deep
    nesting).
    """
    if depth < 0:
        raise errors.InvalidRequestError("The body is nested too deeply.")
    if isinstance(value, str):
        if "\x00" in value or _SURROGATE.search(value):
            raise errors.InvalidRequestError("Text contains a NUL or a lone surrogate.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)


class FastJSONRenderer(renderers.BaseRenderer):
    """JSON out, by orjson. Amounts are strings by then."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body's bytes; nothing for no content."""
        return b"" if data is None else orjson.dumps(data)
