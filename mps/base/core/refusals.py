"""Which operation may refuse for which reasons, beside those that every operation shares.

Each app names those of its own operations as `REFUSALS` of its module `refusals`: the codes, apart
by spaces, by the operation's name.
"""

import functools
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule


@functools.cache
def by_operation() -> dict[str, list[str]]:
    """Return the codes of the errors by the operation's name."""
    found: dict[str, list[str]] = {}
    for config in apps.get_app_configs():
        assert config.module is not None
        if module_has_submodule(config.module, "refusals"):
            named = getattr(import_module(f"{config.name}.refusals"), "REFUSALS", {})
            found |= {operation: codes.split() for operation, codes in named.items()}
    return found
