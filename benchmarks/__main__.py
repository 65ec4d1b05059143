"""`make bench`: what a charge costs, against the limit of the same server in the same run."""

import argparse
import json
import os
import re
import subprocess
import tempfile
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks import servers
from benchmarks.servers import ROOT
from mps.launcher import embedded

RESULTS = ROOT / "benchmarks" / "results"
CONNECTIONS = 16
WORKERS = 2


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--charges", type=int, default=6000, help="charges a measurement")
    parser.add_argument("--codes", type=int, default=100_000, help="live codes of the large run")
    options = parser.parse_args()
    with servers.prepared_database() as connection:
        rows = _measure(connection, options.charges, options.codes)
    _print_table(rows)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(rows, indent=2) + "\n")
    servers.say(f"written to {path.relative_to(ROOT)}")


def _measure(connection: psycopg.Connection[Any], charges: int, codes: int) -> list[dict[str, Any]]:
    from benchmarks import rotation, world
    from merchants import services as merchants

    shop = merchants.create_merchant(code="BENCH", name="Bench")
    _terminal, key = merchants.create_terminal(merchant_id=shop.id, name="Till")
    warm = charges // 10
    servers.say(f"loading {charges + warm:,} cards ...")
    few = world.load_cards(connection, charges + warm)
    connection.execute((ROOT / "benchmarks" / "limit.sql").read_text())
    connection.execute("VACUUM ANALYZE")
    servers.say("measuring the limit ...")
    limit = _run_limit(connection, shop, charges)
    few = world.renew_codes(connection, few)
    with servers.web_server(WORKERS) as port:
        servers.say("measuring charges ...")
        small = _run_charges(port, key, few.codes, warm)
    servers.say(f"loading {codes:,} cards with live codes ...")
    world.load_cards(connection, codes)
    few = world.renew_codes(connection, few)
    connection.execute("VACUUM ANALYZE")
    with servers.web_server(WORKERS) as port:
        servers.say("measuring charges again ...")
        large = _run_charges(port, key, few.codes, warm)
    servers.say("measuring the rotation of codes ...")
    rotated = rotation.measure(connection)
    return [
        {"what": "limit: one SQL function, 16 connections", "per_second": limit, "ratio": 1.0},
        {**small, "what": "charges over HTTP", "ratio": small["per_second"] / limit},
        {
            **large,
            "what": f"charges over HTTP, {codes:,} live codes more",
            "ratio": large["per_second"] / limit,
            "against_few_codes": large["per_second"] / small["per_second"],
        },
        rotated,
    ]


def _run_limit(connection: psycopg.Connection[Any], shop: Any, cards: int) -> float:
    issue = connection.execute(
        "SELECT id FROM ledger_account WHERE kind = 'points_issue'"
    ).fetchone()
    assert issue is not None
    script = (
        f"\\set n random(1, {cards})\n"
        f"SELECT bench_limit(:n, '{shop.id}', '{shop.account_id}', '{issue[0]}');\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        output = subprocess.run(
            [
                str(embedded.binary("pgbench")),
                *("-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", "10"),
                *("-f", file.name, os.environ["DATABASE_OWNER_URL"]),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


def _run_charges(port: int, key: str, codes: list[str], warm: int) -> dict[str, Any]:
    from benchmarks import load

    requests = [
        load.request(
            "POST",
            "/api/v1/pos/charges",
            json.dumps(
                {"code": code, "amount": "10.00", "external_order_id": uuid.uuid4().hex}
            ).encode(),
            {
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
                "Idempotency-Key": uuid.uuid4().hex,
            },
        )
        for code in codes
    ]
    load.send_all(port, requests[:warm], connections=CONNECTIONS)
    result = load.send_all(port, requests[warm:], connections=CONNECTIONS)
    if set(result.statuses) != {201}:
        raise SystemExit(f"charges failed: {dict(result.statuses)}")
    return {
        "per_second": result.per_second,
        "p50_ms": result.percentile(0.50) * 1000,
        "p99_ms": result.percentile(0.99) * 1000,
        "p99_to_p50": result.percentile(0.99) / result.percentile(0.50),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'what':<48} {'per s':>8} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8} {'p99/p50':>8}")
    from benchmarks import rotation

    for row in rows:
        if "against_bare_update" in row:
            print(rotation.line(row))
            continue
        print(
            f"{row['what']:<48} {row['per_second']:>8.0f} {row['ratio']:>6.2f}"
            + "".join(
                f" {row[name]:>8.1f}" if name in row else f" {'':>8}"
                for name in ("p50_ms", "p99_ms", "p99_to_p50")
            )
        )
    for row in rows:
        if "against_few_codes" in row:
            print(f"with many live codes against few: {row['against_few_codes']:.2f}")


if __name__ == "__main__":
    main()
