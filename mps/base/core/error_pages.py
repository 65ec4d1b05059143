"""Error pages for requests that nothing else answers."""

from django.core.exceptions import RequestDataTooBig
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponsePermanentRedirect,
)
from django.utils.translation import gettext_lazy as _
from django.views import defaults

from mps.base.core import errors, middleware, problems
from mps.base.core.read_only import read_only


class InternalError(errors.MpsError):
    """A defect of ours. The log has the rest, under the request's id."""

    code = "INTERNAL_ERROR"
    status = 500
    title = _("Something went wrong on our side. The error has been logged.")


@read_only
def add_slash(request: HttpRequest) -> HttpResponse:
    """Lead who left out the last slash of a page's address to the page."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{request.path}/{'?' if query else ''}{query}")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer an unknown path."""
    if middleware.is_api(request):
        return problems.problem_response(request, errors.NotFoundError())
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django finds suspicious."""
    if middleware.is_api(request):
        too_big = isinstance(exception, RequestDataTooBig)
        return problems.problem_response(
            request, errors.PayloadTooLargeError() if too_big else errors.InvalidRequestError()
        )
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what is not permitted."""
    if middleware.is_api(request):
        return problems.problem_response(request, errors.PermissionDeniedError())
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer a defect without telling anything of it."""
    if middleware.is_api(request):
        return problems.problem_response(request, InternalError())
    return defaults.server_error(request)
