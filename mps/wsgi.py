"""Entry point of the web server."""

import gc
import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mps.settings")
# What is made at the start stays until the end: the collector need not go through it.
gc.disable()
_django = get_wsgi_application()
_ = get_resolver().url_patterns  # else the first request waits for it
gc.freeze()
gc.enable()


def application(request: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request whose body has a length, and give it one where it came without.

    Of a body without a length, as streaming clients and proxies send it, the framework would read
    nothing, and do what an empty one asks for.
    """
    if not request.get("CONTENT_LENGTH") and request.get("wsgi.input_terminated"):
        # One byte above the limit is refused like any body that is too large.
        body = request["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        request |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    answer: Iterable[bytes] = _django(request, start_response)
    return answer
