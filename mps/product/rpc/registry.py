"""Registry of the functions: who may call each, its arguments, and what it does.

Arguments are sent as `p_<name>`; one that is null is the same as absent. A scalar function
answers with the scalar, any other with rows.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from rest_framework import serializers

from members.selectors import MemberPrincipal
from merchants import selectors as merchant_selectors
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import fields
from mps.base.core.errors import InvalidRequestError, PermissionDeniedError
from mps.product.rpc import selectors
from mps.product.rpc.arguments import (
    IdempotencyKey,
)
from mps.product.rpc.selectors import Caller, Row, ServiceCaller
from payments import idempotency

MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows that are answered to a key, and whether they had been before."""

    rows: list[Row]
    replayed: bool


# A refusal that is stored with its key comes back as the answer it is.
Answer = str | bool | int | UUID | list[Row] | StoredRows | idempotency.Answer

Body = Callable[..., Answer]

CARD = "0b3f7a52-6f0e-4a63-9d1c-2f4c1f2f9a10"

MEMBER = "7c6a2a0e-52f3-4d0b-8b5e-0a6d5b1c3e21"

MERCHANT = "f2d0c7e4-1b9a-4c58-a3d6-9e8f7a6b5c42"

TX = "01998f2e-7a3b-7c4d-8e5f-6a7b8c9d0e1f"

CODE = "77201210041123829227"

TIME = "2025-09-29T04:00:00.000000+00:00"

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


def key_or_new(idempotency_key: str | None) -> str:
    """Return the caller's key, or one for this call only."""
    return uuid.uuid4().hex if idempotency_key is None else idempotency_key


def idempotency_key() -> fields.Text:
    """Return the field of a key."""
    return IdempotencyKey(max_length=255, trim_whitespace=False, required=False)
