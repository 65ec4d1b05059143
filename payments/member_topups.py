"""Members' top-ups: requested from a provider, and credited once when it confirms the payment.

A top-up stands for an order at a provider. It moves no money before the provider confirms it, which
is in `topup_confirmations`; whether both agree on what was paid, in `topup_comparison`.

Lock order as everywhere: the card (shared), the member's key, the top-up's row, the provider's
payment, accounts. No database transaction is open while a provider is asked.
"""

import re
import secrets
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from cards import holding
from cards.errors import (
    CardNotFoundError,
    UnsupportedCardTypeForRechargeError,
)
from cards.models import Binding
from cards.selectors import owner_is_active, require_number
from members.errors import MemberSuspendedError
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, problems
from mps.base.core.database import DatabaseNow
from mps.base.core.days import show_time
from mps.base.core.db_scope import Scope
from mps.base.core.errors import (
    InvalidAmountError,
    InvalidRequestError,
    MpsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from mps.base.core.money import show_money
from payments import idempotency, providers, topup_confirmations
from payments.errors import LimitExceededError
from payments.idempotency import Answer
from payments.models import TopUp, Transaction
from payments.providers.base import NewOrder, OpenedOrder, Provider

# What a provider did not take, and what it was paid otherwise than asked.
REFUSED_BY_PROVIDER = "REFUSED_BY_PROVIDER"

_ORDER_BYTES = 24

_BATCH = 500

# What a member may have begun and not paid.
_MOST_OPEN = 20

# A path of ours: no host, no backslash that a browser takes for a slash, nothing unprintable.
_LOCAL_PATH = re.compile(r"(/(?![/\\])[\x21-\x5b\x5d-\x7e]*)?", re.ASCII)


def start_top_up(
    *,
    member_id: UUID,
    card_no: str,
    amount: Decimal,
    provider: str,
    idempotency_key: str,
    site_url: str,
    return_path: str = "",
) -> Answer:
    """Ask a provider to take an amount for a card; answer where it is paid. Nothing is credited.

    :param member_id: who asks, who must own the card or be its admin.
    :param site_url: where this installation is reached from outside.
    :param return_path: where the payer goes afterwards: a path of this installation; empty: `/`.
    :raises InvalidRequestError: this installation does not work with the provider, or
        `return_path` leads elsewhere.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    :raises RateLimitedError: too many top-ups of the member wait to be paid.
    :raises UnavailableError: the provider cannot be reached; nobody can pay what was begun, which
        closes by itself. A retry with the same key goes on with it.
    """
    key = idempotency.require_key(idempotency_key)
    number = require_number(card_no)
    taker = _require_provider(provider)
    if len(return_path) > 200 or not _LOCAL_PATH.fullmatch(return_path):
        raise InvalidRequestError(
            errors={"return_path": ["Must be a path on this site, such as /wallet."]}
        )
    request_hash = idempotency.hash_request(
        "member_top_up", card=number, amount=show_money(amount), provider=provider, to=return_path
    )
    about = {"amount": show_money(amount), "provider": provider}
    with audit.refusals("TOP_UP_REFUSED", object_type="card", object_id=number, details=about):
        begun = _begin(
            TopUp(
                order_id=secrets.token_urlsafe(_ORDER_BYTES),
                provider=provider,
                member_id=member_id,
                amount=amount,
                currency=settings.MPS_CURRENCY,
                idempotency_key=key,
                request_hash=request_hash,
            ),
            number,
            about,
        )
        if isinstance(begun, Answer):
            return begun
        order = NewOrder(
            order_id=begun.order_id,
            amount=begun.amount,
            currency=begun.currency,
            expires_at=begun.expires_at,
            site_url=site_url.rstrip("/"),
            return_path=return_path,
        )
        try:
            opened = taker.open_order(order)
        except InvalidAmountError as refusal:
            return _give_up(begun, refusal, about)
        return _offer(begun, opened, about)


def _require_provider(name: str) -> Provider:
    try:
        return providers.get_provider(name)
    except NotFoundError as error:
        raise InvalidRequestError(errors={"provider": ["Not available here."]}) from error


def _begin(wanted: TopUp, card_no: str, about: dict[str, str]) -> TopUp | Answer:
    """Write a top-up down before the provider is asked, or return what was answered to its key.

    What an earlier attempt with the key left unfinished is gone on with.
    """
    member_id, key = wanted.member_id, wanted.idempotency_key
    request_hash = bytes(wanted.request_hash)
    with db_scope.principal_scope("member_app", member_id) as scope:
        idempotency.lock_key(scope, member_id, key)
        answered = idempotency.find_answer(scope, member_id, key, request_hash)
        if answered is not None:
            return answered
        binding = (
            Binding.objects.select_related("card__money_account")
            .filter(member_id=member_id, card__number=card_no)
            .first()
        )
        if binding is None:
            raise CardNotFoundError
        try:
            _require_may_top_up(scope, binding, wanted.amount)
        except MpsError as refusal:
            return _refuse(scope, wanted, refusal, about, card_no)
        unfinished = (
            _with_card(scope)
            .filter(member_id=member_id, idempotency_key=key, status=TopUp.Status.PENDING)
            .first()
        )
        if unfinished is not None:
            idempotency.require_same(bytes(unfinished.request_hash), request_hash)
            return unfinished
        _require_room(scope, member_id)
        wanted.card = binding.card
        _insert(scope, wanted)
    return wanted


def _require_may_top_up(scope: Scope, binding: Binding, amount: Decimal) -> None:
    """Check who asks, for which card. What is on it is looked at without a lock: it may move before
    the payment comes, which is credited all the same.

    :raises UnsupportedCardTypeForRechargeError, MemberSuspendedError, PermissionDeniedError,
        CardExpiredError, CardNotActiveError, LimitExceededError: why not.
    """
    card = binding.card
    if not card.type.may_be_topped_up or card.money_account is None:
        raise UnsupportedCardTypeForRechargeError
    asking = Member.objects.get(id=binding.member_id)
    if asking.status == Member.Status.SUSPENDED or not owner_is_active(scope, card.id):
        raise MemberSuspendedError
    if not binding.rights.may_top_up:
        raise PermissionDeniedError
    holding.require_usable(scope, card)
    if (card.money_account.balance or 0) + amount > settings.MPS_MAX_BALANCE:
        raise LimitExceededError("The card balance would exceed its maximum.")


def _require_room(scope: Scope, member_id: UUID) -> None:
    """Let a member begin only so much that they have not paid: each is an order at a provider.

    :raises RateLimitedError: they have begun too many.
    """
    open_ones = TopUp.objects.filter(
        member_id=member_id, status=TopUp.Status.PENDING, expires_at__gt=DatabaseNow()
    )
    if open_ones.count() >= _MOST_OPEN:
        raise RateLimitedError(
            "You have too many unfinished top-ups. Pay one of them or let it expire.",
            retry_after_seconds=60,
        )


def _insert(scope: Scope, wanted: TopUp) -> None:
    """Write what a member may write of a top-up; the rest the database and the platform do."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_topup (order_id, provider, card_id, member_id, amount, currency,"
            " idempotency_key, request_hash, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, core_now() + make_interval(secs => %s))"
            " RETURNING id, status, created_at, expires_at",
            [
                wanted.order_id,
                wanted.provider,
                wanted.card_id,
                wanted.member_id,
                wanted.amount,
                wanted.currency,
                wanted.idempotency_key,
                bytes(wanted.request_hash),
                settings.MPS_TOPUP_TTL_SECONDS,
            ],
        )
        wanted.id, wanted.status, wanted.created_at, wanted.expires_at = cursor.fetchone()


def _refuse(
    scope: Scope, top_up: TopUp, refusal: MpsError, about: dict[str, str], card_no: str
) -> Answer:
    """Record a refusal and keep it as the answer to the key; both commit."""
    answer = Answer(refusal.status, problems.problem(refusal))
    audit.record(
        "TOP_UP_REFUSED",
        object_type="card",
        object_id=card_no,
        details={**about, "error": refusal.code},
    )
    _store(scope, top_up, answer)
    return answer


def _offer(begun: TopUp, opened: OpenedOrder, about: dict[str, str]) -> Answer:
    """Write down where a top-up is paid, and answer it; to a twin that was later, the same."""
    with db_scope.principal_scope("platform_admin") as scope:
        top_up, answered = _resume(scope, begun)
        if answered is not None:
            return answered
        top_up.reference, top_up.pay_url = opened.reference, opened.pay_url
        top_up.save(update_fields=["reference", "pay_url"])
        audit.record(
            "TOP_UP_STARTED",
            object_type="card",
            object_id=top_up.card.number,
            details={**about, "top_up": str(top_up.id), "order": top_up.order_id},
        )
        answer = Answer(201, show_started(top_up))
        _store(scope, top_up, answer)
        return answer


def _give_up(begun: TopUp, refusal: MpsError, about: dict[str, str]) -> Answer:
    """Close a top-up that the provider does not take."""
    with db_scope.principal_scope("platform_admin") as scope:
        top_up, answered = _resume(scope, begun)
        if answered is not None:
            return answered
        topup_confirmations.close(
            scope, top_up, TopUp.Status.FAILED, failure_code=REFUSED_BY_PROVIDER
        )
        return _refuse(scope, top_up, refusal, about, top_up.card.number)


def _resume(scope: Scope, begun: TopUp) -> tuple[TopUp, Answer | None]:
    """Lock the key and the top-up again after the provider was asked; return what a twin answered.

    :raises UnavailableError: it was closed meanwhile; a retry begins anew.
    """
    idempotency.lock_key(scope, begun.member_id, begun.idempotency_key)
    answered = idempotency.find_answer(
        scope, begun.member_id, begun.idempotency_key, bytes(begun.request_hash)
    )
    top_up = _with_card(scope).select_for_update(of=("self",)).get(id=begun.id)
    if answered is None and top_up.status != TopUp.Status.PENDING:
        raise UnavailableError
    return top_up, answered


def _store(scope: Scope, top_up: TopUp, answer: Answer) -> None:
    idempotency.store_answer(
        scope,
        top_up.member_id,
        top_up.idempotency_key,
        bytes(top_up.request_hash),
        answer,
        at=DatabaseNow(),
    )


def expire_top_ups() -> int:
    """Close pending top-ups whose time is over; return how many. What is paid later is credited."""
    total = 0
    while True:
        with db_scope.principal_scope("platform_admin") as scope:
            closed = _expire_batch(scope)
            if closed:
                audit.record(
                    "TOP_UPS_EXPIRED",
                    object_type="top_up",
                    object_id="",
                    details={"count": closed},
                )
        total += closed
        if closed < _BATCH:
            return total


def count_expirable() -> int:
    """Return how many top-ups `expire_top_ups` would close now."""
    with db_scope.principal_scope("platform_admin"):
        return TopUp.objects.filter(
            status=TopUp.Status.PENDING, expires_at__lte=DatabaseNow()
        ).count()


def _expire_batch(scope: Scope) -> int:
    """Close some; those that somebody confirms just now are left."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_topup SET status = 'expired', closed_at = core_now() WHERE id IN ("
            " SELECT id FROM payments_topup WHERE status = 'pending' AND expires_at <= core_now()"
            " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
            [_BATCH],
        )
        return int(cursor.rowcount)


def list_top_ups(scope: Scope, *, card_no: str, member_id: UUID) -> QuerySet[TopUp]:
    """Return the top-ups of a card the member has part in.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    binding = Binding.objects.filter(
        member_id=member_id, card__number=require_number(card_no)
    ).first()
    if binding is None:
        raise CardNotFoundError
    return _with_card(scope).filter(card_id=binding.card_id)


def get_top_up(scope: Scope, *, card_no: str, member_id: UUID, top_up_id: UUID) -> TopUp:
    """Return one of them.

    :raises NotFoundError: the card has no such top-up.
    """
    top_up = list_top_ups(scope, card_no=card_no, member_id=member_id).filter(id=top_up_id).first()
    if top_up is None:
        raise NotFoundError("Top-up not found.")
    return top_up


def show_started(top_up: TopUp) -> dict[str, Any]:
    """Return a top-up as it is answered to whoever asked for it."""
    return {
        "id": str(top_up.id),
        "status": TopUp.Status(top_up.status).value,
        "card_no": top_up.card.number,
        "provider": top_up.provider,
        "amount": show_money(top_up.amount),
        "currency": top_up.currency,
        "created_at": show_time(top_up.created_at),
        "expires_at": show_time(top_up.expires_at),
        "pay_url": top_up.pay_url or None,
    }


def show_top_ups(scope: Scope, found: list[TopUp], *, member_id: UUID) -> list[dict[str, Any]]:
    """Return top-ups as they are now.

    Where to pay is shown while that is possible, and only to whoever asked for it.
    """
    ids = [each.tx_id for each in found if each.tx_id]
    credited = {each.id: each for each in Transaction.objects.filter(id__in=ids)} if ids else {}
    lines = []
    for each in found:
        done = credited.get(each.tx_id) if each.tx_id else None
        payable = each.status == TopUp.Status.PENDING and each.member_id == member_id
        lines.append(
            {
                **show_started(each),
                "pay_url": each.pay_url or None if payable else None,
                "failure_code": each.failure_code or None,
                "tx_no": done.tx_no if done else None,
                "credited_to": done.credited_to or None if done else None,
                "late": each.late,
            }
        )
    return lines


def _with_card(scope: Scope) -> QuerySet[TopUp]:
    return TopUp.objects.select_related("card")
