"""An installation of MPS for the tests of upgrades: its data folder, its secrets, its programs."""

import gzip
import json
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mps.base.core import schema
from mps.launcher import programs, state

FOLDER = Path(__file__).parent
# Known secrets, so that what a dump holds under them can be read again.
SECRETS = {
    "SECRET_KEY": "a-key-for-upgrades-only-0123456789-0123456789-0123456789",
    "MPS_CODE_KEYS": "u1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
    "MPS_WEBHOOK_KEYS": "u1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
    "MPS_AUDIT_KEY": "an-audit-key-for-upgrades-only-0123456789",
}


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database_url(data_dir: Path, database: str = "mps") -> str:
    """Return the superuser's URL of the installation in `data_dir`."""
    current = json.loads((data_dir / "embedded.json").read_text())
    known = {field: current[field] for field in state.State.__dataclass_fields__}
    return state.State(**known).database_url("superuser", database)


def restore(release: str, url: str) -> None:
    """Restore the dump of a release into an empty database of a server that has the roles."""
    psql = [programs.binary("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    subprocess.run(
        [*psql, "--dbname", url],
        input=gzip.decompress((FOLDER / f"{release}.sql.gz").read_bytes()),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def dump_schema(url: str) -> list[str]:
    """Return the schema as pg_dump writes it, without partitions, which each month adds to."""
    command = [programs.binary("pg_dump"), "--schema-only", "--dbname", url]
    text = subprocess.run(
        [*command, "--exclude-table=*_y[0-9][0-9][0-9][0-9]m[0-9][0-9]"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # A random word guards each dump's own commands.
    return [
        schema.normalize(line)
        for line in text.splitlines()
        if not line.startswith(("\\restrict", "\\unrestrict"))
    ]


def call(
    url: str,
    body: Mapping[str, Any] | None = None,
    *,
    token: str = "",
    key: str = "",
) -> tuple[int, Any, Mapping[str, str]]:
    """Send a request with a JSON body, or GET without one; return status, answer and headers."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def charge(api: str, world: Mapping[str, str], *, amount: str, key: str) -> tuple[int, Any]:
    """Sign a member in, make a code for a shared card, and charge it at a till."""
    _, signed_in, _ = call(
        f"{api}/auth/login", {"identifier": world["phone"], "password": world["password"]}
    )
    _, code, _ = call(f"{api}/me/cards/{world['card']}/code", {}, token=signed_in["token"])
    body = {"code": code["code"], "amount": amount}
    status, answer, _ = call(f"{api}/pos/charges", body, token=world["terminal"], key=key)
    return status, {"request": body, "answer": answer}
