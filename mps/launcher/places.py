"""Where the embedded servers of a data folder live, as whom they run, and who holds them.

Neither server runs as root. Started by an ordinary user, both run as that user and keep everything
under `<MPS_DATA_DIR>/servers`. Started by root, they run as an unprivileged account which may be
barred from the checkout (a home folder, typically), so that programs and data lie under
`/var/lib/mps` instead, where the account can reach them without anybody's permissions being
changed: `bin/<wheel>-<version>` and, per data folder, `<id of the state>`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mps.launcher import process, state
from mps.launcher.errors import LauncherError

SHARED: Final = Path("/var/lib/mps")
# initdb insists on an account with a name, so a made-up user id would not do.
_ACCOUNT_NAMES: Final = ("nobody", "daemon")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where the servers of one data folder live, and as whom they run (None: as ourselves)."""

    home: Path
    account: process.Account | None
    durable: bool

    @property
    def cluster(self) -> Path:
        """Return the folder of the database cluster."""
        return self.home / "postgres"

    @property
    def owner(self) -> tuple[int, int]:
        """Return the ids of the user and group the servers run as."""
        if self.account is None:
            return os.geteuid(), os.getegid()
        return self.account.uid, self.account.gid


def home(data_dir: Path, current: state.State) -> Path:
    """Return the folder in which the servers of `data_dir` keep their files."""
    return Path(current.home) if current.home else data_dir / "servers"


def open_place(data_dir: Path, current: state.State, *, durable: bool) -> Place:
    """Return where the servers of `data_dir` live, its folder made, and as whom they run."""
    folder = home(data_dir, current)
    if os.geteuid() != 0:
        if current.home:
            raise LauncherError(
                f"The embedded servers of {data_dir} were first started by root and live in "
                f"{folder}: start as root again, or set MPS_DATA_DIR to another folder."
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        return Place(home=folder, account=None, durable=durable)
    if not current.home and folder.exists():
        # Root continues what an ordinary user began, as that user.
        status = folder.stat()
        account = process.Account(status.st_uid, status.st_gid)
    else:
        account = _unprivileged_account()
    make_folder(SHARED, 0o755)
    make_folder(folder, 0o711)
    return Place(home=folder, account=account, durable=durable)


def make_folder(path: Path, mode: int) -> None:
    """Make a folder of ours with exactly `mode`, whatever the umask; leave an old one alone."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
        path.chmod(mode)


def _unprivileged_account() -> process.Account:
    for name in _ACCOUNT_NAMES:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return process.Account(entry.pw_uid, entry.pw_gid)
    raise LauncherError(
        "PostgreSQL does not run as root, and this machine has no account "
        f"{' or '.join(_ACCOUNT_NAMES)} to run it as: start MPS as an ordinary user."
    )


@contextlib.contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """Hold the data folder, making it if need be: one launcher at a time.

    The kernel drops the lock with the process, however that ends, so it cannot go stale.

    :raises LauncherError: another launcher holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(data_dir / "launcher.lock", data_dir):
        yield


@contextlib.contextmanager
def locked(file: Path, data_dir: Path) -> Iterator[None]:
    """Hold the lock `file` of `data_dir`, which names who holds it."""
    with open(file, "a+", encoding="ascii", opener=open_private) as stream:
        if os.geteuid() == 0:  # Where root continues for an ordinary user, that user goes on.
            owner = file.parent.stat()
            os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise LauncherError(
                f"MPS is already running on the data folder {data_dir} (process {holder}): stop "
                "it, or set MPS_DATA_DIR and MPS_PORT to run a second one beside it."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def open_private(name: str, flags: int) -> int:
    """Open a file that only its owner may read."""
    return os.open(name, flags, mode=0o600)
