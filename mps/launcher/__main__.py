"""`python -m mps.launcher run | servers | reset`: entry point of `make run`.

run      embedded servers, database, web, workers and beat, until Ctrl-C
servers  the embedded servers alone, until Ctrl-C: for `manage.py` commands and psql
reset    delete the embedded database and the generated secrets
"""

# ruff: noqa: T201 -- it talks to the operator on a terminal.
from __future__ import annotations

import dataclasses
import functools
import http.client
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from mps.launcher import embedded, ports, process, state
from mps.launcher.errors import LauncherError
from mps.launcher.supervisor import StopRequested, Supervisor

READY_TIMEOUT_SECONDS = 60.0
_CELERY = ("-m", "celery", "--quiet", "-A", "mps")
# Needed to set the database up, or to copy it: no business of a long-running process.
_PREPARE_ONLY = ("DATABASE_SUPERUSER_URL", "DATABASE_BACKUP_URL")


def main(arguments: list[str]) -> int:
    """Run the command named by `arguments`; return the exit code."""
    # A terminal that cannot show a character of a log line is no reason to fall.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    _read_env_file()
    commands = {"run": run, "servers": run_servers, "reset": reset}
    if len(arguments) != 1 or arguments[0] not in commands:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]]()
    except LauncherError as error:
        print(f"mps: {error}", file=sys.stderr)
    except OSError as error:
        print(f"mps: {error.filename or 'input/output'}: {error.strerror}.", file=sys.stderr)
    return 1


def run() -> int:
    """Run all of MPS until the operator stops it."""
    began = time.monotonic()
    host = os.environ.get("MPS_HOST") or state.HOST
    port = _number("MPS_PORT", 8000, at_most=65535)
    workers = _number("MPS_WEB_WORKERS", 2, at_most=256)
    data_dir = state.data_dir()
    own_postgres = not os.environ.get("DATABASE_URL")
    own_valkey = not os.environ.get("REDIS_URL")
    with (
        Supervisor() as supervisor,
        embedded.prepared(data_dir, postgres=own_postgres, valkey=own_valkey) as prepared,
    ):
        current, servers = prepared
        try:
            _require_port(host, port)
            env = _environment(data_dir, current, postgres=own_postgres, valkey=own_valkey)
            supervisor.start(*servers, timeout_seconds=embedded.READY_TIMEOUT_SECONDS)
            supervisor.run(_python("prepare", env, "manage.py", "prepare"))
            env = {name: value for name, value in env.items() if name not in _PREPARE_ONLY}
            application = _application(env, host=host, port=port, workers=workers)
            supervisor.start(*application, timeout_seconds=READY_TIMEOUT_SECONDS)
            supervisor.say(_banner(data_dir, env, host, port, time.monotonic() - began))
            supervisor.wait()
        except StopRequested:
            pass
        finally:
            # Here, not when the supervisor's block ends: the data folder is held until then.
            supervisor.stop()
    return 130 if supervisor.was_forced else 0


def run_servers() -> int:
    """Run the embedded servers alone until the operator stops them."""
    data_dir = state.data_dir()
    with Supervisor() as supervisor, embedded.prepared(data_dir) as (current, servers):
        try:
            supervisor.start(*servers, timeout_seconds=embedded.READY_TIMEOUT_SECONDS)
            supervisor.say(
                f"PostgreSQL is ready on {state.HOST}:{current.postgres_port}, Valkey on "
                f"{state.HOST}:{current.redis_port}; Ctrl-C stops them."
            )
            supervisor.wait()
        except StopRequested:
            pass
        finally:
            supervisor.stop()
    return 130 if supervisor.was_forced else 0


def reset() -> int:
    """Delete the embedded database and the generated secrets."""
    data_dir = state.data_dir()
    if embedded.reset(data_dir):
        print(f"Deleted the embedded database of {data_dir}; the next start begins with a new one.")
    else:
        print(f"There is no embedded database in {data_dir}.")
    return 0


def _read_env_file() -> None:
    """Take from `.env` what the environment leaves open, as `mps.settings` does."""
    file = state.CHECKOUT / ".env"
    if file.exists():
        import environ  # Here, as it imports parts of Django.

        environ.Env.read_env(file)


def _environment(
    data_dir: Path, current: state.State, *, postgres: bool, valkey: bool
) -> dict[str, str]:
    """Return the environment of MPS itself: the operator's, and what it leaves open."""
    env = dict(os.environ)
    for name, value in current.environment().items():
        if name.startswith("DATABASE_"):
            if postgres:  # All or none: a role must not end up on another server.
                env[name] = value
        elif name != "REDIS_URL" or valkey:
            env[name] = env.get(name) or value
    env["MPS_DATA_DIR"] = str(data_dir)
    env["PYTHONUNBUFFERED"] = "1"
    env.setdefault("MPS_DEMO", "1")
    env.setdefault("DEBUG", "False")
    return env


def _application(
    env: Mapping[str, str], *, host: str, port: int, workers: int
) -> list[process.Process]:
    # Where the web processes keep figures they show together.
    figures = Path(env["MPS_DATA_DIR"]) / "metrics"
    web = _python(
        "web",
        {"PROMETHEUS_MULTIPROC_DIR": str(figures), **env},
        *("-m", "granian", "mps.wsgi:application", "--interface", "wsgi"),
        *("--host", host, "--port", str(port), "--no-ws"),
        *("--workers", str(workers), "--blocking-threads", "1"),
        # One worker's death must not take the others along.
        *("--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", "10"),
        probe=(_probe_host(host), port),
    )
    # They count from zero, as the processes do.
    web = dataclasses.replace(web, before_start=functools.partial(_empty, figures))
    beat = _python("beat", env, *_CELERY, "beat", "--loglevel", "INFO")
    return [
        web,
        _worker("worker", env, "--concurrency", "2"),
        _worker("messages", env, "--queues", "messages", "--pool", "solo"),
        beat,
    ]


def _worker(name: str, env: Mapping[str, str], *arguments: str) -> process.Process:
    return _python(
        name,
        env,
        # Who starts MPS as root knows; the advice would bury the lines above it.
        *("-W", "ignore:You're running the worker with superuser"),
        *(*_CELERY, "worker", "--hostname", f"{name}@%h", *arguments, "--loglevel", "INFO"),
        # Each is alone with its queue: nobody to greet or to gossip with.
        *("--without-gossip", "--without-mingle"),
        # Only the banner says "ready", so that whoever waits for that word waits for all of MPS.
        muted=re.compile(rf"{name}@\S+ ready"),
    )


def _python(
    name: str,
    env: Mapping[str, str],
    *arguments: str,
    probe: tuple[str, int] | None = None,
    muted: re.Pattern[str] | None = None,
) -> process.Process:
    return process.Process(
        name=name,
        argv=[sys.executable, *arguments],
        env=env,
        cwd=state.CHECKOUT,
        is_ready=lambda _pid: probe is None or _answers_ready(*probe),
        readiness="" if probe is None else f"{name} (GET /readyz on port {probe[1]} is not 200)",
        muted=muted,
    )


def _empty(folder: Path) -> None:
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


def _answers_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _banner(
    data_dir: Path, env: Mapping[str, str], host: str, port: int, elapsed_seconds: float
) -> str:
    base = f"http://{_url_host(_probe_host(host))}:{port}"
    lines = [
        "",
        f"MPS is ready after {elapsed_seconds:.1f} s: {base}/",
        f"  console    {base}/admin/",
        f"  API        {base}/api/docs/",
        f"  data       {data_dir}",
        "",
    ]
    credentials = data_dir / state.CREDENTIALS_FILE
    if env["MPS_DEMO"] == "1" and credentials.exists():
        lines += [*credentials.read_text(encoding="utf-8").splitlines(), ""]
    return "\n".join([*lines, "Ctrl-C stops everything; the data stays."])


def _require_port(host: str, port: int) -> None:
    if not ports.port_is_free(host, port):
        raise LauncherError(
            f"Port {port} of {host} is taken: stop what listens there, or choose another port "
            f"with MPS_PORT, as in `MPS_PORT={port + 1} make run`."
        )


def _number(name: str, default: int, *, at_most: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= at_most):
        raise LauncherError(f"{name} must be a whole number from 1 to {at_most}, not {text!r}.")
    return int(text)


def _probe_host(host: str) -> str:
    """Return where to reach a server that listens on `host`."""
    return {
        "0.0.0.0": state.HOST,  # noqa: S104 -- compared, not bound.
        "::": "::1",
    }.get(host, host)


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
