"""Payment codes: 20 digits, made from a nonce and a key that is not in the database.

`77` + 17 digits of HMAC-SHA256(nonce) + a Damm check digit. The database keeps the nonce and a
second HMAC, of
the code; either alone gives nothing away, and an authorised device can have its current code again.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from mps.base.core import keys, problems
from mps.base.core.errors import MpsError

PREFIX = "77"
LENGTH = 20
NONCE_BYTES = 16
_PATTERN = re.compile(rf"[0-9]{{{LENGTH}}}", re.ASCII)
# H. M. Damm's quasigroup of order 10: finds every single wrong digit and every swap of neighbours.
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


class InvalidCodeError(MpsError):
    """The text is not a payment code: wrong length, prefix, characters or check digit."""

    code = "INVALID_CODE"
    title = _("This is not a payment code.")


problems.speak_for_request(InvalidCodeError)


@dataclass(frozen=True, slots=True)
class CodeKey:
    """One configured key, and the two keys made of it: for the digits and for the look-up."""

    id: str
    digits_key: bytes
    lookup_key: bytes


@dataclass(frozen=True, slots=True)
class ShownCode:
    """A payment code as its holder sees it. It does not show itself: no log holds its digits."""

    code: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime

    @property
    def ttl_seconds(self) -> int:
        """How long it lives from its making."""
        return round((self.expires_at - self.issued_at).total_seconds())


@lru_cache(maxsize=4)
def load_keys(configured: str) -> tuple[CodeKey, ...]:
    """Read `MPS_CODE_KEYS`, `id:base64,…`, newest first; each key has 32 bytes or more.

    :raises ImproperlyConfigured: it is not of that form.
    """
    return tuple(
        CodeKey(
            key_id,
            hmac.digest(master, b"mps/payment-code/digits", "sha256"),
            hmac.digest(master, b"mps/payment-code/look-up", "sha256"),
        )
        for key_id, master in keys.read_server_keys("MPS_CODE_KEYS", configured).items()
    )


def current_keys() -> tuple[CodeKey, ...]:
    """Return the configured keys, newest first."""
    return load_keys(settings.MPS_CODE_KEYS)


def new_nonce() -> bytes:
    """Return the random part of a new code."""
    return secrets.token_bytes(NONCE_BYTES)


def derive_code(key: CodeKey, nonce: bytes) -> str:
    """Return the 20 digits that `nonce` stands for under `key`."""
    number = int.from_bytes(hmac.digest(key.digits_key, nonce, "sha256"), "big") % 10**17
    body = f"{PREFIX}{number:017d}"
    return body + str(check_digit(body))


def hash_code(key: CodeKey, code: str) -> bytes:
    """Return what the database finds `code` by under `key`."""
    return hmac.digest(key.lookup_key, code.encode("ascii"), "sha256")


def look_up_hashes(code: str) -> list[bytes]:
    """Return what `code` may be stored as: one hash a configured key, newest first."""
    return [hash_code(key, code) for key in current_keys()]


def recover_code(key_id: str, nonce: bytes, code_hash: bytes) -> str | None:
    """Return a stored code's digits again; None if its key is no longer configured, or another one
    is under its id.
    """
    for key in current_keys():
        if key.id == key_id:
            code = derive_code(key, nonce)
            return code if hash_code(key, code) == code_hash else None
    return None


def check_digit(digits: str) -> int:
    """Return the Damm check digit of `digits`."""
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][ord(digit) - 48]
    return interim


def require_code(text: object) -> str:
    """Return `text` if it has the form of a payment code.

    :raises InvalidCodeError: if not; nothing was looked up.
    """
    if (
        type(text) is not str
        or not _PATTERN.fullmatch(text)
        or not text.startswith(PREFIX)
        or check_digit(text) != 0
    ):
        raise InvalidCodeError
    return text
