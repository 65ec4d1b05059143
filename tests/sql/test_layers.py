"""SQL goes down the layers, as imports do: whose tables it names, and whose functions it calls.

A function of an app writes that app's tables only. It reads tables and calls functions of its own
app and of those below. The same holds for views, policies, triggers and grants. What stands in
dynamic SQL is not seen; `test_functions.py` lists the functions that have any.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from pglast import ast

from tests.servers import ROOT
from tests.sql import sources

# From the bottom. What stands side by side does not know each other.
LAYERS = (
    ("frameworks",),
    ("core",),
    ("ledger", "audit"),
    ("approvals",),
    ("members", "merchants"),
    ("cards",),
    ("payments",),
    ("settlements",),
    ("rpc",),
    ("monitoring",),
)
LEVELS = {app: level for level, names in enumerate(LAYERS) for app in names}
# Tables that Django and its packages made, and the catalogue.
FRAMEWORKS = ("account_", "auth_", "django_", "mfa_", "pg_", "socialaccount_")

# What an app may do to a table, or by a trigger on a table, that is not its own, and why.
ALLOWED = {
    # Who a member was is also in the tables by which they sign in. No app of ours is theirs, and
    # whoever is erased has no right to them: one function does it, as their owner.
    ("members_erase", "account_emailaddress"),
    ("members_erase", "account_emailconfirmation"),
    ("members_erase", "auth_user"),
    ("members_erase", "mfa_authenticator"),
    ("members_erase", "socialaccount_socialaccount"),
    ("members_erase", "socialaccount_socialtoken"),
    # A changed limit counts from the payments there are, so what was counted is forgotten with it,
    # in the same database transaction, whoever changes it and wherever. The apps below know no
    # payments; the console changes limits by an UPDATE.
    ("payments_binding_gone", "cards_binding"),
    ("payments_limit_changed", "cards_binding"),
    ("payments_limit_changed", "cards_card"),
    ("payments_limit_changed", "members_member"),
    ("payments_limit_changed", "merchants_merchant"),
}

Finding = tuple[str, str]


def owner_of(name: str, functions: dict[str, str]) -> str | None:
    """Return the app whose table or function this is; None: PostgreSQL's own, or a row's alias."""
    if name.startswith(FRAMEWORKS):
        return "frameworks"
    return functions.get(name) or next((app for app in LEVELS if name.startswith(f"{app}_")), None)


def find_crossings(
    statement: sources.Statement, functions: dict[str, str]
) -> Iterator[tuple[Finding, str]]:
    """Yield what a statement does that its app may not: by what it does it, to what, and how."""
    function = sources.as_function(statement)
    trees = [each.tree for each in function.expressions] if function else [statement.tree]
    name = function.name if function else str(statement)
    own = LEVELS[statement.app]
    if isinstance(statement.tree, ast.CreateTrigStmt):
        table = statement.tree.relation.relname
        if owner_of(table, functions) != statement.app:
            yield (statement.tree.trigname, table), "has a trigger on"
    for tree in trees:
        for written in sources.written_by(tree):
            if owner_of(written.relname, functions) != statement.app:
                yield (name, written.relname), "writes"
        used = [
            *(table.relname for table in sources.tables_of(tree) if table.schemaname != "report"),
            *(call.funcname[-1].sval for call in sources.calls_of(tree)),
        ]
        if isinstance(statement.tree, ast.CreateTrigStmt):
            used.append(statement.tree.funcname[-1].sval)
        for each in used:
            owner = owner_of(each, functions)
            if owner not in {None, statement.app} and LEVELS[owner] >= own:
                yield (name, each), "uses, which is not below,"


def all_statements() -> Iterator[sources.Statement]:
    """Yield what is in the repeatable files and in the migrations."""
    yield from sources.list_statements()
    for config in apps.get_app_configs():
        if hasattr(config, "sql_files"):
            for path in sorted((Path(config.path) / "migrations").glob("*.sql")):
                yield from sources.read_file(path, config.label)


@pytest.fixture(scope="module")
def functions() -> dict[str, str]:
    """Whose each function is, by name."""
    return {each.name: each.app for each in sources.list_functions()}


def test_sql_goes_down_the_layers(functions: dict[str, str]) -> None:
    found = {
        finding: f"{finding[0]} {how} {finding[1]}"
        for statement in all_statements()
        for finding, how in find_crossings(statement, functions)
    }

    assert sorted(text for finding, text in found.items() if finding not in ALLOWED) == []
    assert ALLOWED - set(found) == set(), "no longer needed"


def test_every_app_with_sql_has_its_layer() -> None:
    """And stands where import-linter has it."""
    assert {each.label for each in apps.get_app_configs() if hasattr(each, "sql_files")} <= {
        *LEVELS
    }
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for contract in config["contracts"]:
        if contract["name"].startswith("Views, admin"):
            continue
        places = [
            LEVELS[name]
            for layer in reversed(contract["layers"])
            for part in layer.split("|")
            if (name := part.strip().rpartition(".")[2]) in LEVELS
        ]
        assert places == sorted(places), contract["name"]


@pytest.mark.parametrize(
    ("app", "text", "found"),
    [
        ("cards", "UPDATE members_member SET name = ''", "writes members_member"),
        ("cards", "WITH gone AS (DELETE FROM ledger_entry) SELECT 1", "writes ledger_entry"),
        ("cards", "SELECT id FROM payments_order", "uses, which is not below, payments_order"),
        ("members", "SELECT merchants_name(NULL)", "uses, which is not below, merchants_name"),
        (
            "core",
            "CREATE POLICY p ON core_guess USING (key IN (SELECT name FROM rpc_servicekey))",
            "uses, which is not below, rpc_servicekey",
        ),
        (
            "merchants",
            "CREATE VIEW report.x AS SELECT 1 FROM cards_card",
            "uses, which is not below, cards_card",
        ),
        (
            "cards",
            "CREATE TRIGGER t AFTER UPDATE ON members_member EXECUTE FUNCTION cards_guard_card()",
            "has a trigger on members_member",
        ),
        (
            "members",
            "CREATE FUNCTION members_bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM cards_card) THEN RETURN; END IF; END $$",
            "uses, which is not below, cards_card",
        ),
    ],
)
def test_what_goes_up_or_sideways_is_found(
    functions: dict[str, str], app: str, text: str, found: str
) -> None:
    file = ROOT / app / "made_up.sql"
    (statement,) = sources.read_text(text, file, app)

    crossings = [f"{how} {what[1]}" for what, how in find_crossings(statement, functions)]

    assert found in crossings
