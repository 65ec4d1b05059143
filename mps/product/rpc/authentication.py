"""Authenticate callers of RPC functions by service key, terminal key or member token."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from members.selectors import MemberPrincipal, find_member_by_token
from merchants import authentication as terminals
from merchants.selectors import Till
from mps.base.core import context
from mps.base.core.errors import NotAuthenticatedError
from mps.base.core.keys import PresentedKey, parse_key
from mps.product.rpc import selectors
from mps.product.rpc.selectors import Caller


class RpcAuthentication(BaseAuthentication):
    """The key in `Authorization: Bearer` if there is one of ours, else in `apikey`.

    Existing clients send both. A key of ours that is no longer valid is refused, and never
    replaced by the other one: a lesser caller does not turn into a greater.
    """

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """Return who calls; None without any key.

        :raises NotAuthenticatedError: there is a key, but none that is valid now.
        """
        header = request.META.get("HTTP_AUTHORIZATION", "")
        apikey = request.META.get("HTTP_APIKEY", "")
        if not header and not apikey:
            return None
        scheme, _, bearer = header.partition(" ")
        key = (parse_key(bearer) if scheme.lower() == "bearer" else None) or parse_key(apikey)
        caller: Caller | None
        if terminals.is_signature(header):
            caller = terminals.authenticate_signature(request)
        else:
            caller = _find(key) if key else None
        if caller is None:
            raise NotAuthenticatedError
        match caller:
            case Till():
                context.set_actor("terminal", str(caller.terminal_id))
            case MemberPrincipal():
                context.set_actor("member", caller.member_number)
            case _:
                context.set_actor("service", caller.name)
        return caller, None


class ServiceAuthentication(RpcAuthentication):
    """A trusted backend's key; nobody else's is one here."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """Return which backend calls; None without any key.

        :raises NotAuthenticatedError: there is a key, but no backend's that is valid now.
        """
        found = super().authenticate(request)
        if found is not None and not isinstance(found[0], selectors.ServiceCaller):
            raise NotAuthenticatedError
        return found


def _find(key: PresentedKey) -> Caller | None:
    match key.kind:
        case "t":
            return terminals.authenticate_bearer(key)
        case "m":
            return find_member_by_token(key)
    return selectors.find_service_by_key(key)


class RpcScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI speaks of it."""

    target_class = RpcAuthentication
    name = "rpcKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return a key in a header."""
        return {"type": "apiKey", "in": "header", "name": "apikey"}


class ServiceScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI speaks of a trusted backend's key."""

    target_class = ServiceAuthentication
    name = "serviceKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return a bearer scheme."""
        return build_bearer_security_scheme_object("Authorization", "Bearer", "service key")
