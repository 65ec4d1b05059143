"""What production may not start without: secrets of its own, and names it answers to."""

import re
from collections.abc import Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured

from mps.base.core import keys

_MIN_SECRET_LENGTH = 32
_MIN_DIFFERENT = 10
_WELL_KNOWN = re.compile(r"django-insecure|change[-_ ]?me|secret|password|example|default", re.I)


_EVERYWHERE = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MPS_CODE_KEYS")
_IN_PRODUCTION = ("MPS_WEBHOOK_KEYS", "MPS_AUDIT_KEY", "ALLOWED_HOSTS")


def require_set(environment: Mapping[str, str], *, in_production: bool) -> None:
    """Refuse to go on without what nobody can choose for an installation.

    :raises ImproperlyConfigured: naming all that is missing, and what to do.
    """
    needed = _EVERYWHERE + (_IN_PRODUCTION if in_production else ())
    if missing := [name for name in needed if not environment.get(name)]:
        raise ImproperlyConfigured(
            f"Not set: {', '.join(missing)}. Set them in the environment or in .env, as"
            " .env.example describes; or start a local system by `make run`."
        )


def require_secrets(*, key_rings: dict[str, str], secrets: dict[str, str]) -> None:
    """Refuse to go on with secrets that are missing, short, or such as stand in examples.

    :param key_rings: settings of the form `id:base64,…`, by their names.
    :param secrets: other secrets, by their names.
    :raises ImproperlyConfigured: naming the setting, never its value.
    """
    for name, value in secrets.items():
        if not value:
            raise ImproperlyConfigured(f"{name} is not set. Production needs it.")
        if (
            len(value) < _MIN_SECRET_LENGTH
            or len(set(value)) < _MIN_DIFFERENT
            or _WELL_KNOWN.search(value)
        ):
            raise ImproperlyConfigured(
                f"{name} is too short or well known. Set it to 50 random characters."
            )
    for name, value in key_rings.items():
        if not value:
            raise ImproperlyConfigured(f"{name} is not set. Production needs it.")
        for key in keys.read_server_keys(name, value).values():
            if len(set(key)) < _MIN_DIFFERENT:
                raise ImproperlyConfigured(
                    f"{name} is no random key. Set it to `id:base64 of 32 random bytes`."
                )


def require_hosts(hosts: Sequence[str]) -> None:
    """Refuse to answer to any name a caller makes up.

    :raises ImproperlyConfigured: no names are configured, or a pattern that takes all.
    """
    if not hosts or any(host in {"*", "."} for host in hosts):
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS is not set, or takes any host. Name what MPS is reached by."
        )
