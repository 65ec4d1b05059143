"""The functions: for each its callers, its arguments, and the one service or selector behind it.

Arguments are sent as `p_<name>`; one that is null is the same as absent. A scalar function
answers with the scalar, any other with rows.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from rest_framework import serializers

from cards import (
    binding_passwords,
    card_status,
    issuing,
    payment_codes,
    rotation,
    sharing,
    vouchers,
)
from cards.models import Binding, CardType, Voucher
from members import services as members
from members.selectors import MemberPrincipal
from merchants import selectors as merchant_selectors
from merchants import services as merchants
from merchants.models import Merchant
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import fields
from mps.base.core.errors import InvalidRequestError, PermissionDeniedError
from mps.base.core.money import show_rate
from mps.product.accounts import services as accounts
from mps.product.rpc import selectors, services
from mps.product.rpc.arguments import (
    FeeRate,
    Id,
    IdempotencyKey,
    Moment,
    MoneyOrNothing,
    Page,
    Word,
    text,
)
from mps.product.rpc.selectors import Caller, Row, ServiceCaller, Window
from payments import charge_decision, charges, idempotency, points, refunds, topups
from settlements import services as settlements

MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows that are answered to a key, and whether they had been before."""

    rows: list[Row]
    replayed: bool


# A refusal that is stored with its key comes back as the answer it is.
Answer = str | bool | int | UUID | list[Row] | StoredRows | idempotency.Answer
Body = Callable[..., Answer]

_CARD = "0b3f7a52-6f0e-4a63-9d1c-2f4c1f2f9a10"
_MEMBER = "7c6a2a0e-52f3-4d0b-8b5e-0a6d5b1c3e21"
_MERCHANT = "f2d0c7e4-1b9a-4c58-a3d6-9e8f7a6b5c42"
_TX = "01998f2e-7a3b-7c4d-8e5f-6a7b8c9d0e1f"
_CODE = "77201210041123829227"
_TIME = "2025-09-29T04:00:00.000000+00:00"
# What services call otherwise than existing clients do.
_ARGUMENTS = {"provider": "p_binding_user_org", "external_id": "p_binding_org_id"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function that can be called: who may, with what, and an example of it."""

    name: str
    callers: str
    summary: str
    arguments: type[serializers.Serializer[Any]]
    body: Body
    example: Mapping[str, Any]
    returns: Any
    sometimes: frozenset[str] = frozenset()

    def call(self, caller: Caller, sent: Mapping[str, Any]) -> Answer:
        """Check who calls and what was sent, then do it.

        :raises PermissionDeniedError: the caller is not one of those who may.
        :raises InvalidRequestError: an argument is missing, unknown or not as documented.
        """
        call = Call(self.name, caller)
        if kind_of(caller) not in self.callers:
            call.refuse()
        given = {name: value for name, value in sent.items() if value is not None}
        unknown = sorted(set(given) - set(self.arguments().fields))
        if unknown:
            raise InvalidRequestError(errors=dict(map(self._unknown, unknown[:10])))
        arguments = self.arguments(data=given)
        arguments.is_valid(raise_exception=True)
        return self.body(
            call,
            **{name.removeprefix("p_"): value for name, value in arguments.validated_data.items()},
        )

    @property
    def takes_key(self) -> bool:
        """Whether it answers a repeated idempotency key as it did before."""
        return "p_idempotency_key" in self.arguments().fields

    def argument_of(self, field: str) -> str:
        """Return the name by which a caller sent what a service calls so."""
        head, _dot, _rest = field.partition(".")
        known = self.arguments().fields
        if head in known:
            return field
        named = _ARGUMENTS.get(head, f"p_{head}")
        return named + field.removeprefix(head) if named in known else field

    def _unknown(self, name: str) -> tuple[str, list[str]]:
        shown = name.encode("ascii", "replace").decode()[:64]
        named = self.argument_of(shown)
        return named, ["Unknown argument." if named == shown else f"It was sent as {shown}."]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function: who calls, and for whom they may speak."""

    function: str
    caller: Caller

    def refuse(self) -> None:
        """Refuse the call, and write that down.

        :raises PermissionDeniedError: always.
        """
        with audit.refusals("CALL_REFUSED", object_type="function", object_id=self.function):
            raise PermissionDeniedError

    def till(self, merchant_code: str) -> Till:
        """Return the shop that is named, if the caller may act for it.

        :raises PermissionDeniedError: a till names another shop than its own.
        :raises NotFoundError: there is no such shop.
        """
        if not isinstance(self.caller, Till):
            return merchant_selectors.get_till_of_merchant(merchant_code)
        if self.caller.merchant_code != merchant_code:
            self.refuse()
        return self.caller

    def merchant(self, merchant_id: UUID) -> UUID:
        """Return the shop's id; :raises PermissionDeniedError: it is not the calling till's."""
        if isinstance(self.caller, Till) and self.caller.merchant_id != merchant_id:
            self.refuse()
        return merchant_id

    def member(self, member_id: UUID) -> UUID:
        """Return the member's id; :raises PermissionDeniedError: it is not the calling member's."""
        if isinstance(self.caller, MemberPrincipal) and self.caller.member_id != member_id:
            self.refuse()
        return member_id

    def holder(self, card_id: UUID, member_id: UUID | None) -> UUID:
        """Return whose code of a card is meant: the member's own, the one named, or the owner's.

        :raises PermissionDeniedError: a member names somebody else.
        :raises CardNotFoundError: there is no such card.
        """
        if member_id is not None:
            return self.member(member_id)
        if isinstance(self.caller, MemberPrincipal):
            return self.caller.member_id
        return selectors.owner_of(card_id)

    @property
    def service(self) -> ServiceCaller:
        """The trusted backend that calls a function only they may call."""
        return cast(ServiceCaller, self.caller)


FUNCTIONS: dict[str, Function] = {}


def function(
    callers: str,
    /,
    *,
    example: Mapping[str, Any],
    returns: Any,
    sometimes: Any = (),
    **arguments: Any,
) -> Callable[[Body], Body]:
    """Offer a function to callers: S trusted backends, T tills, M members.

    :param example: the arguments of one call, without `p_`; `returns` is its answer.
    :param sometimes: the columns that not every caller gets.
    :param arguments: each argument's field, without `p_`.
    """

    def offer(body: Body) -> Body:
        name = body.__name__
        title = name.title().replace("_", "")
        FUNCTIONS[name] = Function(
            name,
            callers,
            (body.__doc__ or "").splitlines()[0],
            type(
                f"Rpc{title}",
                (serializers.Serializer,),
                {f"p_{argument}": field for argument, field in arguments.items()},
            ),
            body,
            {f"p_{argument}": value for argument, value in example.items()},
            returns,
            frozenset(sometimes),
        )
        return body

    return offer


def kind_of(caller: Caller) -> str:
    """Return the letter by which `function` names such a caller."""
    match caller:
        case Till():
            return "T"
        case MemberPrincipal():
            return "M"
    return "S"


def _key(idempotency_key: str | None) -> str:
    """Return the caller's key, or one for this call only."""
    return uuid.uuid4().hex if idempotency_key is None else idempotency_key


def _idempotency_key() -> fields.Text:
    return IdempotencyKey(max_length=255, trim_whitespace=False, required=False)


def _new_binding_password(**kwargs: Any) -> fields.Secret:
    return fields.Secret(
        min_length=binding_passwords.MIN_BINDING_PASSWORD, max_length=128, **kwargs
    )


# --- members, merchants, cards -------------------------------------------------------------------


@function(
    "S",
    name=fields.Text(max_length=80),
    phone=text(32),
    email=text(254),
    password=fields.Secret(max_length=members.MAX_PASSWORD_LENGTH, required=False),
    binding_user_org=text(30),
    binding_org_id=text(128),
    example={
        "name": "Ming",
        "phone": "0988123456",
        "binding_user_org": "wechat",
        "binding_org_id": "wx_openid_abc123",
    },
    returns=_MEMBER,
)
def create_member_profile(
    call: Call,
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    binding_user_org: str = "",
    binding_org_id: str = "",
) -> Answer:
    """Register a member with their standard card; answers the member's id."""
    member, _card = accounts.register_member(
        name=name,
        phone=phone,
        email=email,
        password=password,
        provider=binding_user_org,
        external_id=binding_org_id,
    )
    return member.id


@function(
    "S",
    code=fields.Text(max_length=32),
    name=fields.Text(max_length=80),
    contact=text(200),
    settlement_mode=fields.Choice(choices=Merchant.SettlementMode.values, required=False),
    fee_rate=FeeRate(required=False),
    example={"code": "SHOP001", "name": "Corner Shop", "fee_rate": 0.02},
    returns=_MERCHANT,
)
def create_merchant(call: Call, **arguments: Any) -> Answer:
    """Open a shop; answers its id."""
    return merchants.create_merchant(**arguments).id


@function(
    "S",
    merchant_code=fields.Text(max_length=32),
    name=fields.Text(max_length=80),
    can_top_up=fields.Flag(required=False),
    can_manage_webhooks=fields.Flag(required=False),
    example={"merchant_code": "SHOP001", "name": "Till 2", "can_manage_webhooks": True},
    returns=[{"terminal_id": _MERCHANT, "key": "mps.t….…"}],
)
def create_terminal(call: Call, *, merchant_code: str, name: str, **rights: bool) -> Answer:
    """Open a till of a shop, with no rights but those named; its key is shown once."""
    terminal, key = merchants.create_terminal(
        merchant_id=call.till(merchant_code).merchant_id, name=name, **rights
    )
    return [{"terminal_id": terminal.id, "key": key}]


_SHARED_CARD = {
    "owner_member_id": Id(),
    "name": text(80),
    "fixed_discount": fields.Rate(required=False),
    "binding_password": _new_binding_password(required=False),
}


@function(
    "S",
    **_SHARED_CARD,
    example={"owner_member_id": _MEMBER, "name": "Family", "fixed_discount": 0.95},
    returns=_CARD,
)
def create_prepaid_card(call: Call, *, owner_member_id: UUID, **arguments: Any) -> Answer:
    """Issue a prepaid card; answers its id."""
    card = issuing.issue_shared_card(
        card_type=CardType.PREPAID, owner_id=owner_member_id, **arguments
    )
    return card.id


@function(
    "S",
    **_SHARED_CARD,
    example={"owner_member_id": _MEMBER, "name": "Company", "fixed_discount": 0.9},
    returns=_CARD,
)
def create_corporate_card(call: Call, *, owner_member_id: UUID, **arguments: Any) -> Answer:
    """Issue a company's card to the member who answers for it; answers its id."""
    card = issuing.issue_shared_card(
        card_type=CardType.CORPORATE, owner_id=owner_member_id, **arguments
    )
    return card.id


@function(
    "S",
    member_id=Id(),
    kind=fields.Choice(choices=Voucher.Kind.values),
    value=fields.Money(),
    min_spend=MoneyOrNothing(required=False),
    expires_at=Moment(required=False),
    merchant_codes=serializers.ListField(
        child=fields.Text(max_length=32), max_length=100, required=False
    ),
    example={
        "member_id": _MEMBER,
        "kind": "percent",
        "value": 20,
        "min_spend": 100.00,
        "expires_at": "2099-12-31",
    },
    returns=_CARD,
)
def create_voucher_card(
    call: Call,
    *,
    member_id: UUID,
    expires_at: date | datetime | None = None,
    merchant_codes: Sequence[str] = (),
    **arguments: Any,
) -> Answer:
    """Issue a voucher, good for one use; a plain date is its last day. Answers its card's id."""
    card = vouchers.issue_voucher_card(
        owner_id=member_id,
        expires_at=selectors.end_of(expires_at) if expires_at else None,
        merchant_ids=selectors.ids_of_merchants(list(merchant_codes)),
        **arguments,
    )
    return card.id


@function(
    "SM",
    card_id=Id(),
    password=_new_binding_password(),
    example={"card_id": _CARD, "password": "open sesame"},
    returns=True,
)
def set_card_binding_password(call: Call, *, card_id: UUID, password: str) -> Answer:
    """Set the password by which members join a shared card; members only if they own it."""
    binding_passwords.set_binding_password(
        card_id=card_id, password=password, by_member_id=call.caller.principal_id
    )
    return True


_CARD_EXAMPLE = {
    "id": _CARD,
    "card_no": "PPD00000001",
    "card_type": "PPD",
    "status": "active",
    "balance": 715.95,
    "points": 299,
    "level": 0,
    "discount": 0.95,
    "expires_at": None,
}


@function("SM", member_id=Id(), example={"member_id": _MEMBER}, returns=[_CARD_EXAMPLE])
def get_member_cards(call: Call, *, member_id: UUID) -> Answer:
    """List the cards a member may use."""
    return selectors.cards_of_member(call.caller, call.member(member_id))


@function("SM", card_id=Id(), example={"card_id": _CARD}, returns=[_CARD_EXAMPLE])
def get_card_detail(call: Call, *, card_id: UUID) -> Answer:
    """Show one card."""
    return selectors.card_detail(call.caller, card_id)


@function(
    "SM",
    card_id=Id(),
    member_id=Id(),
    role=fields.Choice(choices=Binding.Role.values, required=False),
    binding_password=fields.Secret(max_length=128, required=False),
    example={"card_id": _CARD, "member_id": _MEMBER, "binding_password": "open sesame"},
    returns=True,
)
def bind_member_to_card(
    call: Call,
    *,
    card_id: UUID,
    member_id: UUID,
    role: str = Binding.Role.MEMBER,
    binding_password: str | None = None,
) -> Answer:
    """Let a member use a shared card: themself by its password, as `member`; its owner or an admin
    anybody.
    """
    caller = call.caller
    if not isinstance(caller, MemberPrincipal):
        sharing.bind_member(
            card_id=card_id, member_id=member_id, role=role, binding_password=binding_password
        )
    elif caller.member_id != member_id:
        sharing.invite_member(
            card_id=card_id, member_id=member_id, role=role, by_member_id=caller.member_id
        )
    elif role == Binding.Role.MEMBER:
        sharing.join_card(
            card_id=card_id, member_id=member_id, binding_password=binding_password or ""
        )
    else:
        call.refuse()
    return True


@function(
    "SM",
    card_id=Id(),
    member_id=Id(),
    example={"card_id": _CARD, "member_id": _MEMBER},
    returns=True,
)
def unbind_member_from_card(call: Call, *, card_id: UUID, member_id: UUID) -> Answer:
    """Take a member off a shared card: themself, or by its owner or admin."""
    sharing.unbind_member(
        card_id=card_id, member_id=member_id, by_member_id=call.caller.principal_id
    )
    return True


# --- payment codes -------------------------------------------------------------------------------


@function(
    "SM",
    card_id=Id(),
    ttl_seconds=fields.Whole(required=False),
    member_id=Id(required=False),
    example={"card_id": _CARD, "ttl_seconds": 900},
    returns=[{"qr_plain": _CODE, "qr_expires_at": _TIME}],
)
def rotate_card_qr(
    call: Call, *, card_id: UUID, ttl_seconds: int | None = None, member_id: UUID | None = None
) -> Answer:
    """Make a new payment code; the one before is dead at once."""
    shown = payment_codes.issue_code(
        card_id=card_id, member_id=call.holder(card_id, member_id), ttl_seconds=ttl_seconds
    )
    return [{"qr_plain": shown.code, "qr_expires_at": shown.expires_at}]


@function(
    "SM",
    card_id=Id(),
    member_id=Id(required=False),
    example={"card_id": _CARD},
    returns=True,
)
def revoke_card_qr(call: Call, *, card_id: UUID, member_id: UUID | None = None) -> Answer:
    """Kill the live payment code at once."""
    payment_codes.revoke_code(card_id=card_id, member_id=call.holder(card_id, member_id))
    return True


@function(
    "S",
    ttl_seconds=fields.Whole(required=False),
    example={"ttl_seconds": 300},
    returns=12,
)
def cron_rotate_qr_tokens(call: Call, **ttl: int) -> Answer:
    """Give every live code of a prepaid or corporate card a successor; answers how many."""
    return rotation.rotate_codes(all_live=True, **ttl)


@function("ST", qr_plain=fields.Text(max_length=64), example={"qr_plain": _CODE}, returns=_CARD)
def validate_qr_plain(call: Call, *, qr_plain: str) -> Answer:
    """Tell which card a live code belongs to, without using it up."""
    if isinstance(call.caller, Till):
        return charges.validate_code(till=call.caller, code=qr_plain).card_id
    return services.find_card_of_code(code=qr_plain)


# --- money and points ----------------------------------------------------------------------------


@function(
    "ST",
    merchant_code=fields.Text(max_length=32),
    qr_plain=fields.Text(max_length=64),
    raw_amount=fields.Money(),
    idempotency_key=_idempotency_key(),
    tag=fields.Tag(required=False),
    external_order_id=fields.OrderId(required=False),
    payment_method=fields.Choice(choices=[*charge_decision.METHODS], required=False),
    voucher_qr_plain=fields.Text(max_length=64, required=False),
    example={
        "merchant_code": "SHOP001",
        "qr_plain": _CODE,
        "raw_amount": 299.00,
        "idempotency_key": "order-20250929-001",
        "external_order_id": "WX20250929001",
    },
    returns=[
        {
            "tx_id": _TX,
            "tx_no": "PAY0000000123",
            "card_id": _CARD,
            "final_amount": 284.05,
            "discount": 0.95,
        }
    ],
)
def merchant_charge_by_qr(
    call: Call,
    *,
    merchant_code: str,
    qr_plain: str,
    raw_amount: Decimal,
    idempotency_key: str | None = None,
    external_order_id: str = "",
    voucher_qr_plain: str = "",
    **arguments: Any,
) -> Answer:
    """Take a payment by a scanned code."""
    till = call.till(merchant_code)
    answer = charges.charge_card(
        till=till,
        code=qr_plain,
        amount=raw_amount,
        idempotency_key=_key(idempotency_key),
        external_order_id=external_order_id,
        voucher_code=voucher_qr_plain,
        **arguments,
    )
    if answer.status != 201:
        # Refused, or waiting for its member: the same call again asks how it went.
        return answer
    payment = selectors.transaction_of(till, answer.body["tx_no"])
    row = {
        "tx_id": payment.id,
        "tx_no": payment.tx_no,
        "card_id": payment.card_id,
        "final_amount": payment.final_amount,
        "discount": Decimal(show_rate(payment.discount_rate)),
    }
    return StoredRows([row], answer.replayed)


@function(
    "ST",
    merchant_code=fields.Text(max_length=32),
    original_tx_no=fields.Text(max_length=20),
    refund_amount=fields.Money(or_zero=True),
    tag=fields.Tag(required=False),
    idempotency_key=_idempotency_key(),
    example={"merchant_code": "SHOP001", "original_tx_no": "PAY0000000123", "refund_amount": 50.00},
    returns=[{"refund_tx_id": _TX, "refund_tx_no": "REF0000000045", "refunded_amount": 50.00}],
)
def merchant_refund_tx(
    call: Call,
    *,
    merchant_code: str,
    original_tx_no: str,
    refund_amount: Decimal,
    idempotency_key: str | None = None,
    **arguments: Any,
) -> Answer:
    """Give back part or all of a payment."""
    till = call.till(merchant_code)
    answer = refunds.refund_payment(
        till=till,
        tx_no=original_tx_no,
        amount=refund_amount,
        idempotency_key=_key(idempotency_key),
        **arguments,
    )
    if answer.refused:
        return answer
    refund = selectors.transaction_of(till, answer.body["tx_no"])
    row = {
        "refund_tx_id": refund.id,
        "refund_tx_no": refund.tx_no,
        "refunded_amount": refund.final_amount,
    }
    return StoredRows([row], answer.replayed)


@function(
    "S",
    card_id=Id(),
    amount=fields.Money(),
    payment_method=Word(required=False),
    tag=fields.Tag(required=False),
    idempotency_key=_idempotency_key(),
    external_order_id=fields.OrderId(required=False),
    example={
        "card_id": _CARD,
        "amount": 500.00,
        "payment_method": "wechat",
        "idempotency_key": "topup-20250929-001",
    },
    returns=[{"tx_id": _TX, "tx_no": "RCG0000000012", "card_id": _CARD, "amount": 500.00}],
)
def user_recharge_card(
    call: Call,
    *,
    card_id: UUID,
    amount: Decimal,
    idempotency_key: str | None = None,
    external_order_id: str = "",
    **arguments: Any,
) -> Answer:
    """Put money on a card, on a trusted backend's word."""
    answer = topups.recharge_card(
        card_id=card_id,
        amount=amount,
        scope_id=call.service.service_key_id,
        idempotency_key=_key(idempotency_key),
        provider_order_id=external_order_id,
        **arguments,
    )
    if answer.refused:
        return answer
    recharge = selectors.transaction_of(call.caller, answer.body["tx_no"])
    row = {
        "tx_id": recharge.id,
        "tx_no": recharge.tx_no,
        "card_id": recharge.card_id,
        "amount": recharge.final_amount,
    }
    return StoredRows([row], answer.replayed)


@function(
    "S",
    card_id=Id(),
    delta_points=fields.Whole(),
    reason=text(200),
    example={"card_id": _CARD, "delta_points": 100, "reason": "goodwill"},
    returns=True,
)
def update_points_and_level(
    call: Call, *, card_id: UUID, delta_points: int, reason: str = ""
) -> Answer:
    """Add or take points; the level follows at once."""
    points.adjust_points(card_id=card_id, delta=delta_points, reason=reason)
    return True


# --- risk ----------------------------------------------------------------------------------------


@function("S", card_id=Id(), reason=text(200), example={"card_id": _CARD}, returns=True)
def freeze_card(call: Call, **arguments: Any) -> Answer:
    """Stop a card from paying."""
    card_status.freeze_card(**arguments)
    return True


@function("S", card_id=Id(), reason=text(200), example={"card_id": _CARD}, returns=True)
def unfreeze_card(call: Call, **arguments: Any) -> Answer:
    """Let a frozen card pay again."""
    card_status.unfreeze_card(**arguments)
    return True


@function("S", member_id=Id(), reason=text(200), example={"member_id": _MEMBER}, returns=True)
def admin_suspend_member(call: Call, **arguments: Any) -> Answer:
    """Stop a member: their cards neither pay nor get codes."""
    members.suspend_member(**arguments)
    return True


@function("S", member_id=Id(), reason=text(200), example={"member_id": _MEMBER}, returns=True)
def admin_activate_member(call: Call, **arguments: Any) -> Answer:
    """Let a suspended member act again."""
    members.activate_member(**arguments)
    return True


@function("S", merchant_id=Id(), reason=text(200), example={"merchant_id": _MERCHANT}, returns=True)
def admin_suspend_merchant(call: Call, **arguments: Any) -> Answer:
    """Stop a shop from taking payments, top-ups and refunds."""
    merchants.suspend_merchant(**arguments)
    return True


@function("S", merchant_id=Id(), reason=text(200), example={"merchant_id": _MERCHANT}, returns=True)
def admin_activate_merchant(call: Call, **arguments: Any) -> Answer:
    """Let a suspended shop work again."""
    merchants.activate_merchant(**arguments)
    return True


# --- settlements ---------------------------------------------------------------------------------

_SETTLEMENT = "0199a0c4-2d11-7f3a-9b60-5c8e7d6f1a2b"


@function(
    "S",
    merchant_id=Id(),
    mode=fields.Choice(choices=Merchant.SettlementMode.values),
    period_start=Moment(),
    period_end=Moment(),
    example={
        "merchant_id": _MERCHANT,
        "mode": "t_plus_1",
        "period_start": "2025-09-29",
        "period_end": "2025-09-30",
    },
    returns=_SETTLEMENT,
)
def generate_settlement(call: Call, **arguments: Any) -> Answer:
    """Settle a shop up to the end of a period `[start, end)`; the same again is the same one."""
    return settlements.generate_settlement(**arguments).id


@function(
    "ST",
    merchant_id=Id(),
    limit=Page(min_value=1, max_value=MAX_ROWS),
    offset=Page(min_value=0),
    example={"merchant_id": _MERCHANT, "limit": 20},
    returns=[
        {
            "id": _SETTLEMENT,
            "period_start": "2025-09-28T16:00:00+00:00",
            "period_end": "2025-09-29T16:00:00+00:00",
            "mode": "t_plus_1",
            "total_amount": 2234.69,
            "total_tx_count": 14,
            "status": "pending",
            "created_at": "2025-09-29T16:10:00.000000+00:00",
        }
    ],
)
def list_settlements(call: Call, *, merchant_id: UUID, **page: int) -> Answer:
    """List what a shop was settled for, newest first; `total_amount` is the net."""
    return selectors.settlements_of_merchant(call.caller, call.merchant(merchant_id), **page)


# --- history -------------------------------------------------------------------------------------

_WINDOW = {
    "limit": Page(min_value=1, max_value=MAX_ROWS),
    "offset": Page(min_value=0),
    "start_date": Moment(required=False),
    "end_date": Moment(required=False),
}
_LINE_EXAMPLE = {
    "id": _TX,
    "tx_no": "PAY0000000123",
    "tx_type": "payment",
    "card_id": _CARD,
    "merchant_id": _MERCHANT,
    "final_amount": 284.05,
    "status": "completed",
    "created_at": _TIME,
}


@function(
    "SM",
    member_id=Id(),
    **_WINDOW,
    example={"member_id": _MEMBER, "limit": 20, "start_date": "2025-09-01"},
    returns=[{**_LINE_EXAMPLE, "total_count": 1}],
)
def get_member_transactions(
    call: Call, *, member_id: UUID, **window: int | date | datetime
) -> Answer:
    """List what happened on a member's cards, newest first."""
    return selectors.transactions_of_member(
        call.caller, call.member(member_id), Window(**cast(Any, window))
    )


@function(
    "ST",
    merchant_id=Id(),
    **_WINDOW,
    example={"merchant_id": _MERCHANT, "limit": 20, "start_date": "2025-09-01"},
    returns=[{**_LINE_EXAMPLE, "total_count": 1}],
)
def get_merchant_transactions(
    call: Call, *, merchant_id: UUID, **window: int | date | datetime
) -> Answer:
    """List what happened at a shop, newest first."""
    return selectors.transactions_of_merchant(
        call.caller, call.merchant(merchant_id), Window(**cast(Any, window))
    )


@function(
    "STM",
    tx_no=fields.Text(max_length=20),
    example={"tx_no": "PAY0000000123"},
    returns=[
        {
            **_LINE_EXAMPLE,
            "failure_code": None,
            "card_no": "PPD****0001",
            "member_id": _MEMBER,
            "merchant_code": "SHOP001",
            "terminal_id": _MERCHANT,
            "currency": "TWD",
            "amount": 299.00,
            "discount": 0.95,
            "discount_amount": 14.95,
            "points": 299,
            "tier": "ordinary",
            "balance_after": 715.95,
            "payment_method": "balance",
            "external_order_id": "WX20250929001",
            "original_tx_no": None,
            "refunded_total": 0.00,
            "credited_to": None,
            "reason": None,
            "tag": {},
        }
    ],
    # A shop's tag is not shown to members.
    sometimes=["tag"],
)
def get_transaction_detail(call: Call, *, tx_no: str) -> Answer:
    """Show one transaction."""
    return [selectors.transaction_detail(call.caller, tx_no)]
