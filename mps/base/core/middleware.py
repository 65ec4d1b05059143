"""Outermost middleware: gives every request an id and an address, and handles unexpected errors."""

import ipaddress
import logging
import re
from collections.abc import Callable
from functools import cached_property
from time import perf_counter

import structlog
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, resolve, reverse

from mps.base.core import context, problems

# Data is no page: it loads nothing, and nobody frames it.
_POLICY_OF_DATA = "default-src 'none'; frame-ancestors 'none'"
_TILLS = "/api/v1/pos/"
# Asked every few seconds by whoever watches; only their failures are news.
_WATCHED = {"/healthz", "/readyz", "/metrics"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_log = logging.getLogger("mps.requests")


class RequestContextMiddleware:
    """Give the request an id (the caller's, if it is a sane one), remember where it came from, and
    write down how it ended.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request within its context."""
        began = perf_counter()
        if request.META.get("REMOTE_ADDR") not in settings.MPS_TRUSTED_PROXIES:
            # Only a configured proxy knows whether its caller came by TLS.
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        offered = request.headers.get("X-Request-ID", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else context.new_request_id()
        with (
            context.acting("anonymous", "", request_id=request_id, address=client_address(request)),
            structlog.contextvars.bound_contextvars(request_id=request_id),
        ):
            response = self.get_response(request)
            _write_down(request, response, perf_counter() - began)
        response["X-Request-ID"] = request_id
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Turn what a page lets through into an answer, where it is a known refusal."""
        error = problems.as_mps_error(exception)
        if error is None or not is_api(request):
            return None
        return problems.problem_response(request, error)


def _write_down(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Log a request by its route: paths and queries may hold what nobody should read."""
    match, status = request.resolver_match, response.status_code
    is_file = match is None and status < 400
    if is_file or (request.path_info in _WATCHED and status == 200):
        return
    route = f"/{match.route}" if match else "no such address"
    details: dict[str, object] = {"status": status, "milliseconds": round(seconds * 1000, 1)}
    said = getattr(response, "data", None)
    if status >= 400 and isinstance(said, dict):
        # An error's code; clients of the facade find it in `message`.
        details["code"] = said.get("message") or said.get("code")
    acting = context.current()
    details |= {"actor_type": acting.actor_type, "actor": acting.actor}
    _log.info("%s %s", request.method, route, extra=details)


def is_api(request: HttpRequest) -> bool:
    """Return whether the caller is a program that reads problem documents."""
    return request.path.startswith(("/api/", "/rest/"))


def client_address(request: HttpRequest) -> str:
    """Return the caller's address. Forwarding headers count only from a configured proxy."""
    address = request.META.get("REMOTE_ADDR", "")
    if address in settings.MPS_TRUSTED_PROXIES:
        # The nearest proxy appends whom it saw: the last entry is the one it vouches for.
        address = request.headers.get("X-Forwarded-For", address).rsplit(",", 1)[-1].strip()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


class TillMiddleware:
    """Answer tills at once: they have no session, no form and no messages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the endpoint, if it is one of theirs; an address nobody knows is not."""
        if not request.path_info.startswith(_TILLS):
            return self.get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        request.resolver_match = match
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        return response.render() if isinstance(response, SimpleTemplateResponse) else response


class ContentPolicyMiddleware(CSPMiddleware):
    """Write the content security policy: of data, of the console's pages, of all other pages."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Write the header."""
        if getattr(response, "_csp_exempt", False):
            response["Content-Security-Policy"] = _POLICY_OF_DATA
            return response
        if request.path_info.startswith(self._console):
            response._csp_update = settings.MPS_CONSOLE_POLICY  # type: ignore[attr-defined]
        return super().process_response(request, response)

    @cached_property
    def _console(self) -> str:
        return reverse("admin:index")
