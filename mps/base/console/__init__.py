"""Shared parts of all console pages.

Staff see the platform's rows: each page runs inside the platform's scope. An act that calls a
service runs outside of it, because the service owns its database transaction. Nothing is deleted
here, and a model's fields are read-only unless its page names them as editable.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mps.base.console.toolkit import *  # noqa: F403
else:
    # Django imports an app's package before there are models, which the toolkit needs.
    def __getattr__(name):
        from importlib import import_module

        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(import_module("mps.base.console.toolkit"), name)
