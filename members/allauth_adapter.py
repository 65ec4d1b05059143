"""Adapt django-allauth to members: sign-in, rate limits, tokens."""

import re
from typing import Any
from uuid import UUID

from allauth.account.adapter import DefaultAccountAdapter
from allauth.headless.adapter import DefaultHeadlessAdapter
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from members import rate_limits, selectors, services
from members.errors import InvalidCredentialsError
from mps.base.core import errors, middleware, throttle

_TOKEN_ID = "mps_member_token_id"
_SESSION_KEY = re.compile(r"[a-z0-9]{32,40}", re.ASCII)


class AccountAdapter(DefaultAccountAdapter):
    """Members sign in by phone, e-mail or member number; every failure is written down."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say no: members register together with a card, at `POST /members`."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address limits count by; the same the audit log names."""
        return middleware.client_address(request) or "unknown"

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check an identifier (allauth calls it `username`) and a password, within the limits.

        :raises ValidationError: too many failures.
        """
        identifier = str(credentials.get("username") or "")
        user = super().authenticate(
            request, identifier=identifier, password=str(credentials.get("password") or "")
        )
        return user if isinstance(user, User) else None

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt before anything is hashed; success gives it back.

        :raises ValidationError: too many failures; says how long to wait.
        """
        identifier = credentials["identifier"]
        guesses = rate_limits.password(selectors.account_key(identifier))
        try:
            throttle.count_guesses(guesses)
        except errors.RateLimitedError as refusal:
            services.record_login_failure(identifier=identifier, error=errors.RateLimitedError)
            error: ValidationError = self.validation_error("too_many_login_attempts")
            error.params = {"retry_after_seconds": refusal.retry_after_seconds}
            raise error from None
        self._counted = guesses

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Write a failure down."""
        services.record_login_failure(
            identifier=credentials["identifier"], error=InvalidCredentialsError
        )

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Return whether this is the password of a member already signed in."""
        member = selectors.find_sign_in_of_user(user.pk)
        if member is None:
            return False
        found = self.authenticate(self.request, username=member.member_number, password=password)
        return found is not None and found.pk == user.pk

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Give a member another password."""
        member = selectors.find_sign_in_of_user(user.pk)
        if member is None:
            raise errors.PermissionDeniedError
        services.set_password(member_id=member.member_id, password=password)
        # The session that asked outlives the token that ended with all others.
        self.request.session.pop(_TOKEN_ID, None)
        # The session that asked goes on: allauth signs it again by the new hash.
        user.refresh_from_db(fields=["password"])

    def logout(self, request: HttpRequest) -> None:
        """End the session, and the token that was handed out with it."""
        token_id = request.session.get(_TOKEN_ID)
        if token_id and request.user.is_authenticated:
            services.revoke_token(user_id=request.user.pk, token_id=UUID(token_id))
        super().logout(request)

    def _rollback_login_failed_rl_usage(self) -> None:
        """Give the attempt back; allauth asks for it when the password was right."""
        throttle.give_guesses_back(self._counted)


class HeadlessAdapter(DefaultHeadlessAdapter):
    """What allauth's own endpoints say of a member."""

    def serialize_user(self, user: AbstractBaseUser) -> dict[str, Any]:
        """Return the member's number; name, phone and e-mail are at `/me`."""
        member = selectors.find_sign_in_of_user(user.pk)
        return {
            "id": user.pk,
            "display": member.member_number if member else user.get_username(),
            "has_usable_password": user.has_usable_password(),
        }


class MemberTokenStrategy(SessionTokenStrategy):
    """allauth's access token is our member token."""

    def create_access_token_payload(self, request: HttpRequest) -> dict[str, Any] | None:
        """Give the member who has just signed in a token; none while a step is still due.

        allauth may ask more than once in a request; there is one token.
        """
        user = request.user
        payload: dict[str, Any] | None = getattr(request, "_mps_token", None)
        if payload is not None:
            return payload
        token = services.issue_token(user_id=user.pk) if user.is_authenticated else None
        if token is None:
            return None
        request.session[_TOKEN_ID] = str(token.id)
        payload = {"access_token": token.token, "expires_in": settings.MPS_MEMBER_TOKEN_TTL_SECONDS}
        request._mps_token = payload  # type: ignore[attr-defined]
        return payload

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """Return the session of a token, if it has the form of one and exists.

        It ends with the member token that was handed out with it.
        """
        if not _SESSION_KEY.fullmatch(session_token):
            return None
        session: SessionBase | None = super().lookup_session(session_token)
        token_id = session.get(_TOKEN_ID) if session else None
        if token_id and not selectors.token_lives(UUID(token_id)):
            return None
        return session
