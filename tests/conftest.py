"""A real database for every test: a clone of the migrated template, dropped afterwards.

Tests commit. There is no enclosing test transaction, so locks, triggers, roles and durability are
the real ones.
"""

import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connections

from tests.servers import TEMPLATE

_numbers = itertools.count()
_over: list[str] = []


def pytest_collection_finish() -> None:
    """Spare the collector what was collected: it lives until the end, and the framework with it."""
    gc.collect()
    gc.freeze()


def url_for(url: str, database: str) -> str:
    """Return `url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def superuser() -> Iterator[psycopg.Connection]:
    """A superuser's connection to the `postgres` database."""
    with psycopg.connect(os.environ["MPS_TEST_SUPERUSER_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Nothing of pytest-django's: the template is migrated before Django starts."""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Whatever language the test before read, this one reads English."""
    from django.utils import translation

    with translation.override("en"):
        yield


@pytest.fixture
def database(unchecked_database: str) -> Iterator[str]:
    """The name of a fresh database; after the test all invariants hold, or the test fails."""
    from mps.base.core import context, invariants

    # What a test does outside a request is done by the system, whoever acted in the test before.
    with context.acting("system", "mps", request_id=""):
        yield unchecked_database

    assert invariants.check() == []


@pytest.fixture
def unchecked_database(superuser: psycopg.Connection, django_db_blocker) -> Iterator[str]:
    """The name of a fresh clone of the template, to which `default` (as mps_web) and `owner` are
    connected.
    """
    with cloned_database(superuser, django_db_blocker) as name:
        yield name


@pytest.fixture(scope="module")
def module_database(superuser: psycopg.Connection, django_db_blocker) -> Iterator[str]:
    """One clone for all tests of a module, which leave nothing behind. Not beside `database`."""
    from mps.base.core import context

    with (
        cloned_database(superuser, django_db_blocker) as name,
        context.acting("system", "mps", request_id=""),
    ):
        yield name


@contextmanager
def cloned_database(superuser: psycopg.Connection, django_db_blocker) -> Iterator[str]:
    """Clone the template, connect Django to it, and drop it afterwards."""
    name = f"mps_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_numbers)}"
    superuser.execute(
        f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} OWNER mps_owner STRATEGY file_copy'
    )
    superuser.execute(f'GRANT CONNECT ON DATABASE "{name}" TO mps_web, mps_report')
    with django_db_blocker.unblock():
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = name
        try:
            yield name
        finally:
            for alias in connections:
                connections[alias].close()
                connections[alias].settings_dict["NAME"] = TEMPLATE
            # Its last sessions are still ending, for which dropping would wait a tenth of a second:
            # it goes after the next test.
            _over.append(name)
            for earlier in _over[:-1]:
                superuser.execute(f'DROP DATABASE "{earlier}" WITH (FORCE)')
            del _over[:-1]


@pytest.fixture
def db(database: str) -> str:
    """The same under the usual name."""
    return database
