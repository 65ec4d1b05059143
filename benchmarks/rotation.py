"""`python -m benchmarks.rotation`: measure code rotation against one bare UPDATE.

The UPDATE changes the indexed hash of as many rows, in one statement, on the same server in the
same run, and nothing else. The rotation makes nonces and hashes in Python, writes the history, and
commits batch by batch.
"""

import argparse
import statistics
import time
from typing import Any

import psycopg

from benchmarks import servers

ROUNDS = 3
BUDGET = 3.0


def main() -> None:
    """Measure on servers of its own; print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rotation", description=__doc__)
    parser.add_argument("--cards", type=int, default=100_000, help="shared cards with a live code")
    options = parser.parse_args()
    with servers.prepared_database() as owner:
        from benchmarks import world

        servers.say(f"loading {options.cards:,} cards ...")
        world.load_cards(owner, options.cards)
        servers.say("measuring ...")
        print(line(measure(owner)))


def measure(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return the medians of rotating all codes there are and of updating as many rows."""
    from cards import rotation

    rotated, updated, count = [], [], 0
    for _ in range(ROUNDS):
        connection.execute("VACUUM ANALYZE cards_paymentcode")
        began = time.perf_counter()
        connection.execute("UPDATE cards_paymentcode SET code_hash = sha256(code_hash)")
        updated.append(time.perf_counter() - began)
        connection.execute("VACUUM ANALYZE cards_paymentcode")
        began = time.perf_counter()
        count = rotation.rotate_codes(ttl_seconds=86_400, all_live=True)
        rotated.append(time.perf_counter() - began)
    seconds, bare = statistics.median(rotated), statistics.median(updated)
    return {
        "what": f"rotate {count:,} codes of shared cards",
        "codes": count,
        "seconds": seconds,
        "bare_update_seconds": bare,
        "against_bare_update": seconds / bare,
    }


def line(row: dict[str, Any]) -> str:
    """Say what was measured."""
    return (
        f"{row['what']}: {row['seconds']:.2f} s, {row['against_bare_update']:.2f} times a bare"
        f" UPDATE ({row['bare_update_seconds']:.2f} s); budget {BUDGET:.0f}"
    )


if __name__ == "__main__":
    main()
