"""A small world, a caller for every operation in it, and what a refusal must look like."""

import itertools
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.db import connections
from django.test import Client, override_settings

from cards import sharing
from cards.models import Card
from members import onetime, pins
from members import services as members
from members.models import Member
from merchants.selectors import Till
from merchants.webhooks import endpoints
from mps.product.rpc import services as rpc
from payments import member_topups, topups
from settlements import services as settlements
from tests import factories
from tests.hostile.operations import Operation

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
# The public error codes, and the two that are HTTP's own.
CODES = {
    "INVALID_REQUEST",
    "INVALID_AMOUNT",
    "INVALID_CODE",
    "IDEMPOTENCY_KEY_REQUIRED",
    "NOT_AUTHENTICATED",
    "INVALID_CREDENTIALS",
    "PERMISSION_DENIED",
    "INVALID_BINDING_PASSWORD",
    "MERCHANT_SUSPENDED",
    "MEMBER_SUSPENDED",
    "NOT_FOUND",
    "ORIGINAL_TX_NOT_FOUND",
    "CARD_NOT_FOUND",
    "INSUFFICIENT_BALANCE",
    "LIMIT_EXCEEDED",
    "QR_EXPIRED_OR_INVALID",
    "CARD_NOT_ACTIVE",
    "CARD_NOT_EMPTY",
    "CARD_EXPIRED",
    "CARD_TYPE_NOT_SHAREABLE",
    "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE",
    "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT",
    "UNSUPPORTED_CARD_TYPE_FOR_POINTS",
    "CANNOT_REMOVE_LAST_OWNER",
    "EXTERNAL_ID_ALREADY_BOUND",
    "ALREADY_EXISTS",
    "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
    "REFUND_EXCEEDS_REMAINING",
    "ORDER_AMOUNT_MISMATCH",
    "ORDER_REVERSED",
    "VOUCHER_NOT_APPLICABLE",
    "NO_TRANSACTIONS_IN_PERIOD",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "IDEMPOTENCY_KEY_REUSED",
    "RATE_LIMITED",
    "UNAVAILABLE",
    "METHOD_NOT_ALLOWED",
    "NOT_ACCEPTABLE",
}
# What each world's settlement is of: asked for again, it is the same one.
PERIOD = (datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
BINDING_PASSWORD = "open sesame 7"
PIN = "4711"
# What takes a one-time code, and for what it is.
_ONE_TIME = {"login_by_code": "sign_in", "reset_password": "reset", "verify_contact": "verify"}
# Who asks for what the owner of the card cannot.
_CALLERS = {"join_card": "outsider", "erase_me": "leaver"}
_numbers = itertools.count(1)


@dataclass
class World:
    """Who and what there is, and the keys of those who may ask."""

    owner: Member
    friend: Member
    outsider: Member
    card: Card
    code: str
    payment_no: str
    top_up_no: str
    order: str
    merchant_id: str
    merchant_code: str
    settlement_id: str
    session_id: str
    openid: str
    one_time: dict[str, str]
    topup_id: str
    endpoint_id: str
    approval_id: str
    keys: dict[str, str]
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def url(self, operation: Operation, **instead: str) -> str:
        """Return the path of an operation with what its parameters stand for."""
        values = {
            "card_no": self.card.number,
            "member_no": self.friend.number,
            "provider": "wechat",
            "external_order_id": self.order,
            "settlement_id": self.settlement_id,
            "session_id": self.session_id,
            "topup_id": self.topup_id,
            "endpoint_id": self.endpoint_id,
            "approval_id": self.approval_id,
            "tx_no": self.top_up_no if "topups" in operation.path else self.payment_no,
            **instead,
        }
        path = operation.path
        for name in operation.path_parameters:
            path = path.replace(f"{{{name}}}", values[name])
        return path

    def body(self, operation: Operation) -> dict[str, Any]:
        """Return a body the operation takes: its own example, with what is real here."""
        number = next(_numbers)
        real = {
            "amount": "1.00",
            "card_no": self.card.number,
            "code": self.code,
            "contact": f"0976{number:06d}",
            "current_password": factories.PASSWORD,
            "email": f"new{number}@example.com",
            "identifier": self.owner.phone,
            "password": BINDING_PASSWORD if operation.id == "join_card" else factories.PASSWORD,
            "phone": f"0977{number:06d}",
            "p_binding_org_id": f"openid-{number}",
            "p_binding_password": BINDING_PASSWORD,
            "p_card_id": str(self.card.id),
            "p_external_order_id": f"rpc-{number}",
            "p_idempotency_key": factories.new_key(),
            "p_member_id": str(self.friend.id),
            "p_merchant_code": self.merchant_code,
            "p_merchant_id": self.merchant_id,
            "p_original_tx_no": self.payment_no,
            "p_owner_member_id": str(self.owner.id),
            "p_phone": f"0978{number:06d}",
            "p_qr_plain": self.code,
            "p_raw_amount": 1,
            "p_refund_amount": 1,
            "p_amount": 1,
            "pin": PIN,
            "p_tx_no": self.payment_no,
            "p_period_start": PERIOD[0].isoformat(),
            "p_period_end": PERIOD[1].isoformat(),
        }
        if operation.id == "rpc_create_merchant":
            real["p_code"] = f"NEW{number:03d}"
        if operation.id == "login_by_provider":
            return {"provider": "wechat", "login_code": self.openid}
        if operation.id == "add_my_identity":
            return {"provider": "line", "id_token": f"token-{number}"}
        if operation.id in _ONE_TIME:
            real |= {"contact": self.owner.phone, "code": self.one_time[_ONE_TIME[operation.id]]}
        return {name: real.get(name, value) for name, value in operation.example.items()}

    def headers(self, operation: Operation) -> dict[str, str]:
        """Return the headers of a caller who may."""
        headers = {}
        for scheme in operation.schemes:
            key = self.keys[_CALLERS.get(operation.id, scheme)]
            headers["Authorization"] = f"Bearer {key}"
        if operation.needs_key:
            headers["Idempotency-Key"] = factories.new_key()
        return headers

    def send(
        self,
        operation: Operation,
        body: Any = None,
        *,
        url: str = "",
        query: str = "",
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
        method: str = "",
    ) -> Any:
        """Send a request; a body of bytes goes as it is."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {**self.headers(operation), **(headers or {})}
        return self.client.generic(
            (method or operation.method).upper(),
            (url or self.url(operation)) + query,
            body or b"",
            content_type=content_type,
            headers=headers,
        )


def make_world() -> World:
    """Make it, by the services."""
    openid = f"o-{next(_numbers)}"
    owner, _ = factories.make_member(provider="wechat", external_id=openid)
    friend, _ = factories.make_member()
    outsider, _ = factories.make_member()
    card = factories.make_prepaid(owner, "1000.00", binding_password=BINDING_PASSWORD)
    sharing.bind_member(card_id=card.id, member_id=friend.id)
    till, key = factories.make_till_and_key(can_manage_webhooks=True)
    order = f"ORDER-{next(_numbers)}"
    paid = factories.charge(
        till, factories.make_code(card, owner), "100.00", external_order_id=order
    )
    topped_up = topups.top_up_at_till(
        till=till, card_no=card.number, amount=Decimal("50.00"), idempotency_key=factories.new_key()
    )
    asked = member_topups.start_top_up(
        member_id=owner.id,
        card_no=card.number,
        amount=Decimal("5.00"),
        provider="sandbox",
        idempotency_key=factories.new_key(),
        site_url="https://pay.example.com",
    )
    settlement = settlements.generate_settlement(
        merchant_id=till.merchant_id,
        mode="t_plus_1",
        period_start=PERIOD[0],
        period_end=PERIOD[1],
    )
    endpoint, _secret = endpoints.create_endpoint(till=till, url="http://127.0.0.1:9/mps")
    approval_id = _awaiting(till, card, owner)
    service_key = rpc.create_service_key(name="backend")[1]
    return World(
        owner=owner,
        friend=friend,
        outsider=outsider,
        card=card,
        code=factories.make_code(card, owner),
        payment_no=paid.body["tx_no"],
        top_up_no=topped_up.body["tx_no"],
        order=order,
        merchant_id=str(till.merchant_id),
        merchant_code=till.merchant_code,
        settlement_id=str(settlement.id),
        session_id=str(_session(owner).id),
        openid=openid,
        one_time={
            purpose: _one_time_code(purpose, str(owner.phone), owner.id)
            for purpose in _ONE_TIME.values()
        },
        topup_id=asked.body["id"],
        endpoint_id=str(endpoint.id),
        approval_id=approval_id,
        keys={
            "terminalKey": key,
            "memberToken": factories.member_token(owner),
            "rpcKey": service_key,
            "serviceKey": service_key,
            "outsider": factories.member_token(outsider),
            "leaver": factories.member_token(factories.make_member()[0]),
        },
    )


def _awaiting(till: Till, card: Card, owner: Member) -> str:
    """Let a payment wait for its member, who has a PIN."""
    pins.set_pin(member_id=owner.id, password=factories.PASSWORD, pin=PIN)
    with override_settings(MPS_APPROVAL_ABOVE=Decimal("10.00")):
        answer = factories.charge(till, factories.make_code(card, owner), "20.00")
    assert answer.status == 202
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT id FROM payments_consent WHERE member_id = %s", [owner.id])
        return str(cursor.fetchone()[0])


def _session(member: Member) -> members.IssuedToken:
    token = members.issue_token(user_id=member.user_id)
    assert token is not None
    return token


def _one_time_code(purpose: str, destination: str, member_id: UUID) -> str:
    """Make a code as the service does, without counting or sending."""
    nonce = secrets.token_bytes(32)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT members_make_code(%s, %s, %s, %s, 600)",
            [purpose, destination, member_id, nonce],
        )
    return onetime._digits(nonce).decode()


def snapshot() -> dict[str, tuple[int, int]]:
    """Return how many rows each table holds, and a sum over all they say.

    Without what refusals write: the audit log, and limits of sign-in.
    """
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT LIKE 'audit_%'"
            " ORDER BY 1"
        )
        tables = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}', count(*), coalesce(sum(hashtext(row::text)), 0)"
                f' FROM "{table}" AS row'
                for table in tables
            )
        )
        return {table: (count, total) for table, count, total in cursor.fetchall()}


def fault_of_refusal(response: Any, *, rpc: bool = False, status: int | None = None) -> str:
    """Return what is wrong with a refusal; nothing if it is as it must be.

    :param status: the one it must have; None: any from 400 to 499.
    """
    what = f"{response.status_code} {response.content[:300]!r}"
    if status is not None and response.status_code != status:
        return f"not {status}: {what}"
    if status is None and not 400 <= response.status_code < 500:
        return f"no refusal: {what}"
    try:
        document = json.loads(response.content)
    except ValueError:
        return f"no JSON: {what}"
    if rpc:
        if set(document) != {"code", "message", "details", "hint"}:
            return f"not a function's error: {what}"
        return "" if document["message"] in CODES else f"unknown code: {what}"
    if response["Content-Type"] != "application/problem+json":
        return f"{response['Content-Type']}: {what}"
    if not set(document) >= PROBLEM_MEMBERS or set(document) - PROBLEM_MEMBERS - {"errors"}:
        return f"not a problem document: {what}"
    if document["status"] != response.status_code:
        return f"another status inside: {what}"
    if document["request_id"] != response["X-Request-ID"]:
        return f"another request id inside: {what}"
    if document["instance"] != response.wsgi_request.path:
        return f"of another address: {what}"
    return "" if document["code"] in CODES else f"unknown code: {what}"


def escape(text: str) -> str:
    """Return a text that is safe in a path."""
    return quote(text, safe="")
