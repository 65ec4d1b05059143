"""Scopes as arguments: who makes one, how long it lasts, and that no function both takes and opens
one.
"""

import ast
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mps.base.core.db_scope import Scope, current_scope, principal_scope
from mps.base.ledger import services as ledger

ROOT = Path(__file__).parents[2]
# A framework calls these with arguments of its own.
MAY_ASK = {
    "mps/base/console/admin/approvals.py",
    "mps/base/console/admin/audit.py",
    "mps/base/console/model_admin.py",
    "mps/product/reports/pages.py",
    "payments/first_page.py",
    "settlements/admin.py",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for app in ("mps", "members", "merchants", "cards", "payments", "settlements"):
        for file in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in file.parts:
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def name_of(node: ast.AST) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def test_a_scope_says_as_whom_it_runs(database: str) -> None:
    shop = uuid.uuid4()

    with principal_scope("merchant_api", shop) as scope:
        assert (scope.role, scope.principal) == ("merchant_api", shop)
        assert current_scope() is scope


def test_a_scope_is_over_with_its_block(database: str) -> None:
    with principal_scope("platform_admin") as kept:
        ledger.platform_account(kept, kind="clearing", unit="TWD")
    with pytest.raises(RuntimeError, match="ended"):
        kept.require_open()
    with pytest.raises(RuntimeError, match="ended"), principal_scope("platform_admin"):
        ledger.platform_account(kept, kind="clearing", unit="TWD")
    with pytest.raises(ZeroDivisionError), principal_scope("platform_admin"):
        _ = 1 / 0
    with pytest.raises(RuntimeError, match="No scope"):
        current_scope()


def test_a_scope_is_none_of_another_thread(database: str) -> None:
    refused: list[str] = []

    def use(scope: Scope) -> None:
        try:
            scope.require_open()
        except RuntimeError as error:
            refused.append(str(error))

    with principal_scope("platform_admin") as scope:
        other = threading.Thread(target=use, args=[scope])
        other.start()
        other.join()

    assert refused == ["The scope has ended."]


@pytest.mark.parametrize("opener", [None, object()])
def test_nobody_else_makes_a_scope(opener: Any) -> None:
    with pytest.raises(TypeError):
        Scope("platform_admin", None, opener)


def test_a_scope_is_the_first_argument_and_whoever_takes_one_opens_none() -> None:
    for file, module in modules():
        for function in ast.walk(module):
            if not isinstance(function, ast.FunctionDef):
                continue
            arguments = [*function.args.posonlyargs, *function.args.args]
            every = [*arguments, *function.args.kwonlyargs]
            taken = [
                each for each in every if each.annotation and name_of(each.annotation) == "Scope"
            ]
            if not taken:
                continue
            where = f"{file}: {function.name}"
            own = [each for each in arguments if each.arg != "self"]
            assert [each.arg for each in taken] == ["scope"], where
            assert own[0] is taken[0], where
            opened = [
                call
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and name_of(call.func) == "principal_scope"
            ]
            assert opened == [], where


def test_only_what_a_framework_calls_asks_for_the_open_scope() -> None:
    asking = {
        file
        for file, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and name_of(node.func) == "current_scope"
    }
    assert asking == MAY_ASK
