"""`python -m benchmarks.settlement`: measure settlement against one bare INSERT … SELECT.

The bare statement claims as many transactions by a unique key and adds them up by shop, all shops
at once, and nothing else: no registry to leave, no second index, no guard, no audit event, one
database transaction. What it takes without the claims, adding up alone, is shown beside it.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from benchmarks import servers

BUDGET = 3.0
# A mix as shops have it: payments with their fee, refunds, cash top-ups, payments in cash.
_LOAD = """
    INSERT INTO payments_transaction (
        tx_no, type, status, merchant_id, card_id, card_no, member_id, currency, amount,
        final_amount, fee, payment_method, original_id, created_at)
    SELECT payments_next_number(kind), kind, 'completed', shop.id, %(card)s, 'PPD00000000',
           %(member)s, 'TWD', 10, 10,
           CASE WHEN kind IN ('payment', 'refund') AND method = 'balance' THEN 0.20 ELSE 0 END,
           method, CASE kind WHEN 'refund' THEN gen_random_uuid() END,
           now() - interval '1 day'
    FROM generate_series(1, %(number)s) AS n,
         LATERAL (SELECT (%(shops)s::uuid[])[1 + n %% cardinality(%(shops)s::uuid[])]) AS shop (id),
         LATERAL (SELECT
             CASE n %% 20 WHEN 0 THEN 'recharge' WHEN 1 THEN 'refund' ELSE 'payment' END,
             CASE WHEN n %% 20 IN (0, 2) THEN 'cash' ELSE 'balance' END) AS what (kind, method)
"""
_BARE_TABLES = """
    DROP TABLE IF EXISTS bare_line, bare_settlement;
    CREATE TABLE bare_line (
        tx_id uuid PRIMARY KEY, merchant_id uuid, gross numeric(14, 2), refund numeric(14, 2),
        cash_topup numeric(14, 2), fee numeric(14, 2));
    CREATE TABLE bare_settlement (
        merchant_id uuid PRIMARY KEY, gross numeric(14, 2), refunds numeric(14, 2),
        cash_topups numeric(14, 2), fee numeric(14, 2), tx_count integer)
"""
_FIGURES = """
    CASE WHEN type = 'payment' AND payment_method = 'balance' THEN final_amount ELSE 0 END AS gross,
    CASE WHEN type = 'refund' AND payment_method = 'balance' THEN final_amount ELSE 0 END AS refund,
    CASE type WHEN 'recharge' THEN final_amount WHEN 'adjustment' THEN -final_amount ELSE 0 END
        AS cash_topup,
    CASE WHEN payment_method <> 'balance' THEN 0 WHEN type = 'refund' THEN -fee ELSE fee END AS fee
"""
_ADD_UP = """
    INSERT INTO bare_settlement
    SELECT merchant_id, sum(gross), sum(refund), sum(cash_topup), sum(fee), count(*)
    FROM line GROUP BY merchant_id
"""
_BARE = f"""
    WITH line AS (
        INSERT INTO bare_line SELECT id, merchant_id, {_FIGURES} FROM payments_transaction
        WHERE status = 'completed' AND created_at < now()
        RETURNING merchant_id, gross, refund, cash_topup, fee)
    {_ADD_UP}
"""
_SUMS_ONLY = f"""
    WITH line AS (
        SELECT merchant_id, {_FIGURES} FROM payments_transaction
        WHERE status = 'completed' AND created_at < now())
    {_ADD_UP}
"""


def main() -> None:
    """Measure on servers of its own; print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.settlement", description=__doc__)
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--shops", type=int, default=50)
    options = parser.parse_args()
    with servers.prepared_database() as owner:
        servers.say(f"loading {options.transactions:,} transactions ...")
        shops = load(owner, options.transactions, options.shops)
        servers.say("measuring ...")
        print(line(measure(owner, shops)))


def load(connection: psycopg.Connection[Any], number: int, shops: int) -> list[Any]:
    """Load so many transactions of so many shops, without their postings; return the shops."""
    from benchmarks import world

    merchants = world.load_merchants(connection, shops)
    cards = world.load_cards(connection, 1)
    with connection.transaction():
        connection.execute(
            _LOAD,
            {
                "number": number,
                "shops": merchants,
                "card": cards.card_ids[0],
                "member": cards.member_ids[0],
            },
        )
        connection.execute(
            "SELECT payments_enter_unclaimed(array_agg(id)) FROM payments_transaction"
        )
    return merchants


def measure(connection: psycopg.Connection[Any], shops: list[Any]) -> dict[str, Any]:
    """Return how long settling all shops takes, and how long the bare statements."""
    from settlements import services

    sums_only = _time_bare(connection, _SUMS_ONLY)
    bare = _time_bare(connection, _BARE)
    connection.execute("VACUUM ANALYZE payments_unclaimed")
    today = datetime.now(UTC).date()
    count = 0
    began = time.perf_counter()
    for shop in shops:
        settlement = services.generate_settlement(
            merchant_id=shop,
            mode="t_plus_1",
            period_start=today - timedelta(days=3),
            period_end=datetime.now(UTC),
        )
        count += settlement.tx_count
    seconds = time.perf_counter() - began
    _require_same(connection)
    return {
        "what": f"settle {count:,} transactions of {len(shops)} shops",
        "transactions": count,
        "seconds": seconds,
        "bare_insert_seconds": bare,
        "against_bare_insert": seconds / bare,
        "sums_only_seconds": sums_only,
    }


def line(row: dict[str, Any]) -> str:
    """Say what was measured."""
    return (
        f"{row['what']}: {row['seconds']:.2f} s, {row['against_bare_insert']:.2f} times a bare"
        f" INSERT … SELECT … GROUP BY ({row['bare_insert_seconds']:.2f} s); budget {BUDGET:.0f}."
        f" The sums alone: {row['sums_only_seconds']:.2f} s"
    )


def _time_bare(connection: psycopg.Connection[Any], statement: str) -> float:
    connection.execute(_BARE_TABLES)
    connection.execute("VACUUM ANALYZE payments_transaction")
    began = time.perf_counter()
    connection.execute(statement)
    return time.perf_counter() - began


def _require_same(connection: psycopg.Connection[Any]) -> None:
    """Stop if the two did not come to the same."""
    row = connection.execute(
        "SELECT count(*) FROM bare_settlement b JOIN settlements_settlement s USING (merchant_id)"
        " WHERE (b.gross, b.refunds, b.cash_topups, b.fee, b.tx_count)"
        " IS DISTINCT FROM (s.gross, s.refunds, s.cash_topups, s.fee, s.tx_count)"
    ).fetchone()
    if row is None or row[0]:
        raise SystemExit("the settlements are not what the bare statement adds up")


if __name__ == "__main__":
    main()
