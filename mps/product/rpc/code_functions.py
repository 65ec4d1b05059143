"""Functions about payment codes."""

from uuid import UUID

from cards import (
    payment_codes,
    rotation,
)
from merchants.selectors import Till
from mps.base.core import fields
from mps.product.rpc import registry, services
from mps.product.rpc.arguments import Id
from mps.product.rpc.registry import Answer, Call, function
from payments import charges


@function(
    "SM",
    card_id=Id(),
    ttl_seconds=fields.Whole(required=False),
    member_id=Id(required=False),
    example={"card_id": registry.CARD, "ttl_seconds": 900},
    returns=[{"qr_plain": registry.CODE, "qr_expires_at": registry.TIME}],
)
def rotate_card_qr(
    call: Call,
    *,
    card_id: UUID,
    ttl_seconds: int | None = None,
    member_id: UUID | None = None,
) -> Answer:
    """Create a payment code. The previous one is revoked immediately."""
    shown = payment_codes.issue_code(
        card_id=card_id, member_id=call.holder(card_id, member_id), ttl_seconds=ttl_seconds
    )
    return [{"qr_plain": shown.code, "qr_expires_at": shown.expires_at}]


@function(
    "SM",
    card_id=Id(),
    member_id=Id(required=False),
    example={"card_id": registry.CARD},
    returns=True,
)
def revoke_card_qr(call: Call, *, card_id: UUID, member_id: UUID | None = None) -> Answer:
    """Revoke the active payment code immediately."""
    payment_codes.revoke_code(card_id=card_id, member_id=call.holder(card_id, member_id))
    return True


@function(
    "S",
    ttl_seconds=fields.Whole(required=False),
    example={"ttl_seconds": 300},
    returns=12,
)
def cron_rotate_qr_tokens(call: Call, **ttl: int) -> Answer:
    """Replace every active code of prepaid and corporate cards and return how many."""
    return rotation.rotate_codes(all_live=True, **ttl)


@function(
    "ST",
    qr_plain=fields.Text(max_length=64),
    example={"qr_plain": registry.CODE},
    returns=registry.CARD,
)
def validate_qr_plain(call: Call, *, qr_plain: str) -> Answer:
    """Return the card of an active code without using the code up."""
    if isinstance(call.caller, Till):
        return charges.validate_code(till=call.caller, code=qr_plain).card_id
    return services.find_card_of_code(code=qr_plain)
