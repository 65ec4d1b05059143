"""Checks of `manage.py check --deploy` for unsafe settings with which production still starts."""

from typing import Any

from django.conf import settings
from django.core.checks import Warning as Doubt
from django.core.checks import register


@register(deploy=True)
def check_production(**_kwargs: Any) -> list[Doubt]:
    """Name what is meant for demonstrations and tests."""
    doubts = (
        (settings.MPS_DEMO, "W001", "MPS_DEMO is on: the demonstration's passwords are public."),
        (
            settings.MPS_BCRYPT_COST < 12,
            *("W002", "MPS_BCRYPT_COST is below 12: stolen passwords are soon guessed."),
        ),
        (
            "sandbox" in settings.MPS_TOPUP_PROVIDERS,
            *("W003", "MPS_TOPUP_PROVIDERS has the sandbox: anybody tops up without paying."),
        ),
        (
            settings.MPS_WEBHOOK_ALLOW_PRIVATE,
            *("W004", "MPS_WEBHOOK_ALLOW_PRIVATE is on: shops reach your network by webhooks."),
        ),
    )
    return [Doubt(said, id=f"mps.{number}") for is_so, number, said in doubts if is_so]
