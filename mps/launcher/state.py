"""Addresses, passwords and generated secrets of the embedded servers.

Kept in `<MPS_DATA_DIR>/embedded.json`, readable by its owner only, so that every process under the
same `MPS_DATA_DIR` talks to the same servers with the same secrets.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from mps.launcher.errors import LauncherError

Role = Literal["superuser", "owner", "web", "report", "backup"]

CHECKOUT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
LOGINS: Final[Mapping[Role, str]] = {
    "superuser": "postgres",
    "owner": "mps_owner",
    "web": "mps_web",
    "report": "mps_report",
    "backup": "mps_backup",
}
# Where the demonstration writes who may sign in.
CREDENTIALS_FILE: Final = "demo-credentials.txt"
_FILE_NAME: Final = "embedded.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Addresses, passwords and secrets of one data folder."""

    id: str
    # Where the servers keep their files; None means inside the data folder.
    home: str | None
    postgres_port: int
    redis_port: int
    passwords: Mapping[str, str]
    redis_password: str
    secrets: Mapping[str, str]

    def database_url(self, role: Role, database: str = "mps") -> str:
        """Return the libpq URL, password included, under which `role` reaches `database`."""
        login = LOGINS[role]
        password = quote(self.passwords[login], safe="")
        address = f"{HOST}:{self.postgres_port}"
        return f"postgresql://{login}:{password}@{address}/{quote(database, safe='')}"

    def redis_url(self) -> str:
        """Return the URL of the embedded Valkey, password included."""
        return f"redis://:{quote(self.redis_password, safe='')}@{HOST}:{self.redis_port}/0"

    def environment(self) -> dict[str, str]:
        """Return all addresses and secrets as the environment variables MPS reads."""
        return {
            "DATABASE_URL": self.database_url("web"),
            "DATABASE_OWNER_URL": self.database_url("owner"),
            "DATABASE_REPORT_URL": self.database_url("report"),
            "DATABASE_BACKUP_URL": self.database_url("backup"),
            "DATABASE_SUPERUSER_URL": self.database_url("superuser", "postgres"),
            "REDIS_URL": self.redis_url(),
            **self.secrets,
        }


def data_dir() -> Path:
    """Return the folder of all local data: `MPS_DATA_DIR`, or `.data` in the checkout."""
    configured = os.environ.get("MPS_DATA_DIR", "")
    return Path(configured).expanduser().absolute() if configured else CHECKOUT / ".data"


def load(path: Path) -> State | None:
    """Read the state of the data folder `path`, or return None where no server ever started.

    :raises LauncherError: the file is not readable or not one of ours.
    """
    file = path / _FILE_NAME
    try:
        return State(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise LauncherError(
            f"{file} belongs to another user: work as that user, or set MPS_DATA_DIR to a folder "
            "of your own."
        ) from None
    except (ValueError, TypeError):
        raise LauncherError(
            f"{file} is damaged: restore it, or delete {path} to begin with an empty database."
        ) from None


def leads_to_own(path: Path, url: str) -> bool:
    """Tell whether `url` is how MPS reaches the embedded database of the data folder `path`."""
    try:
        known = load(path)
    except LauncherError:
        return False
    return known is not None and url == known.database_url("web")


def save(path: Path, state: State) -> None:
    """Write `state` into the data folder `path`, atomically and readable by its owner only."""
    content = json.dumps(dataclasses.asdict(state), indent=2) + "\n"
    write_private(path / _FILE_NAME, content, owner=path)


def generate() -> State:
    """Make the state of a new data folder: random passwords and secrets, no ports yet."""
    return State(
        id=secrets.token_hex(8),
        home=None,
        postgres_port=0,
        redis_port=0,
        passwords={login: secrets.token_urlsafe(24) for login in LOGINS.values()},
        redis_password=secrets.token_urlsafe(24),
        secrets={
            "SECRET_KEY": secrets.token_urlsafe(48),
            "MPS_CODE_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "MPS_AUDIT_KEY": secrets.token_urlsafe(32),
        },
    )


def write_private(file: Path, content: str, *, owner: Path | tuple[int, int]) -> None:
    """Replace `file` atomically with `content`, mode 0600, for `owner` (ids, or whoever owns it).

    A reader sees the old content or the new, never a half; a crash leaves one of the two.
    """
    if isinstance(owner, Path):
        status = owner.stat()
        owner = (status.st_uid, status.st_gid)
    # mkstemp creates the file exclusively with mode 0600, so that no link laid there is followed.
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), *owner)
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
