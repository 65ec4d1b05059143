"""What every operation needs around it to succeed."""

from collections.abc import Iterator

import pytest

from tests.members.standin import StandIn, stand_in


@pytest.fixture(scope="session")
def providers() -> Iterator[StandIn]:
    """Providers that confirm whatever they are shown: who it is, is in it."""
    with stand_in() as world:
        world.answer(
            "POST",
            "/oauth2/v2.1/verify",
            lambda fields, headers: (
                200,
                {"sub": f"U{hash(fields['id_token'])}", "aud": fields["client_id"]},
            ),
        )
        world.answer(
            "GET",
            "/sns/jscode2session",
            lambda fields, headers: (200, {"openid": fields["js_code"]}),
        )
        world.answer(
            "GET", "/oauth2/v2.1/verify", lambda fields, headers: (200, {"client_id": "an-app"})
        )
        world.answer(
            "GET",
            "/v2/profile",
            lambda fields, headers: (200, {"userId": f"U{hash(headers['authorization'])}"}),
        )
        world.answer(
            "GET",
            "/sns/oauth2/access_token",
            lambda fields, headers: (200, {"openid": f"o{hash(fields.get('code', ''))}"}),
        )
        yield world


@pytest.fixture(autouse=True)
def _reachable(providers: StandIn, settings) -> None:
    """Configure them."""
    settings.SOCIALACCOUNT_PROVIDERS = {
        name: {"APPS": [{"client_id": "an-app", "secret": "a-secret"}], "URL": providers.url}
        for name in ("line", "weixin")
    }
