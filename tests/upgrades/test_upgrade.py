"""A database of each past release, upgraded by `make run`'s own path, is one of this release."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from tests.conftest import url_for
from tests.launcher.helpers import CHECKOUT, launched
from tests.upgrades import installation

RELEASES = sorted(path.name.removesuffix(".sql.gz") for path in installation.FOLDER.glob("*.gz"))


def manage(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("DATABASE_", "MPS_", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "DEBUG")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        check=False,
        cwd=CHECKOUT,
        env={**env, **installation.SECRETS, "MPS_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module", params=RELEASES)
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """An installation of a past release, started with this one."""
    data_dir = tmp_path_factory.mktemp("upgrade") / "data"
    env = {"MPS_DATA_DIR": str(data_dir), "MPS_DEMO": "0", **installation.SECRETS}
    with launched("-m", "mps.launcher", "servers", **env) as servers:
        servers.wait_for("PostgreSQL is ready")
        done = manage(data_dir, "bootstrap_database")
        assert done.returncode == 0, done.stderr
        installation.restore(request.param, installation.database_url(data_dir))
    port = installation.free_port()
    with launched("-m", "mps.launcher", "run", MPS_PORT=str(port), **env) as running:
        running.wait_for("Ctrl-C stops everything")
        yield SimpleNamespace(
            data_dir=data_dir,
            url=installation.database_url(data_dir),
            site=f"http://127.0.0.1:{port}",
            api=f"http://127.0.0.1:{port}/api/v1",
            world=json.loads((installation.FOLDER / f"{request.param}.json").read_text()),
        )


def test_there_is_a_dump_of_the_first_release() -> None:
    assert "1.0.0" in RELEASES


def test_it_has_the_schema_of_a_fresh_database_to_the_line(
    upgraded: SimpleNamespace, superuser: psycopg.Connection
) -> None:
    fresh = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], "mps_template")

    assert installation.dump_schema(upgraded.url) == installation.dump_schema(fresh)
    checked = manage(upgraded.data_dir, "check_schema")
    assert checked.stdout == "The database is as this release expects.\n", checked.stderr


def test_it_is_ready(upgraded: SimpleNamespace) -> None:
    status, answer, _ = installation.call(f"{upgraded.site}/readyz")

    assert (status, answer["status"]) == (200, "ok")


def test_books_and_chain_hold(upgraded: SimpleNamespace) -> None:
    for command in ("check_invariants", "seal_audit", "verify_audit", "reconcile"):
        done = manage(upgraded.data_dir, command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_an_old_till_charges_and_hears_its_old_answers(upgraded: SimpleNamespace) -> None:
    world = upgraded.world
    before = world["charged"]

    replayed_status, replayed, headers = installation.call(
        f"{upgraded.api}/pos/charges",
        before["request"],
        token=world["terminal"],
        key="before",
    )
    status, charged = installation.charge(upgraded.api, world, amount="100.00", key="after")

    assert (replayed_status, headers["Idempotent-Replayed"]) == (201, "true")
    assert replayed == before["answer"]
    assert status == 201, charged
    _, shown, _ = installation.call(
        f"{upgraded.api}/pos/charges/{before['answer']['tx_no']}", token=world["terminal"]
    )
    assert shown["final_amount"] == before["answer"]["final_amount"]
