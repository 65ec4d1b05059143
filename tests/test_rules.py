"""`docs/rules.md` is true to form: each rule has tests and settings that exist."""

import ast
import functools
import re

from tests.servers import ROOT
from tests.sources import own_files

RULES = ROOT / "docs" / "rules.md"
_RULE = re.compile(r"R-[A-Z]+-[0-9]+")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_SETTING = re.compile(r"`(MPS_[A-Z_]+)`")
_DEFAULT = re.compile(r"`(MPS_[A-Z_]+)` \(default `([^`]+)`")
# The sections of .env.example that hold business figures, and what in them is none.
BUSINESS_SECTIONS = ("rules", "staff")
NOT_BUSINESS = {
    "MPS_STRIPE_SECRET_KEY",
    "MPS_STRIPE_WEBHOOK_SECRET",
    "MPS_STRIPE_API_BASE",
    "MPS_BCRYPT_COST",
}


def text() -> str:
    return RULES.read_text(encoding="utf-8")


def rules() -> list[tuple[str, str, str]]:
    """Return anchor, id and text of each rule: a paragraph that begins with an anchor."""
    found = re.findall(
        r'^<a id="([^"]+)"></a>\n\*\*([^*]+)\*\* (.+?)(?=\n\n|\Z)',
        text(),
        re.MULTILINE | re.DOTALL,
    )
    assert len(found) == text().count("<a id=") > 100
    return found


@functools.cache
def functions_of(path: str) -> frozenset[str]:
    file = ROOT / path
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef))


def example() -> dict[str, dict[str, str]]:
    """Return the settings of .env.example with their defaults, by section."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"# --- (.+?)(?:: .+)? -+$", line):
            section = heading[1]
        elif setting := re.match(r"# ([A-Z][A-Z_]+)=(.*)$", line):
            sections.setdefault(section, {})[setting[1]] = setting[2]
    return sections


def test_each_rule_has_one_id() -> None:
    ids = [name for _anchor, name, _said in rules()]

    assert [anchor for anchor, _name, _said in rules()] == ids
    assert all(_RULE.fullmatch(name) for name in ids)
    assert len(ids) == len(set(ids))


def test_each_rule_names_a_test_that_exists() -> None:
    for _anchor, name, said in rules():
        held_by = _TEST.findall(said)
        assert held_by, name
        assert len(held_by) == said.count("tests/"), name
        for path, function in held_by:
            assert function.startswith("test_"), (name, function)
            assert function in functions_of(path), (name, path, function)


def test_examples_name_tests_that_exist() -> None:
    for path, function in _TEST.findall(text()):
        assert function in functions_of(path), (path, function)


def test_each_setting_exists_with_its_default() -> None:
    defaults = {name: value for found in example().values() for name, value in found.items()}

    assert set(_SETTING.findall(text())) <= defaults.keys()
    stated = _DEFAULT.findall(text())
    assert len(stated) > 15
    for name, value in stated:
        assert defaults[name] == value, name


def test_each_business_figure_is_in_a_rule() -> None:
    sections = example()
    figures = {name for each in BUSINESS_SECTIONS for name in sections[each]} - NOT_BUSINESS
    assert {"MPS_POINTS_BASIS", "MPS_FOUR_EYES_AMOUNT"} <= figures

    in_rules = {name for _anchor, _id, said in rules() for name in _SETTING.findall(said)}

    assert figures - in_rules == set()


def test_the_table_of_settings_names_the_rules_that_state_them() -> None:
    table = text().partition("\n## Settings\n")[2]
    listed = set()
    for row in table.splitlines():
        if row.startswith("| `MPS_"):
            names, _default, of = row.strip("| ").split(" | ")
            listed |= {(name, rule) for name in _SETTING.findall(names) for rule in of.split(", ")}
    ids = {name for _anchor, name, _said in rules()}
    stated = {(each, name) for _anchor, name, said in rules() for each in _SETTING.findall(said)}

    assert {rule for _setting, rule in listed} <= ids
    assert stated <= listed


def test_rules_that_are_cited_exist() -> None:
    ids = {name for _anchor, name, _said in rules()}
    for file in own_files():
        cited = set(re.findall(r"\bR-[A-Z]+-[0-9]+\b", file.read_text(encoding="utf-8")))
        assert cited <= ids, file
