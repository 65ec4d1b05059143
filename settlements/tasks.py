"""Settlement jobs: one per mode, safe to run twice at once or to be interrupted."""

from merchants.models import Merchant
from mps.base.core.jobs import job
from settlements import services


@job("settlements.settle_realtime")
def settle_realtime() -> int:
    """Settle what real-time shops did up to this minute; meant for every minute."""
    return services.settle_all_due(mode=Merchant.SettlementMode.REALTIME)


@job("settlements.settle_t_plus_1")
def settle_t_plus_1() -> int:
    """Settle each shop's yesterday, from ten minutes past its midnight on.

    Meant for every ten minutes: shops have midnights of their own.
    """
    return services.settle_all_due(mode=Merchant.SettlementMode.T_PLUS_1)


@job("settlements.settle_monthly")
def settle_monthly() -> int:
    """Settle each shop's last month, from ten minutes past its first midnight on.

    Meant for every ten minutes: in some zone a month ends at another hour.
    """
    return services.settle_all_due(mode=Merchant.SettlementMode.MONTHLY)
