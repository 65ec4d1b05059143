"""Who the processes are in the database."""

import uuid

import pytest
from django.db import DatabaseError, connection, connections, transaction

from cards.models import Card
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.snapshots import fetch

ROLES = ("merchant_api", "member_app", "platform_admin")
LOGINS = ("mps_owner", "mps_web", "mps_report", "mps_backup")


def seen() -> tuple[str, uuid.UUID | None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text, core_principal_id()")
        row: tuple[str, uuid.UUID | None] = cursor.fetchone()
        return row


def test_no_login_is_mighty(database: str) -> None:
    for name in (*LOGINS, *ROLES):
        assert (
            fetch(
                "SELECT (rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication,"
                " rolcanlogin)::text FROM pg_roles WHERE rolname = %s",
                [name],
            )
            == f"(f,{'t' if name == 'mps_backup' else 'f'},f,f,f,{'t' if name in LOGINS else 'f'})"
        )
    assert fetch(
        "SELECT count(*) FROM pg_auth_members WHERE member = 'mps_web'::regrole"
        " AND NOT inherit_option AND set_option AND NOT admin_option"
    ) == len(ROLES)
    assert fetch("SELECT count(*) FROM pg_auth_members WHERE member = 'mps_web'::regrole") == 3
    assert (
        fetch("SELECT count(*) FROM pg_class WHERE relowner = 'mps_web'::regrole")
        + fetch("SELECT count(*) FROM pg_proc WHERE proowner = 'mps_web'::regrole")
        == 0
    )
    for role in ("mps_web", *ROLES, "mps_report"):
        assert not fetch("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [role])
        assert not fetch("SELECT has_schema_privilege(%s, 'archive', 'USAGE')", [role])


def test_nobody_may_call_what_was_not_granted(database: str) -> None:
    assert (
        fetch(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND prosecdef AND has_function_privilege('public', oid, 'EXECUTE')"
        )
        == 0
    )
    # A function that acts as its owner looks names up where only the owner can put them.
    assert (
        fetch(
            "SELECT array_agg(proname::text) FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace AND prosecdef"
            " AND NOT coalesce(array_to_string(proconfig, ';') LIKE '%%search_path=%%', false)"
        )
        is None
    )
    for function in ("cards_burn_code(uuid)", "cards_use_voucher(uuid,uuid)"):
        for role in ("mps_web", *ROLES):
            assert not fetch("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, function])


@pytest.mark.parametrize("role", ROLES)
def test_a_scope_ends_with_its_database_transaction(database: str, role: str) -> None:
    principal = uuid.uuid4()
    for _ in range(2):
        with principal_scope(role, principal):  # type: ignore[arg-type]
            assert seen() == (role, principal)
        assert seen() == ("mps_web", None)
    with pytest.raises(ZeroDivisionError), principal_scope(role, principal):  # type: ignore[arg-type]
        _ = 1 / 0
    assert seen() == ("mps_web", None)
    with principal_scope("platform_admin"):
        assert seen() == ("platform_admin", None)


def test_a_scope_stands_alone(database: str) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError), principal_scope("platform_admin"):
        pass
    with (
        principal_scope("platform_admin"),
        pytest.raises(RuntimeError),
        principal_scope("member_app", uuid.uuid4()),
    ):
        pass


def test_outside_a_scope_nothing_is_read(database: str) -> None:
    factories.make_member()

    for table in ("cards_card", "members_member", "payments_transaction", "merchants_merchant"):
        with pytest.raises(DatabaseError, match="permission denied"):
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT FROM {table}")
    with pytest.raises(DatabaseError, match="permission denied"):
        Card.objects.first()
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT session_user::text")
        assert cursor.fetchone()[0] == "mps_web"
