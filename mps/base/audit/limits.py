"""Set the spending limits of a card, a binding, a member or a merchant, on record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from django.db.models import QuerySet

from mps.base.audit import services as audit
from mps.base.core import db_scope, spending_limits
from mps.base.core.errors import MpsError


@dataclass(frozen=True, slots=True)
class Subject:
    """What the log names as the object of a change, and what it adds to the details."""

    object_type: str
    object_id: object
    details: Mapping[str, str] = field(default_factory=dict)


Row = TypeVar("Row", bound=spending_limits.Limited)


def set_limits(
    locked: QuerySet[Row],
    *,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
    action: str,
    asked: Subject,
    missing: MpsError,
    subject: Callable[[Row], Subject],
) -> None:
    """Set both limits of the only row of `locked`, a query that locks it; None: no limit.

    :param action: what the log calls the change, as `CARD_LIMITS_SET`.
    :param asked: what the log names if the change is refused.
    :param missing: what is raised if there is no such row.
    :param subject: what the log names once the row is known.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    refused = f"{action.removesuffix('_SET')}_REFUSED"
    with (
        audit.refusals(refused, object_type=asked.object_type, object_id=asked.object_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        row = locked.first()
        if row is None:
            raise missing
        found = subject(row)
        audit.record(
            action,
            object_type=found.object_type,
            object_id=found.object_id,
            details={
                **found.details,
                **spending_limits.write_limits(scope, row, **new),
                "reason": reason,
            },
        )
