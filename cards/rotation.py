"""Replace the codes of shared cards, and delete old codes.

Rotation looks once, without a lock, for the codes that are due, and then gives them successors
batch by batch, each batch by one statement in a database transaction of its own. A code has a new
id with each making, and only a code that nobody has used, revoked or replaced meanwhile is rotated,
by its id: so two rotations at once rotate none twice, and one that is killed has done some batches
and leaves the others to the next. A code a charge holds at that moment is left to the charge.

The digits are made here, because the database has no key to make them with; a thread makes those
of the next batch while the database is at this one.

Rules: docs/rules.md#payment-codes.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import connection

from cards import codes
from cards.models import PAYING_ROLES, SHAREABLE_TYPES, Card
from cards.payment_codes import MAX_TTL_SECONDS, MIN_TTL_SECONDS
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors

TTL_SECONDS = 300
MIN_AGE_SECONDS = 300
GRACE_SECONDS = 60
# What one statement rotates. A charge that meets a batch waits for its end: about a tenth of a
# second.
BATCH = 5000

# NOT EXISTS, where joins would say the same: the planner then expects that nearly all are left, as
# they are, and takes half the time.
_DUE = """
    SELECT string_agg(code.ctid::text, ' '), string_agg(code.id::text, ' ')
    FROM cards_paymentcode code
    JOIN cards_card card ON card.id = code.card_id,
    (SELECT core_now() AS now) AS clock
    WHERE code.ended_at IS NULL
      AND code.expires_at > clock.now - make_interval(secs => %(grace)s)
      AND (code.issued_at <= clock.now - make_interval(secs => %(age)s)
           OR code.expires_at <= clock.now)
      AND card.card_type = ANY (%(types)s) AND card.status = %(card_active)s
      AND (card.expires_at IS NULL OR card.expires_at > clock.now)
      AND NOT EXISTS (SELECT FROM members_member m
                      WHERE m.id = code.member_id AND m.status <> %(member_active)s)
      AND NOT EXISTS (SELECT FROM members_member m
                      WHERE m.id = card.owner_id AND m.status <> %(member_active)s)
      AND EXISTS (SELECT FROM cards_binding b WHERE b.card_id = code.card_id
                  AND b.member_id = code.member_id AND b.role = ANY (%(roles)s))
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Codes that are due: where they lie and their ids, as the database writes arrays."""

    places: str
    ids: str
    size: int


@dataclass(frozen=True, slots=True)
class MadeCodes:
    """Codes nobody has yet: what the database keeps of them, as it writes arrays."""

    key_id: str
    nonces: str
    hashes: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rotation is: codes rotated, of how many that were due when it began."""

    done: int
    total: int


def rotate_codes(*, ttl_seconds: int = TTL_SECONDS, all_live: bool = False) -> int:
    """Give the codes of active prepaid and corporate cards successors; return how many.

    Codes that are at least 300 s old, and those that ran out up to 60 s ago. A code that was used
    or revoked gets none, nor does one of a suspended member or of whom the card no longer lets pay.
    Safe to repeat, to run twice at once and to cut short.

    :param ttl_seconds: how long a successor lives, 60 to 86,400.
    :param all_live: all live ones of such cards, however young, and none that ran out.
    :raises InvalidRequestError: `ttl_seconds` is out of bounds.
    """
    done = 0
    for progress in rotate_in_batches(ttl_seconds=ttl_seconds, all_live=all_live):
        done = progress.done
    return done


def rotate_in_batches(
    *, ttl_seconds: int = TTL_SECONDS, all_live: bool = False
) -> Iterator[Progress]:
    """Do what `rotate_codes` does; yield after each batch.

    :raises InvalidRequestError: `ttl_seconds` is out of bounds.
    """
    if not MIN_TTL_SECONDS <= ttl_seconds <= MAX_TTL_SECONDS:
        raise errors.InvalidRequestError(
            errors={"ttl_seconds": [f"Must be from {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS}."]}
        )
    batches = find_due(all_live=all_live)
    total = sum(batch.size for batch in batches)
    done = 0
    with ThreadPoolExecutor(1, "codes") as maker:
        making = maker.submit(_make_codes, batches[0].size) if batches else None
        for number, batch in enumerate(batches, start=1):
            made = making.result() if making else _make_codes(batch.size)
            making = (
                maker.submit(_make_codes, batches[number].size) if number < len(batches) else None
            )
            done += _rotate(batch, made, ttl_seconds)
            yield Progress(done, total)
    if done:
        with db_scope.principal_scope("platform_admin"):
            audit.record(
                "CODES_ROTATED",
                object_type="code",
                object_id="",
                details={"codes": done, "ttl_seconds": ttl_seconds, "all_live": all_live},
            )


def find_due(*, all_live: bool = False) -> list[Batch]:
    """Return the codes that `rotate_codes` would rotate now."""
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(
            _DUE,
            {
                "grace": 0 if all_live else GRACE_SECONDS,
                "age": 0 if all_live else MIN_AGE_SECONDS,
                "types": list(SHAREABLE_TYPES),
                "card_active": Card.Status.ACTIVE.value,
                "member_active": Member.Status.ACTIVE.value,
                "roles": list(PAYING_ROLES),
            },
        )
        places, ids = ((text or "").split() for text in cursor.fetchone())
    return [
        Batch(_array(places[start:end]), _array(ids[start:end]), len(ids[start:end]))
        for start, end in ((first, first + BATCH) for first in range(0, len(ids), BATCH))
    ]


def drop_code_history(*, dry_run: bool = False) -> list[str]:
    """Drop the months of past codes that are wholly older than 30 days; return their names.

    :param dry_run: only say which.
    :raises UnavailableError: a month is being read; try again.
    """
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute("SELECT cards_drop_code_history(%s)", [dry_run])
        months = [row[0] for row in cursor.fetchall()]
        if months and not dry_run:
            audit.record(
                "CODE_HISTORY_DROPPED",
                object_type="code",
                object_id="",
                details={"partitions": months},
            )
    return months


def _make_codes(number: int) -> MadeCodes:
    """Make so many codes, without the database."""
    key = codes.current_keys()[0]
    nonces = [codes.new_nonce() for _ in range(number)]
    hashes = [codes.hash_code(key, codes.derive_code(key, nonce)) for nonce in nonces]
    return MadeCodes(key.id, _array(map(_hex, nonces)), _array(map(_hex, hashes)))


def _rotate(batch: Batch, made: MadeCodes, ttl_seconds: int) -> int:
    """Rotate a batch by one statement; return how many of it were rotated."""
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT cards_rotate_codes(p_places => %s::tid[], p_ids => %s::uuid[],"
            " p_nonces => %s::bytea[], p_key_id => %s, p_hashes => %s::bytea[],"
            " p_ttl_seconds => %s)",
            [batch.places, batch.ids, made.nonces, made.key_id, made.hashes, ttl_seconds],
        )
        return int(cursor.fetchone()[0])


def _array(values: Iterable[str]) -> str:
    """Write an array as the database does: much cheaper than value by value, for so many."""
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


def _hex(value: bytes) -> str:
    """Write bytes as an array of the database holds them."""
    return "\\\\x" + value.hex()
