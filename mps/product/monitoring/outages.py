"""Remember that the database is down, in Redis or else in this process.

With both away a process still tells once; `manage.py check_health`, a new process each time, tells
each time.
"""

import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import redis
from django.db import connection

from mps.product.monitoring import selectors

LEASE_SECONDS = 120

_telling = threading.Lock()
_in_process: dict[str, Any] = {}


@dataclass(slots=True)
class Outage:
    """The database is away, and who was told."""

    id: UUID = field(default_factory=uuid4)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: list[str] = field(default_factory=list)


def current() -> Outage | None:
    """Return the outage that is remembered."""
    try:
        with selectors.redis_client() as client:
            return _read(client.get(_key())) or _in_process.get(_key())
    except (redis.RedisError, OSError):
        return _in_process.get(_key())


def claim() -> Outage | None:
    """Return the outage to whoever may tell of it now, one at a time; None to the others.

    Whoever is killed before `keep` leaves the lease to run out, and the next tells.
    """
    try:
        with selectors.redis_client() as client:
            if not client.set(_lease_key(), "1", nx=True, ex=LEASE_SECONDS):
                return None
            client.set(_key(), _write(_in_process.get(_key()) or Outage()), nx=True)
            return _read(client.get(_key()))
    except (redis.RedisError, OSError):
        if not _telling.acquire(blocking=False):
            return None
        outage: Outage = _in_process.setdefault(_key(), Outage())
        return outage


def keep(outage: Outage) -> None:
    """Remember who was told, and let others tell."""
    _in_process[_key()] = outage
    try:
        with selectors.redis_client() as client:
            client.set(_key(), _write(outage))
            client.delete(_lease_key())
    except (redis.RedisError, OSError):
        pass  # This process remembers.
    if _telling.locked():
        _telling.release()


def forget() -> None:
    """Forget the outage: it is over, and written down."""
    _in_process.pop(_key(), None)
    try:
        with selectors.redis_client() as client:
            client.delete(_key(), _lease_key())
    except (redis.RedisError, OSError):
        pass  # It is written down under its id; a second time changes nothing.


def _key() -> str:
    # Several installations may share a Redis.
    return f"mps:monitoring:{connection.settings_dict['NAME']}:database-away"


def _lease_key() -> str:
    return f"{_key()}:telling"


def _write(outage: Outage) -> bytes:
    return orjson.dumps(asdict(outage))


def _read(text: Any) -> Outage | None:
    if not text:
        return None
    values = orjson.loads(text)
    return Outage(UUID(values["id"]), datetime.fromisoformat(values["since"]), values["told"])
