"""Load all functions; each registers itself in the module of its subject."""

from mps.product.rpc import (  # noqa: F401
    card_functions,
    code_functions,
    history_functions,
    money_functions,
    people_functions,
    risk_functions,
)
from mps.product.rpc.registry import FUNCTIONS

__all__ = ["FUNCTIONS"]
