"""Store responses and replay them for repeated requests.

Rules: docs/rules.md#idempotency.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from mps.base.core.db_scope import Scope
from mps.base.core.money import JsonNumber
from payments.errors import IdempotencyKeyRequiredError, IdempotencyKeyReusedError
from payments.models import Idempotency

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome that is stored with its key: a success, or a refusal as a problem document."""

    status: int
    body: dict[str, Any]
    replayed: bool = False

    @property
    def refused(self) -> bool:
        """Whether the body is a problem document."""
        return self.status >= 400


def require_key(key: str | None) -> str:
    """Return an idempotency key that is one.

    :raises IdempotencyKeyRequiredError: missing, too long, or not printable ASCII.
    """
    if key is None or not _KEY.fullmatch(key) or not key.strip():
        raise IdempotencyKeyRequiredError
    return key


def hash_request(operation: str, **arguments: Any) -> bytes:
    """Return the fingerprint by which the same request is known again, however it was spelled."""
    text = json.dumps([operation, arguments], sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).digest()


def find_answer(scope: Scope, scope_id: UUID, key: str, request_hash: bytes) -> Answer | None:
    """Return what was answered to this key; None if nothing yet.

    :raises IdempotencyKeyReusedError: it was another request.
    """
    stored = Idempotency.objects.filter(scope_id=scope_id, key=key).first()
    if stored is None:
        return None
    return replay(bytes(stored.request_hash), request_hash, stored.status, stored.body)


def replay(stored_hash: bytes, request_hash: bytes, status: int, body: dict[str, Any]) -> Answer:
    """Return a stored answer to the same request;

    :raises IdempotencyKeyReusedError: for another one.
    """
    require_same(stored_hash, request_hash)
    return Answer(status, body, replayed=True)


def require_same(stored_hash: bytes, request_hash: bytes) -> None:
    """Let only the request go on that the key came with first.

    :raises IdempotencyKeyReusedError: it is another one.
    """
    if stored_hash != request_hash:
        raise IdempotencyKeyReusedError


def lock_key(scope: Scope, scope_id: UUID, key: str) -> None:
    """Wait for a twin that holds this key, and hold it until the scope ends.

    Then look again with `find_answer`.
    """
    lock_name(scope, scope_id, f"key:{key}")


def lock_order(scope: Scope, merchant_id: UUID, external_order_id: str) -> None:
    """Hold a merchant's order until the scope ends. After the key, before anything else."""
    lock_name(scope, merchant_id, f"order:{external_order_id}")


def lock_name(scope: Scope, scope_id: UUID, name: str) -> None:
    """Hold a name of a scope until the database transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT payments_lock_name(%s, %s)", [scope_id, name])


def store_answer(
    scope: Scope, scope_id: UUID, key: str, request_hash: bytes, answer: Answer, *, at: Any
) -> None:
    """Keep an answer, with the money it speaks of."""
    Idempotency.objects.create(
        scope_id=scope_id,
        key=key,
        request_hash=request_hash,
        status=answer.status,
        body=answer.body,
        created_at=at,
    )


def plain(value: Any) -> Any:
    """Return JSON as it was parsed with numbers for `JsonNumber`s, to be stored:

    Integers exact up to 18 digits, others as the nearest double, what no double holds as text.
    """
    if isinstance(value, JsonNumber):
        if re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        number = float(value)
        return number if math.isfinite(number) else str(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
