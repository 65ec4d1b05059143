"""A filled database:

Members, prepaid cards with money, live codes, and a past. Loaded by COPY, as owner.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import psycopg

from cards import codes

PASSWORD = "!"  # nobody of these signs in
BALANCE = Decimal("100000.00")
LOT = 10_000  # rows of a past loaded at once


@dataclass(frozen=True, slots=True)
class World:
    """What was loaded: one live code a card."""

    codes: list[str]
    card_ids: list[uuid.UUID]
    member_ids: list[uuid.UUID]


def load_cards(connection: psycopg.Connection, number: int, *, ttl_seconds: int = 86_400) -> World:
    """Load `number` members, each with a prepaid card of 100,000.00 and a live code. Commits."""
    key = codes.current_keys()[0]
    members = [uuid.uuid4() for _ in range(number)]
    cards = [uuid.uuid4() for _ in range(number)]
    nonces = [codes.new_nonce() for _ in range(number)]
    shown = [codes.derive_code(key, nonce) for nonce in nonces]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE loading (n integer, member uuid, card uuid, nonce bytea,"
            " code_hash bytea, money uuid DEFAULT gen_random_uuid(),"
            " points uuid DEFAULT gen_random_uuid()) ON COMMIT DROP"
        )
        with cursor.copy("COPY loading (n, member, card, nonce, code_hash) FROM STDIN") as copy:
            for n in range(number):
                hashed = codes.hash_code(key, shown[n])
                copy.write_row((n, members[n], cards[n], nonces[n], hashed))
        values = {
            "password": PASSWORD,
            "balance": BALANCE,
            "key": key.id,
            "ttl": ttl_seconds,
            "user": _take_numbers(cursor, "auth_user_id_seq", number),
            "member": _take_numbers(cursor, "members_member_number_seq", number),
            "card": _take_numbers(cursor, "cards_prepaid_number_seq", number),
        }
        for statement in _CARDS:
            cursor.execute(statement, values)
    return World(shown, cards, members)


_CARDS = (
    """
    INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email,
                           is_staff, is_active, date_joined)
    SELECT %(user)s + n, %(password)s, false, member, '', '', '', false, true, now() FROM loading
    """,
    """
    INSERT INTO members_member (id, number, user_id, name, status, status_reason)
    SELECT member, 'M' || lpad((%(member)s + n)::text, 8, '0'), %(user)s + n, 'Member ' || n,
           'active', ''
    FROM loading
    """,
    """
    INSERT INTO ledger_account (id, kind, unit, balance)
    SELECT money, 'card_money', 'TWD', %(balance)s::numeric FROM loading
    UNION ALL SELECT points, 'card_points', 'PTS', 0 FROM loading
    """,
    """
    INSERT INTO cards_card (id, number, card_type, status, status_reason, locked_by_member,
                            owner_id, name, binding_password, money_account_id, points_account_id)
    SELECT card, 'PPD' || lpad((%(card)s + n)::text, 8, '0'), 'PPD', 'active', '', false, member,
           '', '', money, points
    FROM loading
    """,
    """
    INSERT INTO cards_binding (id, card_id, member_id, role)
    SELECT gen_random_uuid(), card, member, 'owner' FROM loading
    """,
    """
    INSERT INTO cards_paymentcode (id, card_id, member_id, nonce, key_id, code_hash, issued_at,
                                   expires_at, outcome)
    SELECT gen_random_uuid(), card, member, nonce, %(key)s, code_hash, now(),
           now() + make_interval(secs => %(ttl)s), ''
    FROM loading
    """,
    # The money came from somewhere: one opening posting over all cards.
    """
    WITH posting AS (
        INSERT INTO ledger_posting (kind, reference, posted_at)
        VALUES ('opening', gen_random_uuid(), now()) RETURNING id
    )
    INSERT INTO ledger_entry (posting_id, account_id, amount, balance_after)
    SELECT posting.id, money, %(balance)s::numeric, %(balance)s::numeric FROM posting, loading
    UNION ALL
    SELECT posting.id, ledger_platform_account('clearing', 'TWD'),
           -%(balance)s::numeric * (SELECT count(*) FROM loading), NULL
    FROM posting
    """,
)


def renew_codes(connection: psycopg.Connection, world: World) -> World:
    """Give every card of the world a new live code. Commits."""
    key = codes.current_keys()[0]
    nonces = [codes.new_nonce() for _ in world.card_ids]
    shown = [codes.derive_code(key, nonce) for nonce in nonces]
    with connection.transaction():
        connection.execute(
            "SELECT count(*) FROM cards_issue_codes("
            "p_cards => %s::uuid[], p_members => %s::uuid[], p_nonces => %s::bytea[],"
            " p_key_id => %s, p_hashes => %s::bytea[], p_ttl_seconds => 86400)",
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


# --- months of business --------------------------------------------------------------------------

# Who pays and who is paid, numbered from 0.
_PEOPLE = """
    CREATE TEMP TABLE history_holder AS
    SELECT row_number() OVER (ORDER BY c.number) - 1 AS place, c.id AS card_id, c.number,
           c.owner_id AS member_id, c.money_account_id AS money, c.points_account_id AS points
    FROM cards_card c WHERE c.card_type = 'PPD';
    CREATE TEMP TABLE history_shop AS
    SELECT row_number() OVER (ORDER BY m.code) - 1 AS place, m.id, m.code, m.account_id,
           t.id AS terminal_id, e.id AS endpoint_id
    FROM merchants_merchant m JOIN merchants_terminal t ON t.merchant_id = m.id
    JOIN merchants_webhookendpoint e ON e.merchant_id = m.id;
    CREATE UNIQUE INDEX ON history_holder (place);
    CREATE UNIQUE INDEX ON history_shop (place);
    ANALYZE history_holder, history_shop
"""
# A lot of what happened, in the order of time; few shops have most of it. Of a hundred, two are
# declined, one is a top-up, three are refunds, fourteen are paid in cash.
_LOT = """
    CREATE TEMP TABLE lot ON COMMIT DROP AS
    SELECT what.*, payments_next_number(kind) AS tx_no, when_.at,
           uuidv7(when_.at - now()) AS id, uuidv7(when_.at - now()) AS posting_id,
           kind IN ('payment', 'refund') AND status = 'completed' AND method = 'balance'
             OR kind = 'recharge' AS is_posted,
           price - round(price * 0.05, 2) AS final, h.card_id, h.number, h.member_id, h.money,
           h.points, s.id AS shop_id, s.code, s.account_id, s.terminal_id, s.endpoint_id
    FROM (
        SELECT n, CASE n %% 100 WHEN 2 THEN 'recharge' WHEN 3 THEN 'refund' WHEN 4 THEN 'refund'
                                WHEN 5 THEN 'refund' ELSE 'payment' END AS kind,
               CASE WHEN n %% 100 < 2 THEN 'failed' ELSE 'completed' END AS status,
               CASE WHEN n %% 100 BETWEEN 6 AND 19 OR n %% 100 = 2 THEN 'cash' ELSE 'balance' END
                 AS method,
               (50 + n * 37 %% 451)::numeric(14, 2) AS price
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    ) AS what
    CROSS JOIN LATERAL (
        SELECT now() - make_interval(days => %(days)s) * (1 - n::float8 / %(number)s) AS at
    ) AS when_
    JOIN history_holder h ON h.place = n * 7919 %% %(holders)s
    LEFT JOIN history_shop s ON kind <> 'recharge'
      AND s.place = floor(%(shops)s * power((n * 0.6180339887498949::float8)::numeric %% 1, 2))
    ORDER BY n
"""
_TRANSACTIONS = """
    INSERT INTO payments_transaction (
        id, tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no,
        member_id, currency, amount, discount_rate, discount_amount, final_amount, points, fee,
        payment_method, external_order_id, original_id, created_at)
    SELECT id, tx_no, kind, status,
           CASE status WHEN 'failed' THEN 'INSUFFICIENT_BALANCE' ELSE '' END, shop_id, terminal_id,
           card_id, number, member_id, 'TWD', price, 0.95, price - final, final,
           CASE WHEN kind = 'payment' AND status = 'completed' THEN floor(price) ELSE 0 END,
           CASE WHEN method = 'balance' AND status = 'completed' THEN round(final * 0.02, 2)
                ELSE 0 END,
           method, CASE kind WHEN 'payment' THEN 'HIST-' || n ELSE '' END,
           CASE kind WHEN 'refund' THEN gen_random_uuid() END, at
    FROM lot
"""
_POSTINGS = """
    INSERT INTO ledger_posting (id, kind, reference, posted_at)
    SELECT posting_id, kind, id, at FROM lot WHERE is_posted
"""
# A card's balance after each entry goes on from what the card has now.
_ENTRIES = """
    INSERT INTO ledger_entry (id, posting_id, account_id, amount, balance_after)
    SELECT uuidv7(at - now()), posting_id, a.id, moved,
           CASE WHEN a.balance IS NOT NULL
                THEN a.balance + sum(moved) OVER (PARTITION BY a.id ORDER BY n) END
    FROM lot
    CROSS JOIN LATERAL (
        SELECT CASE kind WHEN 'payment' THEN -final ELSE final END AS on_card
    ) AS m
    CROSS JOIN LATERAL (VALUES
        (money, on_card),
        (CASE kind WHEN 'recharge' THEN %(clearing)s ELSE account_id END, -on_card),
        (CASE kind WHEN 'payment' THEN points END, floor(price)),
        (CASE kind WHEN 'payment' THEN %(points_issue)s::uuid END, -floor(price))
    ) AS e (on_account, moved)
    JOIN ledger_account a ON a.id = e.on_account
    WHERE is_posted ORDER BY n
"""
_BALANCES = """
    WITH moved AS (
        SELECT e.account_id, sum(e.amount) AS by
        FROM lot JOIN ledger_entry e ON e.posting_id = lot.posting_id
        WHERE is_posted AND e.id >= core_uuid_floor(%(since)s) GROUP BY 1)
    UPDATE ledger_account a SET balance = balance + moved.by
    FROM moved WHERE a.id = moved.account_id AND a.balance IS NOT NULL
"""
_EVENTS = """
    WITH event AS (
        INSERT INTO audit_event (id, happened_at, actor_type, actor, action, object_type, object_id,
                                 context, request_id, address)
        SELECT uuidv7(at - now()), at, 'terminal', coalesce(terminal_id::text, 'till'),
               upper(kind) || CASE status WHEN 'failed' THEN '_FAILED' ELSE '_COMPLETED' END,
               'transaction', tx_no,
               jsonb_strip_nulls(jsonb_build_object(
                   'merchant', shop_id, 'card', number, 'amount', price::text, 'error',
                   CASE status WHEN 'failed' THEN 'INSUFFICIENT_BALANCE' END)),
               gen_random_uuid()::text, '203.0.113.7'
        FROM lot ORDER BY n
        RETURNING id
    ) INSERT INTO audit_unsealed (event_id) SELECT id FROM event
"""
_CODES = """
    INSERT INTO cards_codehistory (id, card_id, member_id, code_hash, issued_at, expires_at,
                                   ended_at, outcome)
    SELECT uuidv7(at - now()), card_id, member_id, sha256(n::text::bytea),
           at - interval '1 minute', at + interval '1 minute', at, 'used'
    FROM lot WHERE kind = 'payment' AND status = 'completed' ORDER BY n
"""
_WEBHOOKS = """
    WITH event AS (
        INSERT INTO merchants_webhookevent (id, merchant_id, type, payload, created_at)
        SELECT uuidv7(at - now()), shop_id, 'payment.completed',
               jsonb_build_object('tx_no', tx_no, 'final_amount', final::text), at
        FROM lot
        WHERE kind = 'payment' AND status = 'completed' AND n %% 10 = 7 ORDER BY n
        RETURNING id, merchant_id, created_at
    ) INSERT INTO merchants_webhookdelivery (
        id, event_id, endpoint_id, state, attempts, next_attempt_at, last_attempt_at, last_status,
        delivered_at, created_at)
    SELECT uuidv7(created_at - now()), event.id, endpoint_id, 'delivered', 1, created_at,
           created_at, 200, created_at, created_at
    FROM event JOIN history_shop s ON s.id = event.merchant_id
"""
_TOP_UPS = """
    INSERT INTO payments_topup (
        id, order_id, provider, card_id, member_id, amount, currency, idempotency_key, request_hash,
        status, payment_id, paid_amount, paid_currency, paid_at, tx_id, created_at, expires_at,
        closed_at)
    SELECT uuidv7(at - now()), 'HIST-' || n, 'sandbox', card_id, member_id, final, 'TWD',
           'HIST-' || n, sha256(n::text::bytea), 'completed', 'sbx_' || n, final, 'TWD', at, id,
           at, at + interval '1 hour', at
    FROM lot WHERE kind = 'recharge' ORDER BY n
"""
# Only what was sold since yesterday waits for its settlement.
_UNCLAIMED = """
    SELECT payments_enter_unclaimed(array_agg(id)) FROM lot WHERE at > now() - interval '1 day'
"""
_LOT_STATEMENTS = (
    _TRANSACTIONS,
    _POSTINGS,
    _ENTRIES,
    _BALANCES,
    _EVENTS,
    _CODES,
    _WEBHOOKS,
    _TOP_UPS,
    _UNCLAIMED,
    "SELECT audit_seal_events(10000)",
)
_ENDPOINTS = """
    INSERT INTO merchants_webhookendpoint (merchant_id, url, secret_key_id)
    SELECT id, 'https://example.com/' || code, 'none' FROM merchants_merchant
"""
# Members joined all the while, and sign in by a provider, too; each shop was paid for each day.
_AROUND = """
    UPDATE members_member
    SET created_at = now() - random() * make_interval(days => %(days)s);
    INSERT INTO members_externalidentity (id, member_id, provider, external_id, created_at)
    SELECT gen_random_uuid(), id, 'wechat', 'openid-' || number, created_at FROM members_member;
    INSERT INTO settlements_settlement (
        id, merchant_id, mode, period_start, period_end, currency, gross, refunds, cash_topups, fee,
        carried_in, net, tx_count, status, created_at, approved_at, approved_by, paid_at)
    SELECT uuidv7(day + interval '1 day' - now()), m.id, 't_plus_1', day, day + interval '1 day',
           'TWD', 1000, 0, 0, 20, 0, 980, 10, CASE WHEN is_new THEN 'pending' ELSE 'paid' END,
           day + interval '1 day', CASE WHEN NOT is_new THEN day + interval '1 day' END, '',
           CASE WHEN NOT is_new THEN day + interval '1 day' END
    FROM generate_series(2, %(days)s) AS ago
    CROSS JOIN LATERAL (
        SELECT date_trunc('day', now()) - make_interval(days => ago) AS day, ago = 2 AS is_new) AS d
    CROSS JOIN merchants_merchant m;
    INSERT INTO core_jobrun (id, name, started_at, lease_until, finished_at, outcome)
    SELECT uuidv7(at - now()), 'seal_audit', at, at, at, 'ok'
    FROM generate_series(1, 20000) AS n
    CROSS JOIN LATERAL (
        SELECT now() - make_interval(days => %(days)s) * (n / 20000.0) AS at) AS t
"""


def load_history(
    connection: psycopg.Connection,
    number: int,
    *,
    days: int = 120,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Load `number` transactions of the cards and shops there are, over so many days until now.

    With all a transaction leaves behind: its posting and entries, its audit event in a seal, the
    code it used, some webhooks and top-ups. Commits in lots.

    :param on_progress: told how many of how many are there.
    """
    connection.execute("SELECT ensure_partitions(%s, 1)", [days // 28 + 1])
    connection.execute(_ENDPOINTS)
    connection.execute(_PEOPLE)
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM history_holder), (SELECT count(*) FROM history_shop),"
        " (SELECT id FROM ledger_account WHERE kind = 'points_issue')"
    ).fetchone()
    values = {
        "number": number,
        "days": days,
        **dict(zip(("holders", "shops", "points_issue"), counts, strict=True)),
    }
    row = connection.execute("SELECT ledger_platform_account('clearing', 'TWD')").fetchone()
    values["clearing"] = row[0]
    for first in range(1, number + 1, LOT):
        last = min(first + LOT - 1, number)
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = off")
            connection.execute("SELECT set_config('mps.posting_id', 'history', true)")
            connection.execute(_LOT, {**values, "first": first, "last": last})
            connection.execute("ANALYZE lot")
            row = connection.execute("SELECT min(at) - interval '1 hour' FROM lot").fetchone()
            for statement in _LOT_STATEMENTS:
                connection.execute(statement, {**values, "since": row[0]})
        on_progress(last, number)
    with connection.transaction():
        for statement in _AROUND.split(";"):
            connection.execute(statement, values)
    connection.execute("DROP TABLE history_holder, history_shop")
    connection.execute("VACUUM ANALYZE")
