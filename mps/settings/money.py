"""Settings of money, points, payment codes and members' top-ups."""

import re
from decimal import Decimal
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured

from mps.settings.environment import DEBUG, MPS_DEMO, env

MPS_CURRENCY = env.str("MPS_CURRENCY", default="TWD")
MPS_TIME_ZONE = env.str("MPS_TIME_ZONE", default="Asia/Taipei")
MPS_POINTS_BASIS = env.str("MPS_POINTS_BASIS", default="list")
MPS_REFUND_POINTS = env.str("MPS_REFUND_POINTS", default="reverse")
# Above this, the member approves a payment with their PIN; unset: never asked.
_above = env.str("MPS_APPROVAL_ABOVE", default="")
MPS_APPROVAL_ABOVE = Decimal(_above) if _above else None
MPS_APPROVAL_SECONDS = env.int("MPS_APPROVAL_SECONDS", default=45)
MPS_MAX_AMOUNT = Decimal(env.str("MPS_MAX_AMOUNT", default="9999999.99"))
MPS_MAX_BALANCE = Decimal(env.str("MPS_MAX_BALANCE", default="99999999.99"))
MPS_CODE_TTL_SECONDS = env.int("MPS_CODE_TTL_SECONDS", default=900)
for _name, _given, _is_right, _wanted in (
    (
        *("MPS_CURRENCY", MPS_CURRENCY),
        MPS_CURRENCY != "PTS" and re.fullmatch("[A-Z]{3}", MPS_CURRENCY),
        "three capital letters, such as TWD",
    ),
    (
        *("MPS_TIME_ZONE", MPS_TIME_ZONE),
        MPS_TIME_ZONE in available_timezones(),
        "an IANA time zone, such as Asia/Taipei",
    ),
    (
        *("MPS_CODE_TTL_SECONDS", MPS_CODE_TTL_SECONDS),
        60 <= MPS_CODE_TTL_SECONDS <= 86_400,
        "from 60 to 86400",
    ),
):
    if not _is_right:
        raise ImproperlyConfigured(f"{_name} is {_given!r}; it must be {_wanted}.")
for _name, _value, _choices in (
    ("MPS_POINTS_BASIS", MPS_POINTS_BASIS, ("list", "paid")),
    ("MPS_REFUND_POINTS", MPS_REFUND_POINTS, ("reverse", "keep")),
):
    if _value not in _choices:
        raise ImproperlyConfigured(
            f"{_name} is {_value!r}; it must be one of {', '.join(_choices)}."
        )

# The sandbox takes no money: whoever opens its page can pay. Off unless asked for.
MPS_TOPUP_PROVIDERS: list[str] = env.list(
    "MPS_TOPUP_PROVIDERS", default=["sandbox"] if MPS_DEMO or DEBUG else []
)
MPS_TOPUP_TTL_SECONDS = env.int("MPS_TOPUP_TTL_SECONDS", default=3600)
MPS_STRIPE_SECRET_KEY = env.str("MPS_STRIPE_SECRET_KEY", default="")
MPS_STRIPE_WEBHOOK_SECRET = env.str("MPS_STRIPE_WEBHOOK_SECRET", default="")
MPS_STRIPE_API_BASE = env.str("MPS_STRIPE_API_BASE", default="")
if _unknown := set(MPS_TOPUP_PROVIDERS) - {"sandbox", "stripe"}:
    raise ImproperlyConfigured(
        f"MPS_TOPUP_PROVIDERS names {', '.join(sorted(_unknown))}; there are sandbox and stripe."
    )
if "stripe" in MPS_TOPUP_PROVIDERS and not (MPS_STRIPE_SECRET_KEY and MPS_STRIPE_WEBHOOK_SECRET):
    raise ImproperlyConfigured("Stripe needs MPS_STRIPE_SECRET_KEY and MPS_STRIPE_WEBHOOK_SECRET.")
# Stripe keeps a page to pay on for half an hour at least and a day at most.
if not 2700 <= MPS_TOPUP_TTL_SECONDS <= 23 * 3600:
    raise ImproperlyConfigured("MPS_TOPUP_TTL_SECONDS is from 2700 to 82800.")
