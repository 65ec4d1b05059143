"""How django-allauth meets our members: its sign-in, its limits, our tokens."""

import logging
import re
import time
from typing import Any
from uuid import UUID

import redis
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.headless.adapter import DefaultHeadlessAdapter
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from members import selectors, services
from members.errors import InvalidCredentialsError
from mps.core import errors, middleware

# The limits of ACCOUNT_RATE_LIMITS that allauth itself counts attempts by.
_APP, _ACTION = "allauth.account", "login_failed"
_TOKEN_ID = "mps_member_token_id"
_SESSION_KEY = re.compile(r"[a-z0-9]{32,40}", re.ASCII)
_NO_REDIS = (redis.RedisError, OSError)
_log = logging.getLogger(__name__)


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

        Without Redis nobody counts, and members still get in.
        """
        try:
            self._count_attempt(request, credentials)
        except _NO_REDIS:
            _log.warning("Redis is away: sign-in attempts are not limited")
            self._login_failed_rl_usage = None

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
        # The session that asked goes on: allauth signs it again by the new hash.
        user.refresh_from_db(fields=["password"])

    def logout(self, request: HttpRequest) -> None:
        """End the session, and the token that was handed out with it."""
        token_id = request.session.get(_TOKEN_ID)
        if token_id and request.user.is_authenticated:
            services.revoke_token(user_id=request.user.pk, token_id=UUID(token_id))
        super().logout(request)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what failures are counted by: the account, by whichever name it was called."""
        identifier = credentials["identifier"]
        member = selectors.find_sign_in(identifier)
        if member is not None:
            return f"member:{member.member_id}"
        return f"unknown:{selectors.normalise_identifier(identifier)}"

    def _count_attempt(self, request: HttpRequest, credentials: dict[str, Any]) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            error.params = {"retry_after_seconds": self._wait_seconds(request, credentials)}
            services.record_login_failure(
                identifier=credentials["identifier"], error=errors.RateLimitedError
            )
            raise

    def _wait_seconds(self, request: HttpRequest, credentials: dict[str, Any]) -> int:
        """Return after how many seconds an attempt would be let through again."""
        account = self._get_login_attempts_cache_key(request, **credentials)
        waits = [0.0]
        for rate in ratelimit.get_rates(app=_APP, action=_ACTION):
            key = ratelimit.get_cache_key(request, app=_APP, action=_ACTION, rate=rate, key=account)
            history = cache.get(key, [])
            if len(history) >= rate.amount:
                waits.append(history[rate.amount - 1] + rate.duration - time.time())
        return int(max(waits)) + 1

    def _rollback_login_failed_rl_usage(self) -> None:
        try:
            super()._rollback_login_failed_rl_usage()
        except _NO_REDIS:
            _log.warning("Redis is away: a sign-in attempt was not given back")


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
        """Give the member who has just signed in a token; none while a step is still due."""
        user = request.user
        token = services.issue_token(user_id=user.pk) if user.is_authenticated else None
        if token is None:
            return None
        request.session[_TOKEN_ID] = str(token.id)
        return {"access_token": token.token, "expires_in": settings.MPS_MEMBER_TOKEN_TTL_SECONDS}

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """Return the session of a token, if it has the form of one and exists."""
        if not _SESSION_KEY.fullmatch(session_token):
            return None
        return super().lookup_session(session_token)
