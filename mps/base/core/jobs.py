"""Run a job: one run at a time, recorded, in many short database transactions.

A run is a row with a lease. Whoever inserts it runs; a second, fired at the same time, is told so
at once. A thread renews the lease while the work lasts; the lease of a process that was killed runs
out, and the next run leaves its row behind as unfinished. Unlike a session's advisory lock this
holds no connection, so it works through PgBouncer in transaction mode, and no database transaction
stays open over the whole job.

The lease keeps two from doing the same work at once. It is no proof that nobody does: a process
that was suspended longer than its lease goes on when it wakes. So every job must be right even
then, by locks and constraints of its own, as it must when it is killed half way.
"""

import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.apps import apps
from django.db import DatabaseError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from mps.base.core import context, db_scope
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.base.core.models import JobRun

logger = logging.getLogger(__name__)

# How long a run is believed to live without a sign of life, and how often it gives one.
LEASE_SECONDS = 60
RENEW_SECONDS = 15
# As core_purge_job_runs() has it, which keeps the newest run of each job, too.
KEEP_RUNS = timedelta(days=90)
KEEP_GOOD_RUNS = timedelta(days=7)
ALREADY_RUNNING = "already running"
_MAX_RESULT = 2000

Result = int | Mapping[str, Any] | None


def scheduled() -> dict[str, dict[str, Any]]:
    """Return the jobs by what staff call them, and when each runs to begin with.

    Each app names its own as `jobs` of its AppConfig. They are written into the database by beat's
    first start; from there on staff edit them in the console. Days and hours are UTC.
    """
    return {
        name: entry
        for config in apps.get_app_configs()
        for name, entry in getattr(config, "jobs", {}).items()
    }


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of asking for a run.

    :param started: False: the job is running already; nothing was done.
    """

    started: bool
    result: Result = None


def run(name: str, work: Callable[[], Result], *, actor: str = "") -> Ran:
    """Do `work` as the job `name`, unless that job is running; write down what came of it.

    :param work: opens its own scopes, one a batch, and can be cut short between any two of them.
    :param actor: who does it, for the audit log; default: the job.
    """
    run_id = _start(name)
    if run_id is None:
        logger.info("job is running already", extra={"job": name})
        return Ran(started=False)
    with context.acting("system", actor or name), _renewed(run_id, name):
        try:
            result = work()
        except BaseException as exception:
            _finish(run_id, name, None, type(exception).__name__)
            raise
    _finish(run_id, name, result, "")
    return Ran(started=True, result=result)


def job(name: str) -> Callable[[Callable[[], Result]], Any]:
    """Make a function the Celery task `name`, which runs it as the job of that name.

    The task returns the function's result, or `already running`.
    """

    def decorate(work: Callable[[], Result]) -> Any:
        @functools.wraps(work)
        def task() -> Result | str:
            ran = run(name, work)
            return ran.result if ran.started else ALREADY_RUNNING

        return shared_task(name=name)(task)

    return decorate


def purge_runs() -> int:
    """Forget runs of a week ago that went well, others after 90 days; return how many."""
    return int(_call("SELECT core_purge_job_runs()"))


def old_runs(scope: Scope) -> QuerySet[JobRun]:
    """Return what `purge_runs` would forget now."""
    later = JobRun.objects.filter(name=OuterRef("name"), id__gt=OuterRef("id"))
    good = Q(outcome=JobRun.Outcome.OK, started_at__lt=DatabaseNow() - KEEP_GOOD_RUNS)
    old = Q(started_at__lt=DatabaseNow() - KEEP_RUNS) & ~Q(outcome=JobRun.Outcome.RUNNING)
    return JobRun.objects.filter(good | old, Exists(later))


# --- inside ---------------------------------------------------------------------------------------


def _start(name: str) -> UUID | None:
    """Return the id of a run that has begun; None if one is running."""
    run_id: UUID | None = _call("SELECT core_start_job(%s, %s)", name, LEASE_SECONDS)
    return run_id


def _finish(run_id: UUID, name: str, result: Result, error: str) -> None:
    """Write down how a run ended. That it cannot be written down changes nothing about the work."""
    text = json.dumps(result, default=str)
    if len(text) > _MAX_RESULT:
        text = "null"
    try:
        known = _call("SELECT core_finish_job(%s, %s::jsonb, %s)", run_id, text, error[:80])
    except DatabaseError as exception:
        about = {"job": name, "error": type(exception).__name__}
        logger.error("job's end not written down", extra=about)
        return
    if not known:
        logger.error("job outlived its lease and was superseded", extra={"job": name})


@contextmanager
def _renewed(run_id: UUID, name: str) -> Iterator[None]:
    """Renew the lease from a thread, on a connection of its own, until the block ends.

    A job shorter than the first renewal opens none.
    """
    done = threading.Event()

    def renew() -> None:
        try:
            while not done.wait(RENEW_SECONDS):
                try:
                    _call("SELECT core_keep_job(%s, %s)", run_id, LEASE_SECONDS)
                except DatabaseError as exception:
                    about = {"job": name, "error": type(exception).__name__}
                    logger.warning("job's lease not renewed", extra=about)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name=f"lease of {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _call(sql: str, *parameters: str | int | UUID) -> Any:
    """Return the one value of a statement, in a database transaction of the platform's."""
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]
