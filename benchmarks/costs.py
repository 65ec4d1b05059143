"""`python -m benchmarks.costs`: profile a charge in one process and one connection.

CPU time, so that other work on the machine matters little: of Python, of the connection's backend,
and of each SQL function by itself (without those it calls).
"""

import argparse
import io
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import servers
from mps.launcher import state

WARM = 100


def main() -> None:
    """Measure on servers of its own; print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--charges", type=int, default=1000, help="charges to measure")
    options = parser.parse_args()
    with servers.prepared_database() as owner:
        servers.say(f"measuring {options.charges:,} charges ...")
        _print(_measure(owner, options.charges))


def _measure(owner: psycopg.Connection[Any], number: int) -> dict[str, float]:
    """Return milliseconds a charge, by what they are spent on."""
    from django.db import connection

    from benchmarks import world
    from merchants import services as merchants

    shop = merchants.create_merchant(code="BENCH", name="Bench")
    _terminal, key = merchants.create_terminal(merchant_id=shop.id, name="Till")
    codes = world.renew_codes(owner, world.load_cards(owner, number + WARM)).codes
    owner.execute("VACUUM ANALYZE")
    known = state.load(Path(os.environ["MPS_DATA_DIR"]))
    assert known is not None
    with psycopg.connect(known.database_url("superuser"), autocommit=True) as superuser:
        superuser.execute("ALTER SYSTEM SET track_functions = 'all'")
        superuser.execute("SELECT pg_reload_conf()")
        for code in codes[:WARM]:
            _charge(key, code)
        # Sessions tell their figures when they end.
        connection.close()
        superuser.execute("SELECT pg_stat_clear_snapshot(), pg_stat_reset()")
        _charge(key, codes[WARM])
        backend = connection.connection.info.backend_pid
        python_before, backend_before = time.process_time(), _cpu_seconds(backend)
        for code in codes[WARM + 1 :]:
            _charge(key, code)
        each = 1000 / (number - 1)
        found = {
            "Python": (time.process_time() - python_before) * each,
            "PostgreSQL": (_cpu_seconds(backend) - backend_before) * each,
        }
        connection.close()
        time.sleep(1)
        functions = superuser.execute(
            "SELECT funcname, self_time / %s FROM pg_stat_user_functions ORDER BY 2 DESC",
            [float(number)],
        ).fetchall()
    found |= {f"  {name}()": float(spent) for name, spent in functions if spent >= 0.01}
    return found


def _charge(key: str, code: str) -> None:
    """Take one payment through the whole application."""
    from mps.wsgi import application

    body = {"code": code, "amount": "10.00", "external_order_id": uuid.uuid4().hex}
    data = json.dumps(body).encode()
    said: list[str] = []
    answer = application(
        {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/api/v1/pos/charges",
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {key}",
            "HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        },
        lambda status, _headers, _error=None: said.append(status),
    )
    text = b"".join(answer)
    answer.close()
    if not said[0].startswith("201"):
        raise SystemExit(f"a charge failed: {said[0]} {text.decode()}")


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has had, from Linux's table of processes."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(found: dict[str, float]) -> None:
    print(f"{'of a charge':<40} {'ms':>6}")
    for name, spent in found.items():
        print(f"{name:<40} {spent:>6.2f}")


if __name__ == "__main__":
    main()
