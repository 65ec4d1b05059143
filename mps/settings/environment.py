"""Read settings from the environment, `.env`, and the embedded servers."""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from mps.base.core import production
from mps.launcher import state as embedded

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = environ.Env()
if (BASE_DIR / ".env").exists():
    environ.Env.read_env(BASE_DIR / ".env")
DATA_DIR = embedded.data_dir()
# Without DATABASE_URL the embedded servers of MPS_DATA_DIR serve; their state also holds the
# secrets.
_embedded = None if "DATABASE_URL" in os.environ else embedded.load(DATA_DIR)
if _embedded is not None:
    for _name, _value in _embedded.environment().items():
        os.environ.setdefault(_name, _value)


def switch(name: str, *, default: bool) -> bool:
    """Return whether a variable is on; a misspelt one must not pass for off."""
    word = env.str(name, default="").strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word not in {"", "0", "false", "no", "off"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {word!r}.")
    return bool(word == "" and default)


DEBUG = switch("DEBUG", default=False)
MPS_DEMO = switch("MPS_DEMO", default=False)
# The embedded servers' secrets are made at random, once, in MPS_DATA_DIR.
_on_embedded = _embedded is not None or embedded.leads_to_own(
    DATA_DIR, os.environ.get("DATABASE_URL", "")
)
is_in_production = not DEBUG and not MPS_DEMO and not _on_embedded

production.require_set(os.environ, in_production=is_in_production)
