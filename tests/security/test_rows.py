"""What each role sees and may do in each table, by the database itself, whatever a query asks for.

Role x table x {SELECT, INSERT, UPDATE, DELETE, TRUNCATE} x {no principal, own, another, a pooled
connection that another principal used before}.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, connections

from cards import vouchers
from members import pins, profiles
from mps.base.core import db_scope
from payments import refunds
from tests import factories
from tests.payments import topups as top_ups
from tests.snapshots import fetch

# The frameworks' own tables: sessions, users, schedules. The web login uses them outside scopes.
FRAMEWORKS = (
    "account_",
    "auth_",
    "django_",
    "mfa_",
    "socialaccount_",
    "usersessions_",
)
ROLES = ("merchant_api", "member_app")
MY_ACCOUNT = "(SELECT account_id FROM merchants_merchant WHERE id = %(me)s)"
MY_CARDS = "(SELECT card_id FROM cards_binding WHERE member_id = %(me)s)"
MY_ACCOUNTS = (
    "(SELECT unnest(ARRAY[money_account_id, points_account_id]) FROM cards_card"
    f" WHERE id IN {MY_CARDS})"
)
# Whose a row is, for the roles that see rows of a table. Everything else is the console's alone.
OWN = {
    "merchant_api": {
        "ledger_account": f"id = {MY_ACCOUNT}",
        "ledger_entry": f"account_id = {MY_ACCOUNT}",
        "ledger_posting": "id IN (SELECT posting_id FROM ledger_entry"
        f" WHERE account_id = {MY_ACCOUNT})",
        "merchants_merchant": "id = %(me)s",
        "merchants_merchantuser": "merchant_id = %(me)s",
        "merchants_terminal": "merchant_id = %(me)s",
        "merchants_terminalkey": "terminal_id IN"
        " (SELECT id FROM merchants_terminal WHERE merchant_id = %(me)s)",
        "merchants_webhookendpoint": "merchant_id = %(me)s",
        "merchants_webhookevent": "merchant_id = %(me)s",
        "merchants_webhookdelivery": "endpoint_id IN"
        " (SELECT id FROM merchants_webhookendpoint WHERE merchant_id = %(me)s)",
        "payments_transaction": "merchant_id = %(me)s",
        "payments_idempotency": "scope_id = %(me)s",
        "payments_order": "merchant_id = %(me)s",
        "payments_consent": "merchant_id = %(me)s",
        "settlements_settlement": "merchant_id = %(me)s",
        "settlements_line": "settlement_id IN"
        " (SELECT id FROM settlements_settlement WHERE merchant_id = %(me)s)",
        "cards_tier": "true",
    },
    "member_app": {
        "ledger_account": f"id IN {MY_ACCOUNTS}",
        "ledger_entry": f"account_id IN {MY_ACCOUNTS}",
        "ledger_posting": "id IN (SELECT posting_id FROM ledger_entry"
        f" WHERE account_id IN {MY_ACCOUNTS})",
        "members_member": "id = %(me)s",
        "members_externalidentity": "member_id = %(me)s",
        "members_membertoken": "member_id = %(me)s",
        "members_pin": "member_id = %(me)s",
        "cards_card": f"id IN {MY_CARDS}",
        "cards_binding": f"card_id IN {MY_CARDS}",
        "cards_voucher": f"card_id IN {MY_CARDS}",
        "cards_paymentcode": "member_id = %(me)s",
        "payments_transaction": f"member_id = %(me)s OR card_id IN {MY_CARDS}",
        "payments_idempotency": "scope_id = %(me)s",
        "payments_consent": "member_id = %(me)s",
        "payments_topup": f"card_id IN {MY_CARDS}",
        "cards_tier": "true",
    },
}
APPEND_ONLY = (
    "ledger_posting",
    "ledger_entry",
    "audit_event",
    "audit_seal",
    "cards_codehistory",
)


def our_tables() -> list[str]:
    """Return our tables, without partitions."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
        names = [name for (name,) in cursor.fetchall()]
    return [name for name in names if not name.startswith(FRAMEWORKS)]


@dataclass(frozen=True)
class World:
    mine: dict[str, UUID]
    other: dict[str, UUID]


@pytest.fixture(scope="module")
def world(module_database: str) -> Iterator[World]:
    """Two shops and two members who have done all there is to do, and share nothing."""
    yield World(populate(), populate())


def populate() -> dict[str, UUID]:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "500.00")
    vouchers.issue_voucher_card(owner_id=member.id, kind="percent", value=Decimal(10))
    profiles.bind_identity(member_id=member.id, provider="wechat", external_id=uuid4().hex)
    paid = factories.charge(till, factories.make_code(card, member), "50.00", external_order_id="A")
    factories.charge(till, factories.make_code(standard, member), "5.00", payment_method="cash")
    factories.charge(till, factories.make_code(card, member), "5000.00")
    refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal(10), idempotency_key="R"
    )
    pins.set_pin(member_id=member.id, password=factories.PASSWORD, pin="4711")
    top_ups.begin(card, member)
    factories.member_token(member)
    factories.make_code(card, member)
    return {"merchant_api": till.merchant_id, "member_app": member.id}


@pytest.mark.parametrize("role", ROLES)
def test_rows_of_its_own_are_seen_and_no_others(world: World, role: Any) -> None:
    me, other = world.mine[role], world.other[role]
    seen_any = 0
    for table in our_tables():
        own = OWN[role].get(table)
        expected = fetch(f"SELECT count(*) FROM {table} WHERE {own}", {"me": me}) if own else 0
        for before in (None, other):
            if before is not None:  # the same connection, used by another principal just now
                assert count(role, before, table) is not None or not own
            seen = count(role, me, table)
            assert (seen or 0) == expected, (role, table)
        # Nobody is nobody, also after somebody.
        if own != "true":
            assert not count(role, None, table), (role, table)
        seen_any += expected
    assert seen_any > 20


def count(role: Any, principal: UUID | None, table: str) -> int | None:
    """Return how many rows a scope sees; None if it may not look at all."""
    try:
        with db_scope.principal_scope(role, principal), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            return int(cursor.fetchone()[0])
    except Exception as error:
        assert "permission denied" in str(error), error
        return None


@pytest.mark.parametrize("role", [*ROLES, "platform_admin"])
def test_nothing_of_others_is_changed_or_removed(world: World, role: Any) -> None:
    """By UPDATE, DELETE and TRUNCATE of whole tables: only own rows may move, most never."""
    me = None if role == "platform_admin" else world.mine[role]
    for table in our_tables():
        own = OWN.get(role, {}).get(table, "true" if role == "platform_admin" else "false")
        before = others_of(table, own, me)
        for sql in (
            f"UPDATE {table} SET {first_column(table)} = {first_column(table)}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(Exception) as refused, db_scope.principal_scope(role, me):
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    raise Undone
            assert (
                isinstance(refused.value, Undone)
                or "permission denied" in str(refused.value)
                or "append-only" in str(refused.value)
                or "violates" in str(refused.value)
            ), (role, sql, refused.value)
            assert not (isinstance(refused.value, Undone) and sql.startswith("TRUNCATE")), table
        assert others_of(table, own, me) == before


class Undone(Exception):
    """It worked; what it did to others' rows is looked at, and nothing of it stays."""


def first_column(table: str) -> str:
    return str(
        fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum LIMIT 1",
            [table],
        )
    )


def others_of(table: str, own: str, me: UUID | None) -> Any:
    return fetch(
        f"SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {table} t"
        f" WHERE NOT coalesce(({own}), false)",
        {"me": me},
    )


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_written_in_anothers_name(world: World, role: Any) -> None:
    """A copy of another's row is refused, by grant or by policy."""
    for table in our_tables():
        assert refuses_anothers_row(world, role, table), table


def test_each_policy_about_writing_is_missed_when_it_lets_everything_in(world: World) -> None:
    """The control: every one of them is what refuses a row of another."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT role, p.polrelid::regclass::text, p.polname,"
            " pg_get_expr(p.polwithcheck, p.polrelid)"
            " FROM pg_policy p, unnest(%s::text[]) AS role"
            " WHERE p.polwithcheck IS NOT NULL AND p.polcmd IN ('a', '*')"
            " AND role::regrole = ANY (p.polroles) AND has_any_column_privilege(role,"
            " p.polrelid, 'INSERT')",
            [list(ROLES)],
        )
        policies = cursor.fetchall()
        assert len(policies) >= 10
        for role, table, name, condition in policies:
            if table not in OWN[role]:
                continue
            alter = f"ALTER POLICY {name} ON {table} WITH CHECK"
            cursor.execute(f"{alter} (true)")
            try:
                assert not refuses_anothers_row(world, role, table), (role, name)
            finally:
                cursor.execute(f"{alter} ({condition})")


def refuses_anothers_row(world: World, role: Any, table: str) -> bool:
    """Return whether it is for its owner that a row is refused, and for nothing else."""
    me, other = world.mine[role], world.other[role]
    own = OWN[role].get(table)
    if own in (None, "true"):
        return True
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE {own} LIMIT 1", {"me": other})
        row = cursor.fetchone()
        names = [column.name for column in cursor.description or ()]
        if row is None:
            return True
        # A column that may not be written would refuse the whole, and hide what policies say.
        cursor.execute(
            "SELECT name, has_column_privilege(%s, %s::regclass, name, 'INSERT')"
            " FROM unnest(%s::text[]) AS name",
            [role, table, names],
        )
        may_write = dict(cursor.fetchall())
    values = {
        name: adapted(value)
        for name, value in zip(names, row, strict=True)
        if may_write[name] or not any(may_write.values())
    }
    try:
        with db_scope.principal_scope(role, me), connection.cursor() as cursor:
            cursor.execute(
                psycopg.sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    psycopg.sql.Identifier(table),
                    psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, values)),
                    psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * len(values)),
                ),
                list(values.values()),
            )
    except DatabaseError as error:
        return re.search("permission denied|row-level security", str(error)) is not None
    return False


def adapted(value: Any) -> Any:
    return psycopg.types.json.Jsonb(value) if isinstance(value, dict) else value


@pytest.mark.parametrize("role", [*ROLES, "platform_admin"])
def test_append_only_tables_are_changed_by_nobody(world: World, role: Any) -> None:
    me = None if role == "platform_admin" else world.mine[role]
    for table in (
        "ledger_posting",
        "ledger_entry",
        "audit_event",
        "audit_seal",
        "cards_codehistory",
    ):
        for sql in (
            f"UPDATE {table} SET id = id"
            if table != "audit_seal"
            else f"UPDATE {table} SET count = 0",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(Exception, match="permission denied"):
                with db_scope.principal_scope(role, me), connection.cursor() as cursor:
                    cursor.execute(sql)


def test_a_member_has_their_own_user_only_and_is_never_made_staff(database: str) -> None:
    me, _ = factories.make_member()
    factories.make_member()
    users = (
        "SELECT string_agg(username || is_staff::text || password, ',' ORDER BY id) FROM auth_user"
    )
    before = fetch(users)

    with db_scope.principal_scope("member_app", me.id), connection.cursor() as cursor:
        cursor.execute("SELECT username FROM auth_user")
        assert cursor.fetchall() == [(me.id.hex,)]
    with db_scope.principal_scope("member_app", uuid4()), connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user SET password = 'mine' RETURNING id")
        assert cursor.fetchall() == []
    for sql, refusal in (
        ("UPDATE auth_user SET is_staff = true", "permission denied"),
        ("UPDATE auth_user SET username = 'root'", "permission denied"),
        ("DELETE FROM auth_user", "permission denied"),
        (
            "INSERT INTO auth_user SELECT 99, 'x', NULL, true, replace(%s::text, '-', ''), '', '',"
            " '', true, true, now()",
            "row-level security",
        ),
        (
            "INSERT INTO auth_user SELECT 99, 'x', NULL, false, 'else', '', '', '', false, true,"
            " now() WHERE %s IS NOT NULL",
            "row-level security",
        ),
    ):
        with (
            pytest.raises(psycopg.Error, match=refusal),
            db_scope.principal_scope("member_app", me.id),
            connection.connection.cursor() as cursor,
        ):
            cursor.execute(sql, [me.id] if "%s" in sql else None)
    assert fetch(users) == before
