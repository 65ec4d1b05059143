"""Represent a settlement for its shop."""

from typing import Any

from mps.base.core.days import show_time
from mps.base.core.money import show_money
from settlements.models import Settlement

_MOMENTS = ("period_start", "period_end", "created_at", "approved_at", "paid_at")
_MONEY = ("gross", "refunds", "cash_topups", "fee", "carried_in", "net")


def settlement_document(settlement: Settlement) -> dict[str, Any]:
    """Return a settlement as the POS API shows it."""
    moments = {name: getattr(settlement, name) for name in _MOMENTS}
    return {
        "id": str(settlement.id),
        "mode": settlement.mode,
        "currency": settlement.currency,
        **{name: moment and show_time(moment) for name, moment in moments.items()},
        **{name: show_money(getattr(settlement, name)) for name in _MONEY},
        "tx_count": settlement.tx_count,
        "status": settlement.status,
        "payout_reference": settlement.payout_reference,
    }
