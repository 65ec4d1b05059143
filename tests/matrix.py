"""Long tables of what is tried: a third of the cells in each run, the others in the long form."""

import random
from collections.abc import Iterable
from typing import TypeVar

import pytest

Cell = TypeVar("Cell")

_long = pytest.mark.long
by_thirds = pytest.mark.parametrize(
    "third", [0, pytest.param(1, marks=_long), pytest.param(2, marks=_long)]
)


def of_third(third: int, cells: Iterable[Cell]) -> list[Cell]:
    """Return a third of the cells, the same in every run, from all rows and columns alike."""
    mixed = list(cells)
    random.Random(0).shuffle(mixed)
    return mixed[third::3]
