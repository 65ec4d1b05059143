"""`run` with a project as small as can be: real servers, granian, Celery worker and beat.

The project is made of the launcher and a few lines, so that nothing here depends on MPS itself.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.helpers import (
    CHECKOUT,
    Launched,
    descendants,
    is_alive,
    launched,
    wait_until,
)

_FILES = {
    "mps/__init__.py": "",
    "mps/settings.py": """
        import os, environ
        SECRET_KEY = os.environ["SECRET_KEY"]
        INSTALLED_APPS = ["django_celery_beat"]
        DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
        CELERY_BROKER_URL = os.environ["REDIS_URL"]
        USE_TZ = True
    """,
    "mps/celery.py": """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "mps.settings"
        from celery import Celery
        app = Celery("mps")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 0.5}}
        @app.task(name="tick")
        def tick():
            print("ticked", flush=True)
    """,
    "mps/wsgi.py": """
        import json, os
        def application(environ, start_response):
            status = "200 OK" if not os.path.exists("broken") else "503 Not today"
            start_response(status, [("Content-Type", "application/json")])
            return [json.dumps(dict(os.environ, pid=str(os.getpid()))).encode()]
    """,
    "manage.py": """
        import os, sys
        os.environ["DJANGO_SETTINGS_MODULE"] = "mps.settings"
        import django, psycopg
        from django.core.management import call_command
        assert sys.argv[1:] == ["prepare"]
        if os.path.exists("refuse"):
            sys.exit("prepare refuses")
        url = os.environ["DATABASE_SUPERUSER_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'mps_web'").fetchall():
                password = os.environ["DATABASE_URL"].split(":")[2].split("@")[0]
                connection.execute(f"CREATE ROLE mps_web LOGIN PASSWORD '{password}'")
                connection.execute("CREATE DATABASE mps OWNER mps_web")
                print("first time")
        django.setup()
        call_command("migrate", verbosity=0)
        with open(os.path.join(os.environ["MPS_DATA_DIR"], "demo-credentials.txt"), "w") as file:
            file.write("Alice: alice@example.com / secret\\n")
    """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("closed") / "a project"
    folder.parent.chmod(0o700)
    shutil.copytree(CHECKOUT / "mps" / "launcher", folder / "mps" / "launcher")
    for name, content in _FILES.items():
        lines = content.splitlines()[1:]
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in lines))
    yield folder
    with _launcher(folder, "reset") as launcher:
        assert launcher.finish() == 0


def _launcher(
    project: Path, command: str, **env: str
) -> contextlib.AbstractContextManager[Launched]:
    env = {"MPS_DATA_DIR": str(project / ".data"), **env}
    return launched("-m", "mps.launcher", command, cwd=project, **env)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


def _get(port: int) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        environment: dict[str, str] = json.load(answer)
        return environment


def _answers(port: int) -> bool:
    try:
        return bool(_get(port))
    except OSError:
        return False


def test_run_starts_everything_and_stops_it_in_order(project: Path, port: int) -> None:
    with _launcher(project, "run", MPS_PORT=str(port)) as launcher:
        launcher.wait_for("MPS is ready after")
        launcher.wait_for(f"http://127.0.0.1:{port}/admin/")
        launcher.wait_for("Alice: alice@example.com / secret")
        launcher.wait_for("Ctrl-C stops everything")
        env = _get(port)
        launcher.wait_for("ticked")  # Beat sent it, the worker took it.
        family = descendants(launcher.process.pid)
        first_words = [line for line in launcher.lines if "ready" in line.lower()]

        assert launcher.finish(signal.SIGINT) == 0

    assert "MPS is ready after" in first_words[0]
    assert env["DATABASE_URL"].startswith("postgresql://mps_web:")
    assert env["MPS_DEMO"] == "1"
    assert env["DEBUG"] == "False"
    assert env["MPS_CODE_KEYS"].startswith("k1:")
    assert not {"DATABASE_SUPERUSER_URL", "DATABASE_BACKUP_URL"} & set(env)
    assert not any(map(is_alive, family))
    assert not _answers(port)
    assert "force" not in launcher.text


def test_second_run_keeps_data_and_secrets_and_restarts_what_is_killed(
    project: Path, port: int
) -> None:
    seen = set()
    for _ in range(2):
        with _launcher(project, "run", MPS_PORT=str(port), MPS_DEMO="0") as launcher:
            launcher.wait_for("MPS is ready after")
            launcher.wait_for("Ctrl-C stops everything")
            env = _get(port)
            seen.add((env["SECRET_KEY"], env["DATABASE_URL"], env["REDIS_URL"]))
            web = int(Path(f"/proc/{env['pid']}/stat").read_text().rpartition(")")[2].split()[1])

            os.kill(web, signal.SIGKILL)

            launcher.wait_for("web was killed by SIGKILL; restarting it")
            launcher.wait_for("web is ready again.")
            assert _get(port)["pid"] != env["pid"]
            assert not is_alive(int(env["pid"]))
            assert launcher.finish(signal.SIGTERM) == 0
        assert "Alice" not in launcher.text

    assert len(seen) == 1


def test_worker_process_of_web_that_is_killed_comes_back(project: Path, port: int) -> None:
    with _launcher(project, "run", MPS_PORT=str(port), MPS_WEB_WORKERS="1") as launcher:
        launcher.wait_for("MPS is ready after")
        killed = int(_get(port)["pid"])

        os.kill(killed, signal.SIGKILL)

        wait_until(lambda: _answers(port), lambda: launcher.text)
        assert int(_get(port)["pid"]) != killed
        assert launcher.finish(signal.SIGTERM) == 0


def test_env_file_gives_what_the_environment_leaves_open(project: Path) -> None:
    (project / ".env").write_text("MPS_PORT=from-file\nMPS_WEB_WORKERS=from-file\n")
    with _launcher(project, "run", MPS_PORT="8000") as launcher:
        code = launcher.finish()
    (project / ".env").unlink()

    assert code == 1
    [line] = launcher.lines
    assert "MPS_WEB_WORKERS must be a whole number from 1 to 256, not 'from-file'" in line


def test_taken_port_is_named(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        with _launcher(project, "run", MPS_PORT=number) as launcher:
            assert launcher.finish() == 1

    [line] = launcher.lines
    assert f"Port {number} of 127.0.0.1 is taken" in line
    assert "MPS_PORT" in line


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MPS_PORT", "http", "mps: MPS_PORT must be a whole number from 1 to 65535, not 'http'."),
        ("MPS_PORT", "70000", "mps: MPS_PORT must be a whole number from 1 to 65535"),
        ("MPS_PORT", "-1", "mps: MPS_PORT must be a whole number"),
        ("MPS_PORT", "\uff18\uff10\uff10\uff10", "mps: MPS_PORT must be a whole number"),
        ("MPS_WEB_WORKERS", "0", "mps: MPS_WEB_WORKERS must be a whole number from 1 to 256"),
        ("MPS_HOST", "no.such.invalid", "mps: no.such.invalid is no address to listen on"),
        ("MPS_HOST", "192.0.2.1", "mps: 192.0.2.1 is no address of this machine."),
        ("MPS_DATA_DIR", "/proc/nowhere", "mps: /proc/nowhere: No such file or directory."),
    ],
)
def test_wrong_setting_is_one_sentence(project: Path, name: str, value: str, sentence: str) -> None:
    with _launcher(project, "run", **{name: value}) as launcher:
        assert launcher.finish() == 1

    [line] = launcher.lines
    assert line.startswith(sentence)


def test_unknown_command_shows_the_commands(project: Path) -> None:
    with _launcher(project, "fly") as launcher:
        assert launcher.finish() == 2
    launcher.wait_for("run | servers | reset")


def test_failing_preparation_is_shown_and_stops_the_servers(project: Path, port: int) -> None:
    (project / "refuse").touch()
    with _launcher(project, "run", MPS_PORT=str(port)) as launcher:
        code = launcher.finish()
    (project / "refuse").unlink()

    assert code == 1
    assert "prepare  | prepare refuses" in launcher.lines
    assert launcher.lines[-1] == "mps: prepare exited with code 1; what it said is above."


def test_web_that_does_not_get_ready_is_waited_for(project: Path, port: int) -> None:
    (project / "broken").touch()
    with _launcher(project, "run", MPS_PORT=str(port)) as launcher:
        launcher.wait_for("worker")
        wait_until(lambda: _status(port) == 503)
        assert "MPS is ready" not in launcher.text

        (project / "broken").unlink()

        launcher.wait_for("MPS is ready after")
        assert launcher.finish(signal.SIGTERM) == 0


def _status(port: int) -> int:
    try:
        _get(port)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def test_outside_servers_are_used_instead_of_embedded_ones(
    project: Path, port: int, tmp_path: Path
) -> None:
    with _launcher(project, "servers") as servers:
        servers.wait_for("PostgreSQL is ready")
        kept = json.loads((project / ".data" / "embedded.json").read_text())
        address = f"127.0.0.1:{kept['postgres_port']}"
        env = {
            "DATABASE_URL": f"postgresql://mps_web:{kept['passwords']['mps_web']}@{address}/mps",
            "DATABASE_SUPERUSER_URL": f"postgresql://postgres:"
            f"{kept['passwords']['postgres']}@{address}/postgres",
            "REDIS_URL": f"redis://:{kept['redis_password']}@127.0.0.1:{kept['redis_port']}/0",
            "SECRET_KEY": "of the operator",
            "MPS_DATA_DIR": str(tmp_path / "data"),
        }
        with _launcher(project, "run", MPS_PORT=str(port), **env) as launcher:
            launcher.wait_for("MPS is ready after")
            seen = _get(port)
            assert launcher.finish(signal.SIGTERM) == 0
        assert servers.finish(signal.SIGTERM) == 0

    assert {name: seen[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")} == {
        name: env[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")
    }
    assert "postgres |" not in launcher.text
    assert not (tmp_path / "data" / "servers").exists()
