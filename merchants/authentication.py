"""Authenticate requests by terminal key, sent with its secret or used to sign the request."""

import re
from typing import NoReturn
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from merchants import selectors, signing
from mps.base.audit import services as audit
from mps.base.core import context, throttle
from mps.base.core.errors import NotAuthenticatedError, RateLimitedError
from mps.base.core.keys import PresentedKey, parse_key


def authenticate_bearer(key: PresentedKey | None) -> selectors.Till | None:
    """Return the till whose key was shown; None if it is not valid now.

    :raises NotAuthenticatedError: this till must sign; recorded.
    """
    till = selectors.find_till_by_key(key) if key and key.kind == "t" else None
    if till is not None and till.require_signature:
        _refuse(till, "This terminal signs its requests.")
    return till


def authenticate_signature(request: Request) -> selectors.Till | None:
    """Return the till that signed a request; None if it names no key that is valid now.

    :raises NotAuthenticatedError: the signature is wrong, too old or too new, or was seen before;
        recorded.
    """
    named = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[2]
    match = signing.KEY.fullmatch(named)
    key_id = UUID(match[1]) if match else None
    signer = selectors.find_signer(key_id) if key_id else None
    if signer is None or key_id is None:
        return None
    nonce = request.META.get("HTTP_X_MPS_NONCE", "")
    if not signing.is_signed(
        key_id=key_id,
        sealed=signer.sealed_signing_key,
        sealed_by=signer.sealed_by,
        method=request.method or "",
        path=request.get_full_path(),
        timestamp=request.META.get("HTTP_X_MPS_TIMESTAMP", ""),
        nonce=nonce,
        signature=request.META.get("HTTP_X_MPS_SIGNATURE", ""),
        body=request._request.body,
        idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY", ""),
        now=signer.read_at,
    ):
        _refuse(signer.till, "The signature is wrong, or its time is not now.")
    try:
        # Kept for as long as its timestamp is good: five minutes back and five ahead.
        throttle.count_guess("nonce", f"{key_id}:{nonce}", 1, 2 * signing.TOLERANCE_SECONDS)
    except RateLimitedError:
        _refuse(signer.till, "This nonce was used before.")
    return signer.till


def is_signature(header: str) -> bool:
    """Return whether a request says it is signed."""
    return bool(re.match("signature ", header, re.IGNORECASE))


def _refuse(till: selectors.Till, why: str) -> NoReturn:
    context.set_actor("terminal", str(till.terminal_id))
    with audit.refusals(
        "TERMINAL_REFUSED",
        object_type="terminal",
        object_id=till.terminal_id,
        details={"reason": why},
    ):
        raise NotAuthenticatedError(why)


class TerminalAuthentication(BaseAuthentication):
    """`Authorization: Bearer mps.t….…`: a till's key, or `Signature t…`: a signed request."""

    def authenticate(self, request: Request) -> tuple[selectors.Till, None] | None:
        """Return the till;

        None without the header; :raises NotAuthenticatedError: if it is not valid now.
        """
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        if is_signature(header):
            till = authenticate_signature(request)
        else:
            till = authenticate_bearer(parse_key(text) if scheme.lower() == "bearer" else None)
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
