"""Many at once, on real connections."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

from mps.base.core.errors import MpsError

Result = TypeVar("Result")
WORKERS = 40


def run_together(
    jobs: Sequence[Callable[[], Result]], workers: int = WORKERS
) -> list[Result | MpsError]:
    """Run the jobs by `workers` threads that start as one; return results and refusals in order."""
    workers = min(workers, len(jobs))
    barrier = threading.Barrier(workers)
    waited = threading.local()

    def run(job: Callable[[], Result]) -> Result | MpsError:
        if not hasattr(waited, "done"):
            connections["default"].ensure_connection()
            barrier.wait(30)
            waited.done = True
        try:
            return job()
        except MpsError as error:
            return error

    def close(_: int) -> None:
        barrier.wait(30)
        connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(run, jobs))
        list(pool.map(close, range(workers)))
    return results


def wait_for_a_waiter(seconds: float = 30) -> None:
    """Return when some session of this test's database waits for a lock."""
    deadline = time.monotonic() + seconds
    with connections["owner"].cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity s USING (pid)"
                " WHERE NOT l.granted AND s.datname = current_database())"
            )
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.005)
