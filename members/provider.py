"""Identity providers for sign-in. django-allauth finds them here by name.

Each is allauth's own, told to check what an app brings: a token the app got from the provider. The
token must have been given to *our* app: one that a member gave to another app proves nothing here.
"""

from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.line.provider import LineProvider as AllauthLineProvider
from allauth.socialaccount.providers.weixin.provider import WeixinProvider as AllauthWeixinProvider
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from mps.base.core import errors

# What WeChat answers when the code is not at fault: busy, too many calls, our app id or secret.
_WEIXIN_TROUBLE = {-1, 40013, 40125, 40164, 45011, 45009, 61024}
_REFUSED = {400, 401, 403}
_RETRY_SECONDS = 5


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Providers are enabled by the environment, and nowhere else."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the apps of the settings; the framework's own table is not looked at."""
        return [
            SocialApp(provider=name, client_id=app["client_id"], secret=app["secret"])
            for name, configured in settings.SOCIALACCOUNT_PROVIDERS.items()
            for app in configured["APPS"]
            if provider in (None, name) and client_id in (None, app["client_id"])
        ]


class LineProvider(AllauthLineProvider):
    """LINE: by an id token or an access token of our channel."""

    supports_token_authentication = True

    def verify_token(self, request: HttpRequest, token: dict[str, str]) -> SocialLogin:
        """Return who the token says it is.

        :raises ValidationError: LINE does not know it, or it is another channel's.
        :raises UnavailableError: LINE does not answer as it should.
        """
        url = _url(self)
        if token.get("id_token"):
            who = _ask(
                "POST",
                f"{url}/oauth2/v2.1/verify",
                data={"id_token": token["id_token"], "client_id": self.app.client_id},
            )
            if who.get("aud") != self.app.client_id:
                raise _refusal()
        else:
            access_token = token.get("access_token") or ""
            if not access_token.isascii():
                # It could not be sent as a header.
                raise _refusal()
            known = _ask("GET", f"{url}/oauth2/v2.1/verify", params={"access_token": access_token})
            if known.get("client_id") != self.app.client_id:
                raise _refusal()
            who = _ask(
                "GET", f"{url}/v2/profile", headers={"Authorization": f"Bearer {access_token}"}
            )
        _require_text(who, "sub" if token.get("id_token") else "userId")
        login: SocialLogin = self.sociallogin_from_response(request, who)
        return login


class WeixinProvider(AllauthWeixinProvider):
    """WeChat: by a mini program's login code, or the code of a sign-in on the web.

    Not by an access token: WeChat does not say which app one was given to.
    """

    supports_token_authentication = True

    def verify_token(self, request: HttpRequest, token: dict[str, str]) -> SocialLogin:
        """Return who the code says it is; it works once.

        :raises ValidationError: WeChat does not know it.
        :raises UnavailableError: WeChat does not answer as it should.
        """
        asked = {
            "appid": self.app.client_id,
            "secret": self.app.secret,
            "grant_type": "authorization_code",
        }
        if token.get("login_code"):
            path, asked["js_code"] = "sns/jscode2session", token["login_code"]
        else:
            path, asked["code"] = "sns/oauth2/access_token", token.get("code") or ""
        who = _ask("GET", f"{_url(self)}/{path}", params=asked)
        if who.get("errcode"):
            raise _unavailable() if who["errcode"] in _WEIXIN_TROUBLE else _refusal()
        _require_text(who, "openid")
        # Nothing else of the answer is needed; the session key in it least of all.
        login: SocialLogin = self.sociallogin_from_response(request, {"openid": who["openid"]})
        return login


provider_classes = [LineProvider, WeixinProvider]


def _ask(method: str, url: str, **asked: Any) -> dict[str, Any]:
    """Return a provider's answer."""
    try:
        adapter: Any = get_adapter()
        with adapter.get_requests_session() as session:
            answer = session.request(method, url, allow_redirects=False, **asked)
            if answer.status_code in _REFUSED:
                raise _refusal()
            if answer.status_code != requests.codes.ok:
                raise _unavailable()
            body = answer.json()
    except (requests.RequestException, ValueError):
        # Without its cause: that names the address asked, which holds the secret.
        raise _unavailable() from None
    if not isinstance(body, dict):
        raise _unavailable()
    return body


def _url(provider: Any) -> str:
    return str(provider.get_settings()["URL"]).rstrip("/")


def _require_text(who: dict[str, Any], field: str) -> None:
    if not isinstance(who.get(field), str) or not who[field]:
        raise _unavailable()


def _refusal() -> ValidationError:
    error: ValidationError = get_adapter().validation_error("invalid_token")
    return error


def _unavailable() -> errors.UnavailableError:
    return errors.UnavailableError(
        "The provider is not responding correctly. Try again in a moment.",
        retry_after_seconds=_RETRY_SECONDS,
    )
