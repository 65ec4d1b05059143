"""Verify signed requests of tills, which never send the secret and cannot be altered or replayed.

    Authorization: Signature t<key id>
    X-MPS-Timestamp: 1765432100
    X-MPS-Nonce: 8 to 64 of A-Z a-z 0-9 . _ -
    X-MPS-Signature: hexadecimal HMAC-SHA256

What is signed is seven lines: `mps1`, method, path with query as sent, timestamp, nonce, the
hexadecimal SHA-256 of the body, and the `Idempotency-Key`, empty if there is none: under another
key the same refund would be a second one. What it is signed with is HMAC-SHA256 of
`mps/terminal-signature` under the key's secret. That is not the hash the database knows the secret
by: it is kept sealed with a key that is not in the database, so that who has only the database can
sign nothing.
"""

import hashlib
import hmac
import re
from datetime import datetime
from uuid import UUID

from mps.base.core import keys

TOLERANCE_SECONDS = 300
_PURPOSE = b"mps/terminal-signature"
KEY = re.compile(r"t([0-9a-f]{32})", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{9,11}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


def signing_key(secret: str) -> bytes:
    """Return what requests are signed with under a key's secret."""
    return hmac.digest(secret.encode("ascii"), _PURPOSE, "sha256")


def seal(key_id: UUID, secret: str) -> tuple[bytes, str]:
    """Return a new key's signing key as the database keeps it, and the id of what it is sealed by.

    Each key has a pad of its own, which is used for this alone.
    """
    server_key_id = next(iter(keys.webhook_keys()))
    pad = _pad(server_key_id, key_id)
    assert pad is not None
    return _xor(signing_key(secret), pad), server_key_id


def sign(
    key: bytes,
    *,
    method: str,
    path: str,
    timestamp: str,
    nonce: str,
    body: bytes = b"",
    idempotency_key: str = "",
) -> str:
    """Return the signature of a request.

    :param path: with its query, as sent.
    """
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join(["mps1", method, path, timestamp, nonce, digest, idempotency_key])
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def is_signed(
    *,
    key_id: UUID,
    sealed: bytes,
    sealed_by: str,
    method: str,
    path: str,
    timestamp: str,
    nonce: str,
    signature: str,
    body: bytes,
    idempotency_key: str,
    now: datetime,
) -> bool:
    """Return whether a request bears the right signature, made within five minutes of now."""
    if not (
        _TIMESTAMP.fullmatch(timestamp)
        and _NONCE.fullmatch(nonce)
        and _SIGNATURE.fullmatch(signature)
        and abs(int(timestamp) - now.timestamp()) <= TOLERANCE_SECONDS
    ):
        return False
    pad = _pad(sealed_by, key_id)
    if pad is None:
        return False
    right = sign(
        _xor(sealed, pad),
        method=method,
        path=path,
        timestamp=timestamp,
        nonce=nonce,
        body=body,
        idempotency_key=idempotency_key,
    )
    return hmac.compare_digest(right, signature)


def _pad(server_key_id: str, key_id: UUID) -> bytes | None:
    server_key = keys.webhook_keys().get(server_key_id)
    return server_key and hmac.digest(server_key, _PURPOSE + key_id.bytes, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
