"""HTTP endpoints for members' cards."""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import orjson
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cards import (
    binding_passwords,
    card_status,
    codes,
    examples,
    payment_codes,
    pictures,
    selectors,
    sharing,
)
from cards.models import Binding, CardType, Voucher
from members.api import MemberView
from mps.base.core import api, fields

_NO_STORE = {"Cache-Control": "no-store"}
_POSITION = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?\+00:00", re.ASCII)


class VoucherShopOut(serializers.Serializer[selectors.VoucherShop]):
    """A shop that takes a voucher."""

    code = serializers.CharField()
    name = serializers.CharField()


class VoucherOut(serializers.Serializer[selectors.OwnVoucher]):
    """The terms of a voucher."""

    kind = serializers.ChoiceField(choices=Voucher.Kind.choices)
    value = fields.Money(help_text="`percent`: so many percent off; `amount`: so much money off.")
    min_spend = fields.Money(help_text="From which list amount on; 0.00: any.")
    merchants = VoucherShopOut(many=True, help_text="Where it is taken; empty: everywhere.")
    used = serializers.BooleanField()


class CardOut(serializers.Serializer[selectors.OwnCard]):
    """A card as its member sees it."""

    card_no = serializers.CharField()
    card_type = serializers.ChoiceField(choices=CardType.choices)
    name = serializers.CharField()
    status = serializers.CharField()
    role = serializers.ChoiceField(choices=Binding.Role.choices)
    balance = fields.Money(allow_null=True)
    points = serializers.IntegerField(allow_null=True)
    tier = serializers.CharField(allow_null=True)
    level = serializers.IntegerField(allow_null=True)
    next_tier = serializers.CharField(
        allow_null=True, help_text="The tier above; null at the top and where a card has none."
    )
    next_tier_points = serializers.IntegerField(
        allow_null=True, help_text="From how many points on the card has it."
    )
    discount_rate = fields.Rate()
    expires_at = fields.Moment(allow_null=True)
    voucher = VoucherOut(allow_null=True, help_text="Null for a card that is no voucher.")


class CodeOut(serializers.Serializer[codes.ShownCode]):
    """A payment code shown to its member."""

    code = serializers.CharField()
    expires_at = fields.Moment()
    ttl_seconds = serializers.IntegerField()


class BindingOut(serializers.Serializer[Binding]):
    """A member's role and limits on a card."""

    member_no = serializers.CharField(source="member.number")
    name = serializers.CharField(source="member.name")
    role = serializers.ChoiceField(choices=Binding.Role.choices)
    limit_per_payment = fields.Money(allow_null=True)
    limit_per_day = fields.Money(allow_null=True)


class NoInput(serializers.Serializer[Any]):
    """No body, or an empty object."""


class OldestFirst(api.NewestFirst):
    """Pages in the order things came to a member: the standard card first."""

    ordering = "created_at"

    def check_position(self, position: str) -> None:
        """Check the time a cursor holds; :raises ValueError: if it is not one."""
        if not _POSITION.fullmatch(position):
            raise ValueError(position)
        datetime.fromisoformat(position)


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return a request's body, checked; :raises ValidationError: naming what is wrong."""
    asked = serializer(data=request.data)
    asked.is_valid(raise_exception=True)
    checked: dict[str, Any] = asked.validated_data
    return checked


class CardView(MemberView):
    """Base of what a member does with cards."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be a card's or a member's number before anything is done."""
        super().initial(request, *args, **kwargs)
        if "card_no" in kwargs:
            selectors.require_number(kwargs["card_no"])
        if "member_no" in kwargs:
            selectors.require_member_number(kwargs["member_no"])

    def page(
        self, found: QuerySet[Binding], show: Callable[[Binding], Mapping[str, Any]]
    ) -> Response:
        """Answer a page."""
        pages = OldestFirst()
        rows = pages.paginate_queryset(found, self.request, view=self) or []
        return pages.get_paginated_response([show(row) for row in rows])

    def show(self, card_no: str) -> Response:
        """Answer a card as it is after a command."""
        card = selectors.show_own_card(card_no=card_no, member_id=self.member.member_id)
        return Response(CardOut(card).data)


class Cards(CardView):
    """A member's cards."""

    pagination_class = OldestFirst
    query_parameters = OldestFirst.QUERY

    @extend_schema(
        operation_id="list_my_cards",
        tags=["Members"],
        responses=CardOut(many=True),
        examples=examples.LIST_MY_CARDS,
    )
    def get(self, request: Request) -> Response:
        """List the member's cards, the standard card first."""
        return self.page(
            selectors.own_cards(self.scope, self.member.member_id),
            lambda binding: CardOut(selectors.to_own_card(binding)).data,
        )


class OneCard(CardView):
    """One card of a member's."""

    @extend_schema(
        operation_id="show_my_card",
        tags=["Members"],
        responses=CardOut,
        examples=examples.SHOW_MY_CARD,
    )
    def get(self, request: Request, card_no: str) -> Response:
        """Return one of the member's cards."""
        card = selectors.get_own_card(self.scope, card_no=card_no, member_id=self.member.member_id)
        return Response(CardOut(card).data)


class Lock(CardView):
    """Stop a card at once."""

    @extend_schema(
        operation_id="lock_my_card",
        tags=["Members"],
        request=None,
        responses=CardOut,
        examples=examples.LOCK_MY_CARD,
    )
    def post(self, request: Request, card_no: str) -> Response:
        """Lock a card of the member, for example when a phone is lost."""
        read(NoInput, request)
        card_status.lock_card(card_no=card_no, member_id=self.member.member_id)
        return self.show(card_no)


class Unlock(CardView):
    """Let a locked card pay again."""

    @extend_schema(
        operation_id="unlock_my_card",
        tags=["Members"],
        request=None,
        responses=CardOut,
        examples=examples.UNLOCK_MY_CARD,
    )
    def post(self, request: Request, card_no: str) -> Response:
        """Unlock a card the member locked. A card frozen by staff stays frozen."""
        read(NoInput, request)
        card_status.unlock_card(card_no=card_no, member_id=self.member.member_id)
        return self.show(card_no)


class Code(CardView):
    """The payment code a member shows at the till."""

    class Input(serializers.Serializer[Any]):
        ttl_seconds = fields.Whole(
            required=False,
            min_value=payment_codes.MIN_TTL_SECONDS,
            max_value=payment_codes.MAX_TTL_SECONDS,
        )

    @extend_schema(
        operation_id="make_code",
        tags=["Members"],
        request=Input,
        responses={201: CodeOut},
        examples=examples.MAKE_CODE,
    )
    def post(self, request: Request, card_no: str) -> Response:
        """Create a payment code. The previous one is revoked immediately."""
        shown = payment_codes.issue_code(
            card_no=card_no, member_id=self.member.member_id, **read(self.Input, request)
        )
        return Response(CodeOut(shown).data, status=201, headers=_NO_STORE)

    @extend_schema(
        operation_id="show_code",
        tags=["Members"],
        responses=CodeOut,
        examples=examples.SHOW_CODE,
    )
    def get(self, request: Request, card_no: str) -> Response:
        """Return the active payment code again."""
        shown = selectors.show_current_code(
            self.scope, card_no=card_no, member_id=self.member.member_id
        )
        return Response(CodeOut(shown).data, headers=_NO_STORE)

    @extend_schema(
        operation_id="revoke_code", tags=["Members"], request=None, responses={204: None}
    )
    def delete(self, request: Request, card_no: str) -> Response:
        """Revoke the payment code immediately. Safe to repeat."""
        payment_codes.revoke_code(card_no=card_no, member_id=self.member.member_id)
        return Response(status=204)


class _Drawing(renderers.BaseRenderer):
    """A picture's bytes as they are; a problem as JSON."""

    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body's bytes."""
        return data if isinstance(data, bytes) else orjson.dumps(data)


class SvgDrawing(_Drawing):
    """An SVG."""

    media_type = "image/svg+xml"
    format = "svg"


class PngDrawing(_Drawing):
    """A PNG."""

    media_type = "image/png"
    format = "png"


class _Picture(CardView):
    """The active payment code as an image."""

    @abstractmethod
    def draw(self, code: str) -> bytes:
        """Return the picture."""

    def get(self, request: Request, card_no: str) -> Response:
        """Draw the active payment code."""
        shown = selectors.show_current_code(
            self.scope, card_no=card_no, member_id=self.member.member_id
        )
        return Response(self.draw(shown.code), headers=_NO_STORE)


def _draws(operation_id: str, media_type: str, summary: str) -> Callable[[Any], Any]:
    """Return how OpenAPI speaks of a picture."""
    return extend_schema_view(
        get=extend_schema(
            operation_id=operation_id,
            tags=["Members"],
            summary=summary,
            responses={(200, media_type): OpenApiTypes.BINARY},
        )
    )


@_draws("draw_code_svg", SvgDrawing.media_type, "The live code as QR, SVG")
class CodeSvg(_Picture):
    """A QR code, to any size."""

    renderer_classes = [SvgDrawing]

    def draw(self, code: str) -> bytes:
        """Return the picture."""
        return pictures.draw_qr_svg(code)


@_draws("draw_code_png", PngDrawing.media_type, "The live code as QR, PNG")
class CodePng(_Picture):
    """A QR code in pixels."""

    renderer_classes = [PngDrawing]

    def draw(self, code: str) -> bytes:
        """Return the picture."""
        return pictures.draw_qr_png(code)


@_draws("draw_barcode_svg", SvgDrawing.media_type, "The live code as Code 128, SVG")
class BarcodeSvg(_Picture):
    """A Code 128 with its digits below."""

    renderer_classes = [SvgDrawing]

    def draw(self, code: str) -> bytes:
        """Return the picture."""
        return pictures.draw_barcode_svg(code)


class BindingPassword(CardView):
    """The password for joining a card."""

    class Input(serializers.Serializer[Any]):
        password = fields.Secret(min_length=binding_passwords.MIN_BINDING_PASSWORD, max_length=128)

    @extend_schema(
        operation_id="set_binding_password",
        tags=["Members"],
        request=Input,
        responses={204: None},
        examples=examples.SET_BINDING_PASSWORD,
    )
    def put(self, request: Request, card_no: str) -> Response:
        """Set the password for joining a card the member owns. Existing members stay."""
        binding_passwords.set_binding_password(
            card_no=card_no, by_member_id=self.member.member_id, **read(self.Input, request)
        )
        return Response(status=204)

    @extend_schema(
        operation_id="remove_binding_password",
        tags=["Members"],
        request=None,
        responses={204: None},
        examples=examples.REMOVE_BINDING_PASSWORD,
    )
    def delete(self, request: Request, card_no: str) -> Response:
        """Remove the password. From then on, members can join only by invitation."""
        binding_passwords.set_binding_password(
            card_no=card_no, by_member_id=self.member.member_id, password=""
        )
        return Response(status=204)


class Bindings(CardView):
    """Who may use a card."""

    pagination_class = OldestFirst

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]
        """The list is paged; joining takes no parameters."""
        return OldestFirst.QUERY if self.request.method in {"GET", "HEAD"} else frozenset()

    class Input(serializers.Serializer[Any]):
        """A member who knows the card's password joins with role `member`; if they left it before,
        with their previous limits. An owner or admin invites.
        """

        password = fields.Secret(max_length=128, required=False)
        member_no = fields.Text(max_length=12, required=False)
        role = fields.Choice(choices=Binding.Role.choices, required=False)
        limit_per_payment = fields.Money(required=False, allow_null=True)
        limit_per_day = fields.Money(required=False, allow_null=True)

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            """Take either one."""
            if ("password" in attrs) == ("member_no" in attrs):
                raise serializers.ValidationError(
                    "Send either `password` to join or `member_no` to invite."
                )
            return attrs

    class Output(BindingOut):
        """A member's role and limits on a card after the change."""

        card_no = serializers.CharField(source="card.number")

    @extend_schema(
        operation_id="list_bindings",
        tags=["Members"],
        responses=BindingOut(many=True),
        examples=examples.LIST_BINDINGS,
    )
    def get(self, request: Request, card_no: str) -> Response:
        """List who can use one of the member's cards, the owner first."""
        return self.page(
            selectors.bindings_of(self.scope, card_no=card_no, member_id=self.member.member_id),
            lambda binding: BindingOut(selectors.with_person(binding)).data,
        )

    @extend_schema(
        operation_id="join_card",
        tags=["Members"],
        request=Input,
        responses={201: Output},
        examples=examples.JOIN_CARD,
    )
    def post(self, request: Request, card_no: str) -> Response:
        """Join a shared card with its password, or invite a member as its owner or admin."""
        asked = read(self.Input, request)
        if "member_no" in asked:
            binding = sharing.invite_member(
                card_no=card_no, by_member_id=self.member.member_id, **asked
            )
        else:
            binding = sharing.join_card(
                card_no=card_no,
                member_id=self.member.member_id,
                binding_password=asked["password"],
            )
        return Response(self.Output(binding).data, status=201)


class OneBinding(CardView):
    """One member's part in a card."""

    class Input(serializers.Serializer[Any]):
        """Omitted fields stay unchanged; null removes a limit."""

        role = fields.Choice(choices=Binding.Role.choices, required=False)
        limit_per_payment = fields.Money(required=False, allow_null=True)
        limit_per_day = fields.Money(required=False, allow_null=True)

    @extend_schema(
        operation_id="change_binding",
        tags=["Members"],
        request=Input,
        responses=BindingOut,
        examples=examples.CHANGE_BINDING,
    )
    def patch(self, request: Request, card_no: str, member_no: str) -> Response:
        """Change another member's role or limits on a card the caller owns or administers."""
        binding = sharing.change_binding(
            card_no=card_no,
            member_no=member_no,
            by_member_id=self.member.member_id,
            **cast("sharing.BindingChanges", read(self.Input, request)),
        )
        return Response(BindingOut(binding).data)

    @extend_schema(operation_id="unbind", tags=["Members"], request=None, responses={204: None})
    def delete(self, request: Request, card_no: str, member_no: str) -> Response:
        """Remove a member from a card, or leave it. Their code for the card is revoked."""
        sharing.unbind_member(
            card_no=card_no, member_no=member_no, by_member_id=self.member.member_id
        )
        return Response(status=204)
