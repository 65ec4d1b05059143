"""Settling by itself: one task for each mode, safe to run twice at once or to be cut short."""

from celery import shared_task

from merchants.models import Merchant
from settlements import services


@shared_task(name="settlements.settle_realtime")  # type: ignore[untyped-decorator]
def settle_realtime() -> int:
    """Settle what real-time shops did up to this minute; meant for every minute."""
    return services.settle_all_due(mode=Merchant.SettlementMode.REALTIME)


@shared_task(name="settlements.settle_t_plus_1")  # type: ignore[untyped-decorator]
def settle_t_plus_1() -> int:
    """Settle each shop's yesterday, from ten minutes past its midnight on.

    Meant for every ten minutes: shops have midnights of their own.
    """
    return services.settle_all_due(mode=Merchant.SettlementMode.T_PLUS_1)


@shared_task(name="settlements.settle_monthly")  # type: ignore[untyped-decorator]
def settle_monthly() -> int:
    """Settle each shop's last month, from ten minutes past its first midnight on.

    Meant for every ten minutes around the first of a month, or every hour.
    """
    return services.settle_all_due(mode=Merchant.SettlementMode.MONTHLY)
