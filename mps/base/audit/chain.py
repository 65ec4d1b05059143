"""Seal the audit log into a hash chain, and detect changes.

The chain is made and checked in the database; see `sql/0002_seal_forward.sql`. Only its heads leave
it: signed with a key the database does not know, they find a chain that was made anew, too.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from mps.base.audit.models import Seal
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import InvalidRequestError

BATCH_EVENTS = 10_000
_FORMAT = "mps-audit-head-1"
_GENESIS = bytes(32)
_FIRST_ID = UUID(int=0)
_NO_KEY = "MPS_AUDIT_KEY is not set: heads of the audit chain are signed with it."
_NO_HEAD = "This is no head of an audit chain, or it was not signed with MPS_AUDIT_KEY."


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What is wrong, and with what.

    :param seal: number of the seal; None: of none.
    :param event_id: the event; None: the seal itself.
    """

    wrong: str
    seal: int | None = None
    event_id: UUID | None = None

    def __str__(self) -> str:
        names = [
            f"seal {self.seal}" if self.seal is not None else "",
            f"event {self.event_id}" if self.event_id is not None else "",
        ]
        return ": ".join([*filter(None, names), self.wrong])


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the chain had got to: whoever keeps this outside knows a chain that was altered since.

    :param events: how many are sealed.
    :param sealed_at: when the last seal was set, as ISO 8601; empty for an empty chain.
    """

    number: int
    digest: str
    events: int
    sealed_at: str
    exported_at: str
    format: str = _FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What staff see of the chain."""

    last: Seal | None
    unsealed: int
    oldest_unsealed_at: datetime | None


def seal_events() -> int:
    """Seal all committed events that are in no seal; return how many.

    In batches, each in its own database transaction: safe to repeat, to run twice at once, and to
    be cut short.
    """
    sealed = 0
    while batch := _seal_batch():
        sealed += batch
    return sealed


def get_state(scope: Scope) -> State:
    """Return the last seal and what waits for the next."""
    unsealed, oldest = _row(
        scope,
        "SELECT count(*), min(event.happened_at) FROM audit_unsealed line"
        " LEFT JOIN LATERAL (SELECT happened_at FROM audit_event WHERE id = line.event_id) event"
        " ON true",
    )
    last = Seal.objects.defer("event_ids", "event_hashes").order_by("-number").first()
    return State(last=last, unsealed=unsealed, oldest_unsealed_at=oldest)


def verify(
    *,
    from_number: int = 1,
    head: dict[str, Any] | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Flaw | None:
    """Compute the chain anew and return the first thing that is wrong with it; None if nothing is.

    :param from_number: begin with this seal; the ones before are believed.
    :param head: a head that was exported before.
    :param on_progress: told how many of how many events were looked at.
    :raises InvalidRequestError: the head is not ours, or there is no key to tell.
    """
    flaw = None if head is None else _check_head(_read_head(head))
    if flaw is not None:
        return flaw
    with db_scope.principal_scope("platform_admin"):
        counts = list(
            Seal.objects.filter(number__gte=from_number)
            .order_by("number")
            .values_list("number", "count")
        )
        beginning = Seal.objects.filter(number=from_number).only("first_event_id").first()
    if from_number > 1 and beginning is None:
        return Flaw(seal=from_number, wrong="the seal is missing")
    total, done = sum(count for _number, count in counts), 0
    for first, last, events in _groups(counts):
        flaw = _check_seals(first, last)
        if flaw is not None:
            return flaw
        done += events
        on_progress(done, total)
    first_id = _FIRST_ID if from_number <= 1 or beginning is None else beginning.first_event_id
    return _check_unsealed(first_id)


def export_head() -> dict[str, Any]:
    """Return the chain's head with its signature, to be kept outside.

    :raises InvalidRequestError: there is no key to sign with.
    """
    key = _key()
    with db_scope.principal_scope("platform_admin") as scope:
        last = Seal.objects.defer("event_ids", "event_hashes").order_by("-number").first()
        events = Seal.objects.aggregate(events=Sum("count"))["events"] or 0
        now = _row(scope, "SELECT core_now()")[0]
    head = Head(
        number=last.number if last else 0,
        digest=(bytes(last.digest) if last else _GENESIS).hex(),
        events=events,
        sealed_at=last.sealed_at.isoformat() if last else "",
        exported_at=now.isoformat(),
    )
    return {**asdict(head), "signature": _sign(asdict(head), key)}


# --- inside ---------------------------------------------------------------------------------------


def _seal_batch() -> int:
    with db_scope.principal_scope("platform_admin") as scope:
        return int(_row(scope, "SELECT audit_seal_events(%s)", [BATCH_EVENTS])[0])


def _groups(counts: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield ranges of seals that hold about a batch of events: from, to, how many."""
    first, events = None, 0
    for number, count in counts:
        first = number if first is None else first
        events += count
        if events >= BATCH_EVENTS:
            yield first, number, events
            first, events = None, 0
    if first is not None:
        yield first, counts[-1][0], events


def _check_seals(first: int, last: int) -> Flaw | None:
    with db_scope.principal_scope("platform_admin") as scope:
        row = _row(
            scope,
            "SELECT seal, event_id, wrong FROM audit_check_seals(%s, %s) LIMIT 1",
            [first, last],
        )
    return Flaw(seal=row[0], event_id=row[1], wrong=row[2]) if row else None


def _check_unsealed(first_id: UUID) -> Flaw | None:
    """Look at all events at once: one set against another, as long as it takes."""
    with db_scope.principal_scope("platform_admin") as scope:
        _row(scope, "SELECT set_config('statement_timeout', '0', true)")
        row = _row(
            scope, "SELECT event_id, wrong FROM audit_check_unsealed(%s) LIMIT 1", [first_id]
        )
    return Flaw(event_id=row[0], wrong=row[1]) if row else None


def _check_head(head: Head) -> Flaw | None:
    """Find the head in the chain: it is not there if the chain was made anew, or cut off."""
    if head.number == 0:
        return None
    with db_scope.principal_scope("platform_admin"):
        seal = Seal.objects.filter(number=head.number).only("digest").first()
    if seal is None:
        return Flaw(seal=head.number, wrong="the head's seal is missing: the chain was cut off")
    if bytes(seal.digest).hex() != head.digest:
        return Flaw(seal=head.number, wrong="it is not the head's seal: the chain was rewritten")
    return None


def _read_head(signed: dict[str, Any]) -> Head:
    """Return a head if it is one of ours; :raises InvalidRequestError: it is not."""
    key = _key()
    fields = {name: value for name, value in signed.items() if name != "signature"}
    if not hmac.compare_digest(_sign(fields, key), str(signed.get("signature", ""))):
        raise InvalidRequestError(_NO_HEAD)
    try:
        head = Head(**fields)
    except TypeError:
        raise InvalidRequestError(_NO_HEAD) from None
    if head.format != _FORMAT:
        raise InvalidRequestError(_NO_HEAD)
    return head


def _key() -> bytes:
    if not settings.MPS_AUDIT_KEY:
        raise InvalidRequestError(_NO_KEY)
    return str(settings.MPS_AUDIT_KEY).encode()


def _sign(fields: dict[str, Any], key: bytes) -> str:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()


def _row(scope: Scope, sql: str, parameters: list[Any] | None = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()
