"""Payment providers. `MPS_TOPUP_PROVIDERS` selects those of this installation."""

from django.conf import settings
from django.utils.module_loading import import_string

from mps.base.core.errors import NotFoundError
from payments.providers.base import Provider

# Adapters are imported when they are first used: a provider's own library is large.
_ADAPTERS = {
    "sandbox": "payments.providers.sandbox.Sandbox",
    "stripe": "payments.providers.stripe_checkout.StripeCheckout",
}
NAMES = tuple(_ADAPTERS)


def offered() -> tuple[str, ...]:
    """Return the providers this installation works with, in its order."""
    return tuple(name for name in settings.MPS_TOPUP_PROVIDERS if name in _ADAPTERS)


def get_provider(name: str) -> Provider:
    """Return a provider this installation works with.

    :raises NotFoundError: it works with none of this name.
    """
    if name not in offered():
        raise NotFoundError("Provider not found.")
    provider: Provider = import_string(_ADAPTERS[name])()
    return provider
