"""Bearer keys: `mps.<kind><id>.<secret>`. The secret is random; only its SHA-256 is ever stored.

And the server's own keys, which are in its environment and not in the database.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Kind = Literal["t", "s", "m"]
_KEY = re.compile(r"mps\.([tsm])([0-9a-f]{32})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """What a caller presented:

    Kind (`t`erminal, `s`ervice, `m`ember), id, and the hash of the secret.
    """

    kind: Kind
    id: UUID
    secret_hash: bytes


def make_key(kind: Kind, key_id: UUID) -> tuple[str, bytes]:
    """Make a new key for `key_id`;

    Return the text, which is shown once, and the secret's hash to store.
    """
    secret = secrets.token_urlsafe(32)
    return f"mps.{kind}{key_id.hex}.{secret}", hash_secret(secret)


def parse_key(text: str) -> PresentedKey | None:
    """Take a key apart; None if it has not the form of one."""
    match = _KEY.fullmatch(text)
    if not match:
        return None
    kind, key_id, secret = match.groups()
    return PresentedKey(kind, UUID(key_id), hash_secret(secret))  # type: ignore[arg-type]


def hash_secret(secret: str) -> bytes:
    """Hash a secret of 256 random bits. It needs no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode("ascii")).digest()


@lru_cache(maxsize=8)
def read_server_keys(name: str, configured: str) -> Mapping[str, bytes]:
    """Read `id:base64,…`, newest first; each key has 32 bytes or more, and an id of its own.

    :param name: of the setting, for the message.
    :raises ImproperlyConfigured: it is not of that form.
    """
    found = {}
    for part in configured.split(","):
        key_id, _colon, text = part.strip().partition(":")
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", key_id) or len(key) < 32:
            raise ImproperlyConfigured(
                f"{name} must be `id:base64,…` with at least 32 bytes a key, newest first."
            )
        if key_id in found:
            raise ImproperlyConfigured(
                f"{name} has two keys named {key_id}: a new key needs a new name."
            )
        found[key_id] = key
    return MappingProxyType(found)


def webhook_keys() -> Mapping[str, bytes]:
    """Return what webhooks' secrets are derived from, and tills' signing keys sealed with."""
    return read_server_keys("MPS_WEBHOOK_KEYS", settings.MPS_WEBHOOK_KEYS)
