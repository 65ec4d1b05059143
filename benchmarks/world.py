"""A filled database:

Members, prepaid cards with money, live codes, and a past. Loaded by COPY, as owner.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import psycopg

from cards import codes

PASSWORD = "!"  # nobody of these signs in
BALANCE = Decimal("100000.00")


@dataclass(frozen=True, slots=True)
class World:
    """What was loaded: one live code a card."""

    codes: list[str]
    card_ids: list[uuid.UUID]
    member_ids: list[uuid.UUID]


def load_cards(connection: psycopg.Connection, number: int, *, ttl_seconds: int = 86_400) -> World:
    """Load `number` members, each with a prepaid card of 100,000.00 and a live code. Commits."""
    key = codes.current_keys()[0]
    now = datetime.now(UTC)
    with connection.transaction(), connection.cursor() as cursor:
        clearing = cursor.execute("SELECT ledger_platform_account('clearing', 'TWD')").fetchone()[0]
        base = cursor.execute("SELECT coalesce(max(id), 0) FROM auth_user").fetchone()[0] + 1
        members = [uuid.uuid4() for _ in range(number)]
        cards = [uuid.uuid4() for _ in range(number)]
        money = [uuid.uuid4() for _ in range(number)]
        points = [uuid.uuid4() for _ in range(number)]
        nonces = [codes.new_nonce() for _ in range(number)]
        shown = [codes.derive_code(key, nonce) for nonce in nonces]
        _copy(
            cursor,
            "auth_user (id, password, is_superuser, username, first_name, last_name, email,"
            " is_staff, is_active, date_joined)",
            (
                (base + n, PASSWORD, False, member.hex, "", "", "", False, True, now)
                for n, member in enumerate(members)
            ),
        )
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('auth_user', 'id'),"
            " (SELECT max(id) FROM auth_user))"
        )
        first = _take_numbers(cursor, "members_member_number_seq", number)
        _copy(
            cursor,
            "members_member (id, number, user_id, name, status, status_reason)",
            (
                (member, f"M{first + n:08d}", base + n, f"Member {n}", "active", "")
                for n, member in enumerate(members)
            ),
        )
        _copy(
            cursor,
            "ledger_account (id, kind, unit, balance)",
            (
                row
                for n in range(number)
                for row in (
                    (money[n], "card_money", "TWD", BALANCE),
                    (points[n], "card_points", "PTS", Decimal(0)),
                )
            ),
        )
        first = _take_numbers(cursor, "cards_prepaid_number_seq", number)
        _copy(
            cursor,
            "cards_card (id, number, card_type, status, status_reason, locked_by_member, owner_id,"
            " name, binding_password, money_account_id, points_account_id)",
            (
                (
                    card,
                    f"PPD{first + n:08d}",
                    "PPD",
                    "active",
                    "",
                    False,
                    members[n],
                    "",
                    "",
                    money[n],
                    points[n],
                )
                for n, card in enumerate(cards)
            ),
        )
        _copy(
            cursor,
            "cards_binding (id, card_id, member_id, role)",
            ((uuid.uuid4(), card, members[n], "owner") for n, card in enumerate(cards)),
        )
        _copy(
            cursor,
            "cards_paymentcode (id, card_id, member_id, nonce, key_id, code_hash, issued_at,"
            " expires_at, outcome)",
            (
                (
                    uuid.uuid4(),
                    card,
                    members[n],
                    nonces[n],
                    key.id,
                    codes.hash_code(key, shown[n]),
                    now,
                    datetime.fromtimestamp(now.timestamp() + ttl_seconds, UTC),
                    "",
                )
                for n, card in enumerate(cards)
            ),
        )
        # The money came from somewhere: one opening posting over all cards.
        posting = cursor.execute(
            "INSERT INTO ledger_posting (kind, reference, posted_at)"
            " VALUES ('opening', gen_random_uuid(), now()) RETURNING id"
        ).fetchone()[0]
        cursor.execute(
            "INSERT INTO ledger_entry (posting_id, account_id, amount, balance_after)"
            " SELECT %s, id, %s, %s FROM unnest(%s::uuid[]) AS id"
            " UNION ALL SELECT %s, %s, %s, NULL",
            [posting, BALANCE, BALANCE, money, posting, clearing, -BALANCE * number],
        )
    return World(shown, cards, members)


def renew_codes(connection: psycopg.Connection, world: World) -> World:
    """Give every card of the world a new live code. Commits."""
    key = codes.current_keys()[0]
    nonces = [codes.new_nonce() for _ in world.card_ids]
    shown = [codes.derive_code(key, nonce) for nonce in nonces]
    with connection.transaction():
        connection.execute(
            "SELECT count(*) FROM cards_issue_codes("
            "%s::uuid[], %s::uuid[], %s::bytea[], %s, %s::bytea[], 86400)",
            [
                world.card_ids,
                world.member_ids,
                nonces,
                key.id,
                [codes.hash_code(key, code) for code in shown],
            ],
        )
    return World(shown, world.card_ids, world.member_ids)


def load_merchants(connection: psycopg.Connection, number: int) -> list[uuid.UUID]:
    """Load `number` merchants, each with a terminal and a key nobody knows. Commits."""
    merchants = [uuid.uuid4() for _ in range(number)]
    accounts = [uuid.uuid4() for _ in range(number)]
    terminals = [uuid.uuid4() for _ in range(number)]
    with connection.transaction(), connection.cursor() as cursor:
        _copy(
            cursor,
            "ledger_account (id, kind, unit)",
            ((account, "merchant", "TWD") for account in accounts),
        )
        _copy(
            cursor,
            "merchants_merchant (id, code, name, contact, status, status_reason, time_zone,"
            " settlement_mode, fee_rate, account_id)",
            (
                (
                    merchant,
                    f"LOAD-{n}",
                    f"Shop {n}",
                    "",
                    "active",
                    "",
                    "Asia/Taipei",
                    "t_plus_1",
                    Decimal("0.02"),
                    accounts[n],
                )
                for n, merchant in enumerate(merchants)
            ),
        )
        _copy(
            cursor,
            "merchants_terminal (id, merchant_id, name, can_top_up, can_manage_webhooks,"
            " require_signature)",
            (
                (terminals[n], merchant, "Till", False, False, False)
                for n, merchant in enumerate(merchants)
            ),
        )
        _copy(
            cursor,
            "merchants_terminalkey (id, terminal_id, secret_hash, sealed_signing_key, sealed_by)",
            ((uuid.uuid4(), terminal, uuid.uuid4().bytes, b"", "none") for terminal in terminals),
        )
    return merchants


def load_vouchers(connection: psycopg.Connection, world: World, number: int = 1000) -> None:
    """Load a voucher card, 10 % off, for each of the first members. Commits."""
    owners = world.member_ids[:number]
    cards = [uuid.uuid4() for _ in owners]
    with connection.transaction(), connection.cursor() as cursor:
        first = _take_numbers(cursor, "cards_voucher_number_seq", len(owners))
        _copy(
            cursor,
            "cards_card (id, number, card_type, status, status_reason, locked_by_member, owner_id,"
            " name, binding_password)",
            (
                (cards[n], f"VCH{first + n:08d}", "VCH", "active", "", False, owner, "", "")
                for n, owner in enumerate(owners)
            ),
        )
        _copy(
            cursor,
            "cards_voucher (card_id, kind, value, min_spend, merchant_ids)",
            ((card, "percent", Decimal(10), Decimal(0), []) for card in cards),
        )


def load_past(
    connection: psycopg.Connection, number: int, *, merchant_id: uuid.UUID, world: World
) -> None:
    """Load `number` past payments in cash, with their keys and orders; no money moved. Commits."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO payments_transaction (tx_no, type, status, merchant_id, card_id,"
            " card_no, member_id, currency, amount, final_amount, payment_method,"
            " external_order_id, created_at)"
            " SELECT payments_next_number('payment'), 'payment', 'completed', %s, card,"
            " 'PPD00000000', member,"
            " 'TWD', 10, 10, 'cash', 'PAST-' || n, now()"
            " FROM generate_series(1, %s) n, LATERAL (SELECT"
            " (%s::uuid[])[1 + n %% %s] AS card, (%s::uuid[])[1 + n %% %s] AS member) AS who",
            [
                merchant_id,
                number,
                world.card_ids[:1000],
                min(1000, len(world.card_ids)),
                world.member_ids[:1000],
                min(1000, len(world.member_ids)),
            ],
        )
        connection.execute(
            "SELECT payments_enter_unclaimed(array_agg(id)) FROM payments_transaction"
            " WHERE merchant_id = %s AND external_order_id LIKE 'PAST-%%'",
            [merchant_id],
        )
        connection.execute(
            "INSERT INTO payments_order (merchant_id, external_order_id, tx_id, amount)"
            " SELECT merchant_id, external_order_id, id, amount FROM payments_transaction"
            " WHERE merchant_id = %s AND external_order_id LIKE 'PAST-%%'",
            [merchant_id],
        )
        connection.execute(
            "INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body,"
            " created_at) SELECT %s, 'past-' || n, sha256(n::text::bytea), 201, '{}', now()"
            " FROM generate_series(1, %s) n",
            [merchant_id, number],
        )


def _take_numbers(cursor: psycopg.Cursor, sequence: str, number: int) -> int:
    """Take `number` numbers of a sequence at once; return the first."""
    row = cursor.execute(
        "SELECT setval(%s, nextval(%s) + %s) - %s", [sequence, sequence, number, number]
    ).fetchone()
    return row[0]


def _copy(cursor: psycopg.Cursor, target: str, rows: Iterator[tuple[object, ...]]) -> None:
    """Copy rows into `table (columns)`, by a table of our own: COPY knows no row policies."""
    table, _, columns = target.partition(" ")
    cursor.execute(
        f"CREATE TEMP TABLE loading ON COMMIT DROP AS SELECT {columns[1:-1]} FROM {table} LIMIT 0"
    )
    with cursor.copy("COPY loading FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(f"INSERT INTO {target} SELECT * FROM loading")
    cursor.execute("DROP TABLE loading")
