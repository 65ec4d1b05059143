"""Functions are checked without being run; PostgreSQL checks PL/pgSQL only when it gets there."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections, transaction

from mps.base.core import sql_files
from tests.conftest import url_for
from tests.servers import ROOT
from tests.sql import checking, sources

# What only running shows, and so what tests of their own are for: dynamic SQL, and the records that
# come of it or of the catalogue.
UNCHECKED = {
    "cards_drop_code_history": ["dynamic SQL"],
    "core_protect": ["dynamic SQL"],
    "core_refresh_partitions": ["dynamic SQL"],
    "make_partition": ["dynamic SQL"],
    "payments_archive_transactions": ["dynamic SQL"],
}


@pytest.fixture
def checker(unchecked_database: str) -> Iterator[checking.Checker]:
    """A checker on a clone, as a superuser."""
    url = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], unchecked_database)
    with psycopg.connect(url, autocommit=True) as connection:
        yield checking.Checker(connection)


def read_function(text: str) -> sources.Function:
    (statement,) = sources.read_text(text, ROOT / "made_up.sql", "core")
    function = sources.as_function(statement)
    assert function is not None
    return function


def find_unused(function: sources.Function) -> set[str]:
    """Return the parameters and variables that a body names nowhere."""
    used: set[str] = set()
    for each in function.expressions:
        used.add(each.target)
        for column in sources.columns_of(each.tree):
            path = sources.path_of(column)
            used.add(path[1] if path[0] == function.name and len(path) > 1 else path[0])
    declared = set(function.inputs)
    if function.language == "plpgsql":
        for kind in ("PLpgSQL_var", "PLpgSQL_rec"):
            found = list(sources.nodes_of(function.plpgsql["datums"], kind))
            # Only what is declared in the body stands in a line of it.
            declared |= {node["refname"] for node in found if "lineno" in node}
            targets = sources.nodes_of(function.plpgsql["action"], kind)
            used |= {node["refname"] for node in targets}
        for row in sources.nodes_of(function.plpgsql["action"], "PLpgSQL_row"):
            used |= {each["name"] for each in row["fields"]}
    return declared - used


def test_everything_parses() -> None:
    """Migrations, repeatable files and the benchmark's, and the bodies of their functions."""
    for path in sources.all_files():
        for statement in sources.read_file(path, ""):
            function = sources.as_function(statement)
            for expression in function.expressions if function else ():
                assert expression.tree, statement


def test_functions_are_made_under_all_checks(unchecked_database: str) -> None:
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT set_config('check_function_bodies', 'on', true),"
            " set_config('plpgsql.check_asserts', 'on', true),"
            " set_config('plpgsql.extra_errors', 'all', true)"
        )
        for file in sql_files.list_files():
            cursor.execute(file.text, None)
        transaction.set_rollback(True, using="owner")


def test_what_is_declared_is_used() -> None:
    unused = {each.name: found for each in sources.list_functions() if (found := find_unused(each))}

    assert unused == {}


def test_functions_suit_the_schema(checker: checking.Checker) -> None:
    functions = [each for each in sources.list_functions() if each.language == "plpgsql"]
    results = {function.name: checker.check(function) for function in functions}

    assert {name: result.wrong for name, result in results.items() if result.wrong} == {}
    assert {name: each.unchecked for name, each in results.items() if each.unchecked} == UNCHECKED


# --- the checks find something -------------------------------------------------------------------

_FRAME = """
CREATE FUNCTION core_made_up(p_id uuid, p_other integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    card record;
    many integer := p_other;
BEGIN
    SELECT c.id, c.number INTO card FROM cards_card c WHERE c.id = p_id;
    IF many > 0 THEN
        {}
    END IF;
    RETURN many;
END $$
"""


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE cards_card SET nickname = '' WHERE id = p_id;", 'column "nickname"'),
        ("many := (SELECT c.nickname FROM cards_card c WHERE c.id = p_id);", "c.nickname"),
        ("PERFORM 1 FROM cards_cards;", 'relation "cards_cards"'),
        ("PERFORM core_no_such(p_id);", "function core_no_such(uuid)"),
        ("PERFORM core_start_job(p_id, many);", "function core_start_job(uuid, integer)"),
        ("PERFORM card.nickname;", "card has no field nickname"),
        ("RAISE EXCEPTION '%', card.nickname;", "card has no field nickname"),
        ("IF card.number > many THEN RETURN 1; END IF;", "operator does not exist"),
        ("many := no_such_variable + 1;", 'column "no_such_variable"'),
    ],
)
def test_what_does_not_suit_the_schema_is_found(
    checker: checking.Checker, statement: str, wrong: str
) -> None:
    text = _FRAME.format(statement)
    checker.connection.execute(text)

    (found,) = checker.check(read_function(text)).wrong

    assert wrong in found


def test_a_trigger_is_checked_with_the_rows_of_its_table(checker: checking.Checker) -> None:
    text = (
        "CREATE FUNCTION core_made_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.limit_per_day > 0 THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
    checker.connection.execute(text)
    for table in ("cards_card", "cards_tier"):
        checker.connection.execute(
            f"CREATE TRIGGER made_up BEFORE UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION core_made_up()"
        )

    (found,) = checker.check(read_function(text)).wrong

    assert "new has no field limit_per_day" in found


def test_what_is_not_used_is_found() -> None:
    text = _FRAME.format("many := 1;").replace("card record;", "card record; spare text;")

    assert find_unused(read_function(text)) == {"spare"}
    in_sql = "CREATE FUNCTION f(p_a text, p_b text) RETURNS text LANGUAGE sql AS $$ SELECT p_a $$"
    assert find_unused(read_function(in_sql)) == {"p_b"}


def test_a_shadowed_variable_is_refused(checker: checking.Checker) -> None:
    checker.connection.execute("SET plpgsql.extra_errors = 'all'")

    with pytest.raises(psycopg.errors.DuplicateAlias):
        checker.connection.execute(_FRAME.format("DECLARE many text; BEGIN many := ''; END;"))
