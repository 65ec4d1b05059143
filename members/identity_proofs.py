"""Verify external identities: a provider's token, checked with the provider."""

from collections.abc import Mapping
from typing import TypedDict

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from members import rate_limits
from members.errors import InvalidCredentialsError
from mps.base.core import errors, throttle

# By which name allauth knows a provider, and what proves an identity there.
_PROVIDERS = {
    "line": ("line", ("id_token", "access_token")),
    "wechat": ("weixin", ("login_code", "code")),
}
PROVIDERS = tuple(_PROVIDERS)
PROOFS = tuple(name for _provider, names in _PROVIDERS.values() for name in names)
MAX_PROOF_LENGTH = 4096


class Claim(TypedDict):
    """Who somebody says they are at a provider, and what is to prove it."""

    provider: str
    proof: Mapping[str, str]


def prove_identity(*, request: HttpRequest, provider: str, proof: Mapping[str, str]) -> str:
    """Return the external id a provider's token proves: ask the provider.

    :param proof: one of `PROOFS`, of those this provider has.
    :raises InvalidRequestError: no such provider here, or not one proof of its kinds.
    :raises InvalidCredentialsError: the provider does not confirm it.
    :raises RateLimitedError: too many were not confirmed.
    :raises UnavailableError: the provider does not answer as it should.
    """
    allauth_name, kinds = _PROVIDERS.get(provider, ("", ()))
    given = {name: text for name, text in proof.items() if text}
    try:
        at_allauth = get_adapter().get_provider(request, allauth_name) if allauth_name else None
    except SocialApp.DoesNotExist:
        at_allauth = None
    if at_allauth is None:
        raise errors.InvalidRequestError(errors={"provider": ["Not available here."]})
    if len(given) != 1 or not set(given) <= set(kinds):
        raise errors.InvalidRequestError(
            errors={"provider": [f"Send exactly one of: {', '.join(kinds)}."]}
        )
    guesses = rate_limits.provider_token()
    throttle.count_guesses(guesses)
    try:
        login = at_allauth.verify_token(request, given)
    except ValidationError:
        raise InvalidCredentialsError("The provider did not confirm this.") from None
    except errors.UnavailableError:
        throttle.give_guesses_back(guesses)
        raise
    throttle.give_guesses_back(guesses)
    external_id: str = login.account.uid
    return external_id
