"""Retry when data changed between an unlocked read and the write."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError

from merchants.selectors import Till
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import UnavailableError

Result = TypeVar("Result")

MAX_TRIES = 4

# A write found what it rests on changed; two writes waited for each other.
_RACES_LOST = {"MPS01", "40P01"}


class RaceLostError(Exception):
    """What was read without a lock changed before the write; nothing was written."""


def retry_races(till: Till, work: Callable[[Scope], Result]) -> Result:
    """Run the work in the shop's scope, from the start again if a race was lost.

    :raises UnavailableError: it was lost every time.
    """
    for _ in range(MAX_TRIES):
        try:
            with db_scope.principal_scope("merchant_api", till.merchant_id) as scope:
                return work(scope)
        except RaceLostError:
            continue
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", "") not in _RACES_LOST:
                raise
    raise UnavailableError
