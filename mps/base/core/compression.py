"""Serve static files compressed: the console's library alone is half a megabyte of text."""

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

_Middleware: Any = WhiteNoiseMiddleware
_TEXTS = ("text/css", "text/javascript", "application/javascript", "image/svg+xml")
_TOO_SHORT = 500
_KEPT = 200


class StaticFilesMiddleware(_Middleware):  # type: ignore[misc]
    """Serve files from the packages; texts compressed, once per process, for who takes that.

    Where `collectstatic` has written compressed files, those are sent as they are.
    """

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        """Return the file."""
        response: Any = _Middleware.serve(static_file, request)
        if (
            not response.get("Content-Type", "").startswith(_TEXTS)
            or "Content-Encoding" in response
        ):
            return response  # type: ignore[no-any-return]
        patch_vary_headers(response, ["Accept-Encoding"])
        if (
            response.status_code != 200
            or request.method != "GET"
            or int(response["Content-Length"]) < _TOO_SHORT
            or "gzip" not in request.headers.get("Accept-Encoding", "")
        ):
            return response  # type: ignore[no-any-return]
        _accepted, path, _headers = static_file.alternatives[-1]
        body = _compressed(path, response["Last-Modified"])
        answer = HttpResponse(body, headers=dict(response.items()))
        answer["Content-Encoding"], answer["Content-Length"] = "gzip", str(len(body))
        response.close()
        return answer


@lru_cache(maxsize=_KEPT)
def _compressed(path: str, version: str) -> bytes:
    """Return a file compressed. Another `version` is another file."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)
