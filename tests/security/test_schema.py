"""What the schema itself says about who may do what."""

from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection, connections

from mps.base.core import db_scope
from tests.security.test_rows import FRAMEWORKS, ROLES, our_tables


def test_every_table_of_ours_is_closed_by_policies(database: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class c WHERE relrowsecurity AND relforcerowsecurity"
            " AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)"
        )
        closed = {name for (name,) in cursor.fetchall()}
        cursor.execute(
            "SELECT count(*) FROM pg_class"
            " WHERE relispartition AND relkind = 'r' AND NOT relrowsecurity"
        )
        open_partitions = cursor.fetchone()[0]
    ours = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.db_table.startswith(FRAMEWORKS)
    }

    assert not (ours | set(our_tables())) - closed
    assert open_partitions == 0


def test_nobody_who_signs_in_goes_round_policies(database: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolbypassrls) AND rolname ~"
            " '^(mps_owner|mps_web|mps_report|merchant_api|member_app|platform_admin)$'"
        )
        assert cursor.fetchall() == []
        cursor.execute(
            "SELECT inherit_option FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
            " WHERE r.rolname = 'mps_web'"
        )
        assert {inherits for (inherits,) in cursor.fetchall()} == {False}


def test_without_a_role_the_web_login_sees_nothing(database: str) -> None:
    for table in our_tables():
        with pytest.raises(Exception, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")


def test_partitions_are_no_way_round(database: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r'"
        )
        partitions = [name for (name,) in cursor.fetchall()]
    assert partitions
    for role in (*ROLES, "platform_admin"):
        for name in partitions[:5]:
            with pytest.raises(Exception, match="permission denied"):
                with db_scope.principal_scope(role, uuid4()), connection.cursor() as cursor:  # type: ignore[arg-type]
                    cursor.execute(f"SELECT count(*) FROM {name}")


def test_definer_functions_have_a_fixed_path_and_are_not_everybodys(database: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT p.proname FROM pg_proc p WHERE p.prosecdef"
            " AND p.pronamespace = 'public'::regnamespace AND (NOT EXISTS ("
            "   SELECT FROM unnest(p.proconfig) setting WHERE setting LIKE 'search_path=%')"
            "  OR has_function_privilege('public', p.oid, 'EXECUTE'))"
        )
        assert cursor.fetchall() == []
