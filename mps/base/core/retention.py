"""What keeps the database in shape: partitions ahead of time, and nothing kept for ever."""

from collections.abc import Iterator

from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import QuerySet

from mps.base.core import db_scope, jobs
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope

# What one statement deletes.
BATCH = 5000


def make_partitions() -> int:
    """Make the month partitions of this month and the four to come; return how many were missing.

    As the owner of the tables, by a function that does just that.
    """
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute("SELECT core_make_partitions()")
        return int(cursor.fetchone()[0])


def purge() -> Iterator[int]:
    """Forget sessions that ran out and old job runs; yield how many have gone so far.

    Runs that went well stay a week, those that failed 90 days.
    """
    done = 0
    while True:
        with db_scope.principal_scope("platform_admin") as scope:
            old = list(_old_sessions(scope).values_list("pk", flat=True)[:BATCH])
            gone, _by_model = Session.objects.filter(pk__in=old).delete()
        done += gone
        yield done
        if len(old) < BATCH:
            break
    yield done + jobs.purge_runs()


def count_old() -> int:
    """Return how many sessions and runs `purge` would forget now."""
    with db_scope.principal_scope("platform_admin") as scope:
        return _old_sessions(scope).count() + jobs.old_runs(scope).count()


def delete_in_batches(function: str) -> Iterator[int]:
    """Call a function that deletes at most so many rows until there is nothing left.

    Each call is a database transaction of its own. Yields how many have gone so far.

    :param function: its name; it takes the most to delete and answers how many it deleted.
    """
    done = 0
    while True:
        with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [BATCH])
            gone = int(cursor.fetchone()[0])
        done += gone
        yield done
        if gone < BATCH:
            return


def count_by(function: str) -> int:
    """Return what a function counts, in the platform's scope."""
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}()")
        return int(cursor.fetchone()[0])


def last_of(counts: Iterator[int]) -> int:
    """Do all batches; return how many have gone in the end."""
    return list(counts)[-1]


def _old_sessions(scope: Scope) -> QuerySet[Session]:
    return Session.objects.filter(expire_date__lt=DatabaseNow())
