"""`make bench`: measure a charge against the limit of the same server in the same run."""

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
from mps.launcher import programs

RESULTS = ROOT / "benchmarks" / "results"
CONNECTIONS = 16
ROUNDS = 5
WORKERS = 2


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--charges", type=int, default=6000, help="charges a measurement")
    parser.add_argument("--codes", type=int, default=100_000, help="live codes of the large run")
    parser.add_argument("--shops", type=int, default=200, help="shops of the run over many")
    parser.add_argument("--past", type=int, default=300_000, help="payments there were before")
    options = parser.parse_args()
    with servers.prepared_database() as connection:
        rows = _measure(connection, options)
    _print_table(rows)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(rows, indent=2) + "\n")
    servers.say(f"written to {path.relative_to(ROOT)}")


def _measure(
    connection: psycopg.Connection[Any], options: argparse.Namespace
) -> list[dict[str, Any]]:
    from benchmarks import rotation, world

    charges: int = options.charges
    warm = charges // 10
    servers.say(f"opening {options.shops:,} shops ...")
    shops = [_open_shop(number) for number in range(options.shops)]
    shop, key = shops[0]
    servers.say(f"loading {charges + warm:,} cards ...")
    few = world.load_cards(connection, charges + warm)
    connection.execute((ROOT / "benchmarks" / "limit.sql").read_text())
    connection.execute("VACUUM ANALYZE")
    servers.say("measuring the limit ...")
    limit = _run_limit(connection, shop, charges)
    rows = [{"what": "limit: one SQL function, 16 connections", "per_second": limit, "ratio": 1.0}]

    def charge(what: str, keys: list[str]) -> None:
        servers.say(f"measuring {what} ...")
        codes = world.renew_codes(connection, few).codes
        connection.execute("VACUUM ANALYZE")
        with servers.web_server(WORKERS) as port:
            found = _run_charges(port, keys, codes, warm)
        rows.append({**found, "what": what, "ratio": found["per_second"] / limit})
        if len(rows) > 2:
            rows[-1]["against_first"] = found["per_second"] / rows[1]["per_second"]

    charge("charges at one shop", [key])
    charge(f"charges spread over {options.shops:,} shops", [each for _shop, each in shops])
    servers.say(f"loading {options.codes:,} cards with live codes ...")
    world.load_cards(connection, options.codes)
    charge(f"charges, {options.codes:,} live codes more", [key])
    servers.say(f"loading {options.past:,} past payments ...")
    world.load_past(connection, options.past, merchant_id=shop.id, world=few)
    charge(f"charges, {options.past:,} past payments more", [key])
    servers.say("measuring the rotation of codes ...")
    return [*rows, rotation.measure(connection)]


def _open_shop(number: int) -> tuple[Any, str]:
    """Return a new shop and the key of its terminal."""
    from merchants import services as merchants

    shop = merchants.create_merchant(code=f"BENCH-{number}", name="Bench")
    _terminal, key = merchants.create_terminal(merchant_id=shop.id, name="Till")
    return shop, key


def _run_limit(connection: psycopg.Connection[Any], shop: Any, cards: int) -> float:
    issue = connection.execute(
        "SELECT id FROM ledger_account WHERE kind = 'points_issue'"
    ).fetchone()
    assert issue is not None
    script = (
        f"\\set n random(1, {cards})\n"
        f"SELECT bench_limit(p_n => :n, p_merchant => '{shop.id}',"
        f" p_merchant_account => '{shop.account_id}', p_issue => '{issue[0]}');\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        output = subprocess.run(
            [
                str(programs.binary("pgbench")),
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


def _run_charges(port: int, keys: list[str], codes: list[str], warm: int) -> dict[str, Any]:
    from benchmarks import load

    requests = [
        load.request(
            "POST",
            "/api/v1/pos/charges",
            json.dumps(
                {"code": code, "amount": "10.00", "external_order_id": uuid.uuid4().hex}
            ).encode(),
            {
                "Authorization": f"Bearer {keys[n % len(keys)]}",
                "Content-Type": "application/json",
                "Idempotency-Key": uuid.uuid4().hex,
            },
        )
        for n, code in enumerate(codes)
    ]
    load.send_all(port, requests[:warm], connections=CONNECTIONS)
    rounds = [
        load.send_all(port, requests[warm:][n::ROUNDS], connections=CONNECTIONS)
        for n in range(ROUNDS)
    ]
    for each in rounds:
        if set(each.statuses) != {201}:
            raise SystemExit(f"charges failed: {dict(each.statuses)}")
    # Of whatever else the machine did meanwhile, the median tells least.
    result = sorted(rounds, key=lambda each: each.per_second)[ROUNDS // 2]
    return {
        "per_second": result.per_second,
        "p50_ms": result.percentile(0.50) * 1000,
        "p99_ms": result.percentile(0.99) * 1000,
        "p99_to_p50": result.percentile(0.99) / result.percentile(0.50),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'what':<42} {'per s':>6} {'ratio':>6} {'p50 ms':>7} {'p99 ms':>7} {'p99/p50':>7}"
        f" {'/first':>6}"
    )
    from benchmarks import rotation

    for row in rows:
        if "against_bare_update" in row:
            print(rotation.line(row))
            continue
        print(
            f"{row['what']:<42} {row['per_second']:>6.0f} {row['ratio']:>6.2f}"
            + "".join(
                f" {row[name]:>7.1f}" for name in ("p50_ms", "p99_ms", "p99_to_p50") if name in row
            )
            + (f" {row['against_first']:>6.2f}" if "against_first" in row else "")
        )


if __name__ == "__main__":
    main()
