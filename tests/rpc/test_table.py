"""The facade offers what is published, no less and no more, and each function has its test."""

import uuid

import pytest

from mps.product.rpc.functions import FUNCTIONS
from tests.rpc import test_functions, test_new_cards, test_settlements
from tests.rpc.table import TABLE


def test_every_function_of_the_table_is_offered() -> None:
    assert set(FUNCTIONS) == set(TABLE)
    assert len(TABLE) == 30


@pytest.mark.parametrize("name", TABLE)
def test_a_function_is_as_listed(name: str) -> None:
    offered, listed = FUNCTIONS[name], TABLE[name]

    assert set(offered.callers) == set(listed.callers)
    assert {
        argument.removeprefix("p_"): field.required
        for argument, field in offered.arguments().fields.items()
    } == listed.required
    match listed.answer:
        case "true":
            assert offered.returns is True
        case "count":
            assert type(offered.returns) is int
        case "id":
            uuid.UUID(offered.returns)
        case columns:
            assert set(columns.split()) <= set(offered.returns[0])


@pytest.mark.parametrize("name", TABLE)
def test_a_function_has_its_test(name: str) -> None:
    tests = [*vars(test_functions), *vars(test_new_cards), *vars(test_settlements)]

    assert any(each == f"test_{name}" or each.startswith(f"test_{name}_") for each in tests)
