"""The audit log as a superuser finds it, who can switch every guard off."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from mps.base.audit import chain, services
from mps.base.core.db_scope import principal_scope
from tests.conftest import url_for


def write_events(count: int) -> None:
    with principal_scope("platform_admin"):
        for number in range(count):
            services.record(
                "CARD_FROZEN",
                object_type="card",
                object_id=number,
                details={"reason": "Lost £1.00"},
            )


def seal(*sizes: int) -> None:
    """Make a chain of seals of so many events each."""
    for size in sizes:
        write_events(size)
        assert chain.seal_events() == size


@contextmanager
def unguarded(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's session in which no trigger fires."""
    url = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection
