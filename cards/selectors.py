"""Look up cards and what is on them."""

from decimal import Decimal

from cards.models import Card
from mps.core.principals import principal_scope


def balances_of(card: Card) -> tuple[Decimal | None, int | None]:
    """Return a card's money and points, None where it has none of the kind. Opens its own scope."""
    with principal_scope("platform_admin"):
        fresh = Card.objects.select_related("money_account", "points_account").get(id=card.id)
        money = fresh.money_account.balance if fresh.money_account else None
        points = fresh.points_account.balance if fresh.points_account else None
    return money, None if points is None else int(points)
