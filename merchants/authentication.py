"""Who a terminal key speaks for."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from merchants import selectors
from mps.core import context
from mps.core.errors import NotAuthenticatedError
from mps.core.keys import parse_key


class TerminalAuthentication(BaseAuthentication):
    """`Authorization: Bearer mps.t….…`: a till's key."""

    def authenticate(self, request: Request) -> tuple[selectors.Till, None] | None:
        """Return the till;

        None without the header; :raises NotAuthenticatedError: if it is not valid now.
        """
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        key = parse_key(text) if scheme.lower() == "bearer" else None
        till = selectors.find_till_by_key(key) if key and key.kind == "t" else None
        if till is None:
            raise NotAuthenticatedError
        context.set_actor("terminal", str(till.terminal_id))
        return till, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"


class TerminalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI speaks of it."""

    target_class = TerminalAuthentication
    name = "terminalKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return a bearer scheme."""
        return build_bearer_security_scheme_object("Authorization", "Bearer", "terminal key")
