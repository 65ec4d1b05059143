"""Monitor the platform: find problems, and send one alert when each begins and ends.

    open ──the finding is gone, or staff close it──▶ closed

A kind has one open incident, by a unique index: found by many at once it is opened once. Who tells
holds a lease on the incident; each channel is noted when it was told. So each channel is told once,
and again only if whoever told was killed before the note.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, invariants, jobs
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.product.monitoring import alerts, checks, outages, reconciling
from mps.product.monitoring.checks import Finding, Kind
from mps.product.monitoring.models import Incident, IncidentQuerySet

logger = logging.getLogger(__name__)

HEALTH_JOB = "monitoring.check_health"
RECONCILE_JOB = "monitoring.reconcile"

_AWAY = (OperationalError, InterfaceError)
_CHECK_TIMEOUT = "20s"
_RECONCILE_TIMEOUT = "15min"
_CLAIM = timedelta(seconds=120)
NOW = DatabaseNow()
# Who could not be told for so long will hardly want to hear of it.
_GIVE_UP_AFTER = timedelta(days=1)
_OFFENDERS_SHOWN = 10


# --- health --------------------------------------------------------------------------------------


def watch_health() -> list[Finding] | None:
    """Check the platform's health as a job, and also when the database is away; None: at it.

    :returns: what is wrong.
    """
    found: list[Finding] = []

    def work() -> Mapping[str, Any]:
        found.extend(check_health())
        return {"findings": [str(finding.kind) for finding in found]}

    try:
        return found if jobs.run(HEALTH_JOB, work).started else None
    except _AWAY:
        # The frame of jobs writes each run down; without a database there is none to write in.
        connection.close()
        return check_health()


def check_health() -> list[Finding]:
    """Make every check; open, refresh and close incidents accordingly, and tell of them.

    Safe to run many at once and to be killed half way.
    """
    findings: dict[str, Finding | None] = {kind: check() for kind, check in checks.OF_REDIS.items()}
    if not _database_answers():
        away = Finding(Kind.DATABASE)
        _tell_outage()
        return [away, *(each for each in findings.values() if each)]
    _end_outage()
    broken = []
    for kind, check in checks.OF_DATABASE.items():
        try:
            with db_scope.principal_scope("platform_admin") as scope:
                _allow(scope, _CHECK_TIMEOUT)
                findings[kind] = check(scope)
        except Exception as error:
            logger.exception("health check %s cannot be made", kind)
            broken.append({"check": str(kind), "error": type(error).__name__})
    findings[Kind.CHECK_FAILED] = Finding(Kind.CHECK_FAILED, {"checks": broken}) if broken else None
    _note(findings)
    tell_all()
    _count()
    return [finding for finding in findings.values() if finding]


def close_incident(*, incident_id: UUID, reason: str) -> None:
    """Close an incident by hand; if what is wrong stays so, the next check opens another.

    Safe to repeat.

    :raises NotFoundError: there is no such incident.
    """
    audit.require_reason(reason)
    with (
        audit.refusals("INCIDENT_CLOSE_REFUSED", object_type="incident", object_id=incident_id),
        db_scope.principal_scope("platform_admin"),
    ):
        incident = Incident.objects.filter(id=incident_id).first()
        if incident is None:
            raise errors.NotFoundError("Incident not found.")
        if not _close(Incident.objects.filter(id=incident_id)):
            return
        audit.record(
            "INCIDENT_CLOSED",
            object_type="incident",
            object_id=incident_id,
            details={"kind": incident.kind, "reason": reason.strip()},
        )


# --- reconcile -----------------------------------------------------------------------------------


def watch_books() -> dict[str, Any] | None:
    """Reconcile as a job; None: it is running already."""
    ran = jobs.run(RECONCILE_JOB, reconcile)
    return dict(ran.result) if ran.started else None  # type: ignore[arg-type]


def reconcile() -> dict[str, Any]:
    """Compare balances, entries, postings and transactions of the time since the last clean run.

    Also of one part of all accounts, another each time, so that within a day each account is
    looked at; and of everything, while that is little. A run that finds a difference leaves where
    it began: the next looks at the same again, until it is gone. Nothing is repaired.

    :returns: the differences, by the check that found them; none is well.
    """
    span = _in_scope(reconciling.begin)
    differences: dict[str, list[str]] = {}
    for check in reconciling.CHECKS:
        offenders = _in_scope(lambda scope, check=check: check.find(scope, span))  # type: ignore[misc]
        if offenders:
            differences[check.name] = offenders
    if not differences:
        _in_scope(lambda scope: reconciling.finish(scope, span))
    _note({Kind.RECONCILE: _difference(Kind.RECONCILE, differences)})
    tell_all()
    return {"from": span.since, "everything": span.everything, "differences": differences}


def reconcile_fully(
    *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> dict[str, list[str]]:
    """Check every invariant on the whole database, as its owner; tell of those that do not hold.

    :param progress: called with how many of how many are done.
    :returns: the first offender of each that does not hold.
    """
    breaches = invariants.check(progress=progress)
    differences = {breach.invariant: [breach.offender] for breach in breaches}
    _note({Kind.RECONCILE_FULL: _difference(Kind.RECONCILE_FULL, differences)})
    tell_all()
    return differences


def _difference(kind: str, differences: dict[str, list[str]]) -> Finding | None:
    if not differences:
        return None
    shown = {name: offenders[:_OFFENDERS_SHOWN] for name, offenders in differences.items()}
    return Finding(kind, {"differences": shown})


def _in_scope(work: Callable[[Scope], Any]) -> Any:
    """Do one long look of its own; reconciling everything takes longer than a request may."""
    with db_scope.principal_scope("platform_admin") as scope:
        _allow(scope, _RECONCILE_TIMEOUT)
        return work(scope)


# --- incidents -----------------------------------------------------------------------------------


def _note(findings: Mapping[str, Finding | None]) -> None:
    """Open or refresh an incident of each kind that was found; close those of the others."""
    with db_scope.principal_scope("platform_admin") as scope:
        # By name, as everybody: two who note the same wait for each other in one order.
        for kind, finding in sorted(findings.items()):
            if finding is None:
                _close(Incident.objects.filter(kind=kind))
            else:
                _open(scope, finding)


def _open(scope: Scope, finding: Finding) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_incident (kind, details, told) VALUES (%s, %s::jsonb, '{}')"
            " ON CONFLICT (kind) WHERE closed_at IS NULL"
            " DO UPDATE SET last_seen_at = core_now(), details = excluded.details",
            [str(finding.kind), json.dumps(finding.details, default=str)],
        )


def _close(incidents: IncidentQuerySet) -> int:
    return incidents.open().update(closed_at=NOW)


def tell_all() -> None:
    """Tell of every incident, and every end of one, that somebody still has to be told of."""
    with db_scope.principal_scope("platform_admin") as scope:
        untold = list(_untold(scope).order_by("opened_at").values_list("id", flat=True))
    for incident_id in untold:
        incident = _claim(incident_id)
        if incident is not None:
            _tell(incident)


def _tell(incident: Incident) -> None:
    """Tell of an incident that is claimed, in the order in which things happened."""
    phases: list[alerts.Phase] = ["opened", "closed"] if incident.closed_at else ["opened"]
    told = set(incident.told)
    for phase in phases:
        alert = alerts.Alert(
            incident.id, incident.kind, phase, incident.details, incident.opened_at
        )
        told |= alerts.tell(alert, told=told)
    with db_scope.principal_scope("platform_admin"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_incident SET told = %s, claimed_until = NULL,"
            " notified_at = coalesce(notified_at, CASE WHEN %s THEN core_now() END),"
            " resolution_notified_at = coalesce(resolution_notified_at,"
            " CASE WHEN %s THEN core_now() END) WHERE id = %s",
            [
                sorted(told),
                alerts.is_told("opened", told),
                "closed" in phases and alerts.is_told("closed", told),
                incident.id,
            ],
        )


def _claim(incident_id: UUID) -> Incident | None:
    """Take the lease on an incident of which somebody still has to be told; None: another has."""
    with db_scope.principal_scope("platform_admin") as scope:
        free = _untold(scope).unclaimed().filter(id=incident_id)
        if not free.update(claimed_until=NOW + _CLAIM):
            return None
        return Incident.objects.get(id=incident_id)


def _untold(scope: Scope) -> IncidentQuerySet:
    return Incident.objects.untold().filter(last_seen_at__gt=NOW - _GIVE_UP_AFTER)


# --- the database is away ------------------------------------------------------------------------


def _database_answers() -> bool:
    """Return whether the database answers, if need be on a new connection."""
    for _ in range(2):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except _AWAY:
            connection.close()
        else:
            return True
    return False


def _tell_outage() -> None:
    """Tell that the database is away, once; who was told is remembered elsewhere."""
    outage = outages.claim()
    if outage is None:
        return
    try:
        alert = alerts.Alert(outage.id, Kind.DATABASE, "opened", {}, outage.since)
        outage.told = sorted({*outage.told, *alerts.tell(alert, told=set(outage.told))})
    finally:
        outages.keep(outage)


def _end_outage() -> None:
    """Write an outage that is over down as an incident, which is then told like any other."""
    outage = outages.current()
    if outage is None:
        return
    with db_scope.principal_scope("platform_admin"):
        Incident.objects.bulk_create([_incident_of(outage)], ignore_conflicts=True)
    outages.forget()


def _incident_of(outage: outages.Outage) -> Incident:
    return Incident(
        id=outage.id,
        kind=Kind.DATABASE,
        opened_at=outage.since,
        closed_at=NOW,
        details={},
        told=outage.told,
    )


# --- inside --------------------------------------------------------------------------------------


def _count() -> None:
    """Add what happened to the counters of /metrics."""
    with db_scope.principal_scope("platform_admin") as scope, connection.cursor() as cursor:
        _allow(scope, _CHECK_TIMEOUT)
        cursor.execute("SELECT monitoring_advance()")


def _allow(scope: Scope, timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [timeout])
