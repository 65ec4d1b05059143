"""Pages that are read only."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponseBase,
)
from django.views.decorators.csrf import csrf_exempt

from mps.base.core import errors, problems


def read_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a page be read only; any other method is refused as a program reads it.

    Nothing is changed by such a request, so it needs no token of a form, which would be refused
    first, and in another way.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in {"GET", "HEAD"}:
            return view(request, *args, **kwargs)
        response = problems.problem_response(request, errors.MethodNotAllowedError())
        response["Allow"] = "GET, HEAD"
        return response

    return csrf_exempt(answer)
