"""Deliver outbox events to the shops' endpoints.

An event is written to the outbox in the database transaction of what happened, so it is there
exactly when that is. A delivery is claimed for a short while, sent with no database transaction
open, and its outcome is written down; one whose worker died becomes due again by itself. So each
event arrives at least once, always under the same id, by which a receiver detects a repetition.
"""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.utils.translation import gettext_noop

from merchants.webhooks import signing, targets
from merchants.webhooks.endpoints import UNREACHED
from merchants.webhooks.targets import Answer
from mps.base.audit import services as audit
from mps.base.core import db_scope, retention

logger = logging.getLogger(__name__)

# How many messages are under way at once, how many of them to one endpoint, and how many to
# endpoints that have not answered of late: the others always have their share.
THREADS = 20
PER_ENDPOINT = 5
FAILING = 10
# Longer than sending can take, name look-up included.
LEASE_SECONDS = 60
# How long a run goes on taking what is due.
RUN_SECONDS = 50
_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery this worker has taken, and all it needs to send it."""

    delivery_id: UUID
    attempt: int
    event_id: UUID
    event_type: str
    payload: str
    happened_at: datetime
    endpoint_id: UUID
    url: str
    is_failing: bool
    secret_version: int
    secret_key_id: str
    old_secret_version: int | None
    old_secret_key_id: str


def deliver_due(
    *, run_seconds: float = RUN_SECONDS, lease_seconds: int = LEASE_SECONDS
) -> dict[str, int]:
    """Send what is due, until nothing is or the run has lasted long enough.

    Any number of workers may do this at once; each takes what no other has. No database transaction
    is open while a message is on its way.

    :return: how many attempts were `delivered` and how many `failed`.
    """
    counts = {"delivered": 0, "failed": 0}
    until = monotonic() + run_seconds
    under_way: dict[Future[Answer], Taken] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks") as pool:
        while True:
            if monotonic() < until:
                for taken in _take(under_way.values(), lease_seconds):
                    under_way[pool.submit(_send, taken)] = taken
            if not under_way:
                return counts
            done, _others = wait(under_way, _LOOK_AGAIN_SECONDS, FIRST_COMPLETED)
            _finish({under_way.pop(each): _answer_of(each) for each in done}, counts)


def purge_events() -> Iterator[int]:
    """Forget events older than 30 days that wait for nothing, with their deliveries.

    Yields how many have gone so far.
    """
    return retention.delete_in_batches("merchants_purge_webhooks")


def count_old_events() -> int:
    """Return how many events `purge_events` would forget now."""
    return retention.count_by("merchants_count_old_webhooks")


def _take(under_way: Any, lease_seconds: int) -> list[Taken]:
    """Take what is due from endpoints nothing is on its way to, as much as there are threads."""
    failing = sum(each.is_failing for each in under_way)
    free = THREADS - len(under_way)
    if not free:
        return []
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM merchants_claim_deliveries(p_most => %s, p_each => %s,"
            " p_failing => %s, p_leave => %s::uuid[], p_lease_seconds => %s)",
            [
                free,
                PER_ENDPOINT,
                max(FAILING - failing, 0),
                [each.endpoint_id for each in under_way],
                lease_seconds,
            ],
        )
        return [Taken(*row) for row in cursor.fetchall()]


def _send(taken: Taken) -> Answer:
    """Sign and send one. In a thread; touches no database."""
    secrets = [
        signing.derive_secret(endpoint_id=taken.endpoint_id, version=version, key_id=key_id)
        for version, key_id in (
            (taken.secret_version, taken.secret_key_id),
            (taken.old_secret_version, taken.old_secret_key_id),
        )
        if version is not None
    ]
    usable = [each for each in secrets if each is not None]
    if not usable:
        return Answer(error=gettext_noop("signing key not configured"))
    happened_at = taken.happened_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = orjson.dumps(
        {
            "type": taken.event_type,
            "timestamp": happened_at,
            "data": orjson.Fragment(taken.payload),
        }
    )
    signed = signing.sign(
        event_id=taken.event_id, sent_at=datetime.now(UTC), body=body.decode(), secrets=usable
    )
    headers = {"Content-Type": "application/json", "User-Agent": "MPS-Webhooks/1", **signed}
    return targets.post(taken.url, headers=headers, body=body)


def _answer_of(sent: "Future[Answer]") -> Answer:
    """Return what came of a sending; a defect must not keep the others from being written down."""
    exception = sent.exception()
    if exception is None:
        return sent.result()
    logger.error("webhook not sent", exc_info=exception)
    return Answer(error=gettext_noop("internal error"))


def _finish(answers: Mapping[Taken, Answer], counts: dict[str, int]) -> None:
    """Write down what came of these. In order of endpoints, so that two workers cannot deadlock."""
    if not answers:
        return
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        for taken, answer in sorted(answers.items(), key=lambda each: each[0].endpoint_id):
            cursor.execute(
                "SELECT merchants_finish_delivery(p_delivery_id => %s, p_endpoint_id => %s,"
                " p_attempt => %s, p_delivered => %s, p_status => %s, p_error => %s)",
                [
                    taken.delivery_id,
                    taken.endpoint_id,
                    taken.attempt,
                    answer.ok,
                    answer.status,
                    answer.error,
                ],
            )
            [given_up] = cursor.fetchone()
            if given_up:
                audit.record(
                    "WEBHOOK_ENDPOINT_DISABLED",
                    object_type="webhook_endpoint",
                    object_id=taken.endpoint_id,
                    details={"reason": UNREACHED},
                )
            counts["delivered" if answer.ok else "failed"] += 1
