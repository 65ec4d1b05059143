"""What sqlfluff cannot see, since a function's body is a string to it."""

import ast
import re
from collections.abc import Iterator

import pytest
from django.apps import apps

from tests import sources as own
from tests.servers import ROOT
from tests.sql import sources

MAX_COLUMNS = 100
MOST_BY_PLACE = 3
# A call; the name of its first argument, or the end of its brackets (a text that names a function).
_CALL = re.compile(r"\b(\w+)\(\s*(\)|\w+ =>)?")
_LOCK = re.compile(r"\bpg_(?:try_)?advisory_\w+")
_SPACE = re.compile(
    r"pg_advisory_xact_lock(?:_shared)?\(\s*hashtextextended\([^;]*?,"
    r" (?:public\.)?core_lock_space\('(\w+)'\)\)"
)


def strings_of_programs() -> Iterator[tuple[str, str]]:
    """Yield the strings of our programs that are not texts about them, with where they are."""
    for path in own.own_files(".py"):
        if path.is_relative_to(ROOT / "tests"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", "") for part in node.values)
                text = "".join(part if isinstance(part, str) else "?" for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = "" if node in said else node.value
            else:
                continue
            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def find_calls_by_place(
    where: str, text: str, functions: dict[str, sources.Function]
) -> Iterator[str]:
    """Yield calls of functions with many arguments that do not name them."""
    for name, named in _CALL.findall(text):
        function = functions.get(name)
        if function and len(function.inputs) > MOST_BY_PLACE and not named:
            yield f"{where}: {name}"


@pytest.fixture(scope="module")
def functions() -> dict[str, sources.Function]:
    """Our functions by name, the benchmark's with them."""
    made = [
        sources.as_function(each) for each in sources.read_file(ROOT / "benchmarks/limit.sql", "")
    ]
    listed = [*sources.list_functions(), *(each for each in made if each)]
    return {each.name: each for each in listed}


def test_no_line_of_sql_is_too_long() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)}"
        for path in sources.all_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > MAX_COLUMNS
    ]

    assert found == []


def test_calls_with_many_arguments_name_them(functions: dict[str, sources.Function]) -> None:
    found: list[str] = []
    for function in functions.values():
        for expression in function.expressions:
            for call in sources.calls_of(expression.tree):
                called = functions.get(call.funcname[-1].sval)
                many = called is not None and len(called.inputs) > MOST_BY_PLACE
                if many and not all(hasattr(each, "argnumber") for each in call.args):
                    found.append(f"{function.name}: {call.funcname[-1].sval}")
    for where, text in strings_of_programs():
        found += find_calls_by_place(where, text, functions)

    assert found == []


def test_a_call_by_place_is_found(functions: dict[str, sources.Function]) -> None:
    def find(text: str) -> list[str]:
        return list(find_calls_by_place("here", text, functions))

    assert find("SELECT audit_record(%s, %s)") == ["here: audit_record"]
    assert find("SELECT audit_record(p_actor_type => %s)") == []
    assert find("audit_record() is the writer") == []
    assert find("SELECT core_start_job(%s, %s)") == []


# --- advisory locks ------------------------------------------------------------------------------


def registered_spaces() -> dict[str, str]:
    """Return the numbers of the spaces that `core_lock_space()` knows, by name."""
    text = (ROOT / "mps/base/core/sql/locks.sql").read_text(encoding="utf-8")
    return dict(re.findall(r"WHEN '(\w+)' THEN (\d+)", text))


def test_every_advisory_lock_names_its_space() -> None:
    users: dict[str, set[str]] = {}
    for config in apps.get_app_configs():
        for name in getattr(config, "sql_files", ()):
            path = ROOT / config.path / "sql" / f"{name}.sql"
            text = path.read_text(encoding="utf-8")
            spaces = _SPACE.findall(text)
            assert len(spaces) == len(_LOCK.findall(text)), f"{path} locks without a space"
            for space in spaces:
                users.setdefault(space, set()).add(config.label)

    assert set(users) == set(registered_spaces())
    assert [space for space, by in users.items() if len(by) > 1] == [], "one app, one purpose"


def test_no_program_locks_but_by_a_function() -> None:
    found = [where for where, text in strings_of_programs() if _LOCK.search(text)]
    others = [path for path in sources.all_files() if path.parent.name != "sql"]

    assert found == []
    assert [path for path in others if _LOCK.search(path.read_text(encoding="utf-8"))] == []


def test_the_spaces_are_numbered_once_and_listed() -> None:
    spaces = registered_spaces()
    architecture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    _, _, section = architecture.partition("\n## Lock order\n")
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", section.partition("\n## ")[0], re.MULTILINE)

    assert len(set(spaces.values())) == len(spaces)
    assert dict(listed) == spaces
    # Published: an upgrade's old processes lock by these.
    assert spaces == {
        "fact": "0",
        "payment_name": "1",
        "settlements": "2",
        "spending": "3",
        "webhook_endpoints": "4",
        "audit_seal": "5",
    }
