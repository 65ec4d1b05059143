"""Platform metrics for Prometheus, read from the database and Redis on request.

A reading serves for a while: however many scrapers there are, they cost the database little. Each
source stands alone: one that fails is told as failed, and the others are shown.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import redis
from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.product.monitoring import selectors

logger = logging.getLogger(__name__)

# Not longer than scrapers wait between two scrapes: then what each sees never goes back, whichever
# web process answers it.
CACHE_SECONDS = 15.0
_STATEMENT_TIMEOUT = "3s"


def charges_and_codes(scope: Scope) -> Iterator[Metric]:
    """Yield what became of charges and codes."""
    charges = CounterMetricFamily(
        "mps_charges",
        "Charges, by outcome: completed, or the code of the refusal.",
        labels=["outcome"],
    )
    codes = {
        "codes_issued": CounterMetricFamily("mps_codes_issued", "Payment codes asked for."),
        "codes_used": CounterMetricFamily("mps_codes_used", "Charges that burnt a code."),
        "codes_expired": CounterMetricFamily(
            "mps_codes_expired",
            "Payment codes that ran out unused; those the rotation made do not count.",
        ),
    }
    outcomes = {"completed": 0}
    numbers = dict.fromkeys(codes, 0)
    for metric, label, total in selectors.totals(scope):
        if metric == "charges":
            outcomes[label] = total
        elif metric in numbers:
            numbers[metric] = total
    for outcome, total in sorted(outcomes.items()):
        charges.add_metric([outcome], total)
    yield charges
    for name, family in codes.items():
        family.add_metric([], numbers[name])
        yield family


def settlement(scope: Scope) -> Iterator[Metric]:
    """Yield how late settlement is."""
    late = selectors.late_settlements(scope)
    yield from _backlog("settlement", "Shops that should have been settled", late)


def webhooks(scope: Scope) -> Iterator[Metric]:
    """Yield how late webhooks are."""
    late = selectors.late_webhooks(scope)
    yield from _backlog("webhook", "Endpoints with a delivery that is due", late)


def audit_seal(scope: Scope) -> Iterator[Metric]:
    """Yield how late sealing the audit log is."""
    late = selectors.unsealed_events(scope)
    yield from _backlog("audit_seal", "Audit events in no seal yet", late)


def partitions(scope: Scope) -> Iterator[Metric]:
    """Yield how far ahead there are partitions."""
    yield _gauge(
        "mps_partition_months_ahead",
        "Months to come for which every partitioned table is ready.",
        selectors.partition_months_ahead(scope),
    )


def jobs(scope: Scope) -> Iterator[Metric]:
    """Yield how scheduled jobs are doing."""
    age = GaugeMetricFamily(
        "mps_job_last_success_age_seconds",
        "Since the last good run of a job began.",
        labels=["job"],
    )
    failed = GaugeMetricFamily(
        "mps_job_failed", "1 if the latest run of a job did not come to its end.", labels=["job"]
    )
    overdue = GaugeMetricFamily(
        "mps_job_overdue_seconds", "By how much a job is late by its schedule.", labels=["job"]
    )
    for job in selectors.job_ages(scope):
        age.add_metric([job.name], job.age_seconds)
        failed.add_metric([job.name], job.failed)
        overdue.add_metric([job.name], max(0.0, job.overdue_seconds))
    yield from (age, failed, overdue)


def incidents(scope: Scope) -> Iterator[Metric]:
    """Yield what is wrong by the health job's account."""
    opened = GaugeMetricFamily("mps_incident_open", "1 for each open incident.", labels=["kind"])
    age = GaugeMetricFamily("mps_incident_age_seconds", "Since it was opened.", labels=["kind"])
    for kind, seconds in sorted(selectors.open_incidents(scope).items()):
        opened.add_metric([kind], 1)
        age.add_metric([kind], seconds)
    yield from (opened, age)


def queue() -> Iterator[Metric]:
    """Yield how many tasks wait."""
    depth = GaugeMetricFamily("mps_queue_depth", "Tasks waiting for a worker.", labels=["queue"])
    for name, waiting in selectors.queue_depths().items():
        depth.add_metric([name], waiting)
    yield depth


OF_DATABASE: tuple[Callable[[db_scope.Scope], Iterator[Metric]], ...] = (
    charges_and_codes,
    settlement,
    webhooks,
    audit_seal,
    partitions,
    jobs,
    incidents,
)
OF_REDIS: tuple[Callable[[], Iterator[Metric]], ...] = (queue,)


class PlatformCollector(Collector):
    """Reads every source, at most once in `CACHE_SECONDS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._read: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """Return the latest reading, or make one."""
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_SECONDS:
                self._read = _read_all()
                self._read_at = time.monotonic()
            return self._read

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: registering it reads nothing."""
        return []


registry = CollectorRegistry(auto_describe=False)
registry.register(PlatformCollector())


def _read_all() -> list[Metric]:
    up = GaugeMetricFamily(
        "mps_source_up", "1 if this part of the figures was read.", labels=["source"]
    )
    families: list[Metric] = [up]
    families += _read_database(up)
    for source in OF_REDIS:
        try:
            families += list(source())
        except (redis.RedisError, OSError) as error:
            _failed(up, source, error)
        else:
            up.add_metric([source.__name__], 1)
    return families


def _read_database(up: GaugeMetricFamily) -> list[Metric]:
    """Read the sources of the database in one database transaction, each behind a savepoint."""
    families: list[Metric] = []
    left = list(OF_DATABASE)
    try:
        with db_scope.principal_scope("platform_admin") as scope:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, true)", [_STATEMENT_TIMEOUT]
                )
            while left:
                source = left[0]
                try:
                    with transaction.atomic():
                        families += list(source(scope))
                except (OperationalError, InterfaceError) as error:
                    if connection.connection is None or connection.connection.closed:
                        raise
                    _failed(up, source, error)
                except Exception as error:
                    _failed(up, source, error)
                else:
                    up.add_metric([source.__name__], 1)
                left.pop(0)
    except Exception as error:
        # The database is away: nobody waits for it once a source.
        connection.close()
        for source in left:
            _failed(up, source, error)
    return families


def _failed(
    up: GaugeMetricFamily, source: Callable[..., Iterator[Metric]], error: Exception
) -> None:
    logger.warning("figures of %s not read: %s", source.__name__, type(error).__name__)
    up.add_metric([source.__name__], 0)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _backlog(name: str, text: str, waiting: selectors.Backlog) -> Iterator[Metric]:
    yield _gauge(f"mps_{name}_waiting", f"{text}.", waiting.count)
    yield _gauge(f"mps_{name}_lag_seconds", f"{text}: since when.", waiting.age_seconds)
