"""Authenticate requests by member token."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from members import selectors
from mps.base.core import context
from mps.base.core.errors import NotAuthenticatedError
from mps.base.core.keys import parse_key


class MemberAuthentication(BaseAuthentication):
    """`Authorization: Bearer mps.m….…`: a member's token."""

    def authenticate(self, request: Request) -> tuple[selectors.MemberPrincipal, None] | None:
        """Return the member, suspended or not;

        None without the header; :raises NotAuthenticatedError: if it is not valid now.
        """
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        key = parse_key(text) if scheme.lower() == "bearer" else None
        member = selectors.find_member_by_token(key) if key and key.kind == "m" else None
        if member is None:
            raise NotAuthenticatedError
        context.set_actor("member", member.member_number)
        return member, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"


class MemberScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI speaks of it."""

    target_class = MemberAuthentication
    name = "memberToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return a bearer scheme."""
        return build_bearer_security_scheme_object("Authorization", "Bearer", "member token")
