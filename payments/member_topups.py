"""Members' own top-ups: asked of a provider, credited once when the provider says it was paid.

A top-up stands for an order at a provider. It moves no money before the provider's signed callback,
or its answer when it is asked, confirms amount and currency; then one transaction credits the card.
Money that was paid is credited whenever that becomes known: after the top-up was closed, on a card
that was frozen since, beyond the most a card may hold; for a closed card to `unclaimed`.

Lock order as everywhere: the card (shared), the member's key, the top-up's row, the provider's
payment, accounts. No database transaction is open while a provider is asked.

Rules: docs/rules.md#top-ups.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from cards import holding
from cards.errors import (
    CardExpiredError,
    CardNotActiveError,
    CardNotFoundError,
    UnsupportedCardTypeForRechargeError,
)
from cards.models import Binding, Card
from cards.selectors import owner_is_active, require_number
from members.errors import MemberSuspendedError
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, problems
from mps.base.core.database import DatabaseNow
from mps.base.core.days import show_time
from mps.base.core.errors import (
    AlreadyExistsError,
    InvalidAmountError,
    InvalidRequestError,
    MpsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from mps.base.core.money import show_money
from payments import idempotency, providers, topups
from payments.errors import LimitExceededError
from payments.idempotency import Answer
from payments.models import TopUp, Transaction
from payments.providers import sandbox
from payments.providers.base import NewOrder, OpenedOrder, Outcome, Provider, Report

logger = logging.getLogger(__name__)

# What a provider did not take, and what it was paid otherwise than asked.
REFUSED_BY_PROVIDER = "REFUSED_BY_PROVIDER"
AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
CURRENCY_DIFFERS = "CURRENCY_DIFFERS"
PAYMENT_CREDITED_OTHERWISE = "PAYMENT_CREDITED_OTHERWISE"

_ORDER_BYTES = 24
_BATCH = 500
# What a member may have begun and not paid.
_MOST_OPEN = 20
_COMPARED_DAYS = 3
# An order is made here a little before the provider makes it, and clocks differ.
_CLOCK_SKEW = timedelta(hours=1)
# A path of ours: no host, no backslash that a browser takes for a slash, nothing unprintable.
_LOCAL_PATH = re.compile(r"(/(?![/\\])[\x21-\x5b\x5d-\x7e]*)?", re.ASCII)


# --- start ---------------------------------------------------------------------------------------


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
        raise InvalidRequestError(errors={"return_path": ["A path of this site, as /wallet."]})
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
        raise InvalidRequestError(errors={"provider": ["Not offered here."]}) from error


def _begin(wanted: TopUp, card_no: str, about: dict[str, str]) -> TopUp | Answer:
    """Write a top-up down before the provider is asked, or return what was answered to its key.

    What an earlier attempt with the key left unfinished is gone on with.
    """
    member_id, key = wanted.member_id, wanted.idempotency_key
    request_hash = bytes(wanted.request_hash)
    with db_scope.principal_scope("member_app", member_id):
        idempotency.lock_key(member_id, key)
        answered = idempotency.find_answer(member_id, key, request_hash)
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
            _require_may_top_up(binding, wanted.amount)
        except MpsError as refusal:
            return _refuse(wanted, refusal, about, card_no)
        unfinished = (
            _with_card()
            .filter(member_id=member_id, idempotency_key=key, status=TopUp.Status.PENDING)
            .first()
        )
        if unfinished is not None:
            idempotency.require_same(bytes(unfinished.request_hash), request_hash)
            return unfinished
        _require_room(member_id)
        wanted.card = binding.card
        _insert(wanted)
    return wanted


def _require_may_top_up(binding: Binding, amount: Decimal) -> None:
    """Check who asks, for which card. What is on it is looked at without a lock: it may move before
    the payment comes, which is credited all the same.

    :raises UnsupportedCardTypeForRechargeError, MemberSuspendedError, PermissionDeniedError,
        CardExpiredError, CardNotActiveError, LimitExceededError: why not.
    """
    card = binding.card
    if not card.type.may_be_topped_up or card.money_account is None:
        raise UnsupportedCardTypeForRechargeError
    asking = Member.objects.get(id=binding.member_id)
    if asking.status == Member.Status.SUSPENDED or not owner_is_active(card.id):
        raise MemberSuspendedError
    if not binding.rights.may_top_up:
        raise PermissionDeniedError
    if (
        card.status == Card.Status.EXPIRED
        or Card.objects.filter(id=card.id, expires_at__lte=DatabaseNow()).exists()
    ):
        raise CardExpiredError
    if card.status != Card.Status.ACTIVE:
        raise CardNotActiveError
    if (card.money_account.balance or 0) + amount > settings.MPS_MAX_BALANCE:
        raise LimitExceededError("The card would hold more than it may.")


def _require_room(member_id: UUID) -> None:
    """Let a member begin only so much that they have not paid: each is an order at a provider.

    :raises RateLimitedError: they have begun too many.
    """
    open_ones = TopUp.objects.filter(
        member_id=member_id, status=TopUp.Status.PENDING, expires_at__gt=DatabaseNow()
    )
    if open_ones.count() >= _MOST_OPEN:
        raise RateLimitedError(
            "Pay one of the top-ups you began, or let it expire.", retry_after_seconds=60
        )


def _insert(wanted: TopUp) -> None:
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


def _refuse(top_up: TopUp, refusal: MpsError, about: dict[str, str], card_no: str) -> Answer:
    """Record a refusal and keep it as the answer to the key. Inside a scope; it commits."""
    answer = Answer(refusal.status, problems.problem(refusal))
    audit.record(
        "TOP_UP_REFUSED",
        object_type="card",
        object_id=card_no,
        details={**about, "error": refusal.code},
    )
    _store(top_up, answer)
    return answer


def _offer(begun: TopUp, opened: OpenedOrder, about: dict[str, str]) -> Answer:
    """Write down where a top-up is paid, and answer it; to a twin that was later, the same."""
    with db_scope.principal_scope("platform_admin"):
        top_up, answered = _resume(begun)
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
        _store(top_up, answer)
        return answer


def _give_up(begun: TopUp, refusal: MpsError, about: dict[str, str]) -> Answer:
    """Close a top-up that the provider does not take."""
    with db_scope.principal_scope("platform_admin"):
        top_up, answered = _resume(begun)
        if answered is not None:
            return answered
        _close(top_up, TopUp.Status.FAILED, failure_code=REFUSED_BY_PROVIDER)
        return _refuse(top_up, refusal, about, top_up.card.number)


def _resume(begun: TopUp) -> tuple[TopUp, Answer | None]:
    """Lock the key and the top-up again after the provider was asked; return what a twin answered.

    :raises UnavailableError: it was closed meanwhile; a retry begins anew.
    """
    idempotency.lock_key(begun.member_id, begun.idempotency_key)
    answered = idempotency.find_answer(
        begun.member_id, begun.idempotency_key, bytes(begun.request_hash)
    )
    top_up = _with_card().select_for_update(of=("self",)).get(id=begun.id)
    if answered is None and top_up.status != TopUp.Status.PENDING:
        raise UnavailableError
    return top_up, answered


def _store(top_up: TopUp, answer: Answer) -> None:
    idempotency.store_answer(
        top_up.member_id,
        top_up.idempotency_key,
        bytes(top_up.request_hash),
        answer,
        at=DatabaseNow(),
    )


# --- what the provider says ----------------------------------------------------------------------


def receive_callback(*, provider: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Take what a provider says of an order: credit it if it was paid, once however often it comes.

    :raises NotFoundError: this installation works with no such provider, or has no such order.
    :raises NotAuthenticatedError: it does not come from the provider, or is too old.
    :raises InvalidRequestError: it is genuine and cannot be read.
    """
    with audit.refusals(
        "TOP_UP_CALLBACK_REFUSED", object_type="top_up_provider", object_id=provider
    ):
        report = providers.get_provider(provider).read_callback(body=body, headers=headers)
        context.set_actor("system", f"provider {provider}")
        if report is None:
            return
        with db_scope.principal_scope("platform_admin"):
            _settle(_lock(provider=provider, order_id=report.order_id), report)


def confirm_with_provider(*, top_up_id: UUID) -> TopUp:
    """Ask the provider what became of a top-up, and do as if it had called back.

    :raises NotFoundError: there is no such top-up, or its provider is no longer worked with.
    :raises UnavailableError: the provider cannot be reached.
    """
    with audit.refusals("TOP_UP_CHECK_REFUSED", object_type="top_up", object_id=top_up_id):
        with db_scope.principal_scope("platform_admin"):
            asked = TopUp.objects.filter(id=top_up_id).first()
        if asked is None:
            raise NotFoundError("There is no such top-up.")
        report = providers.get_provider(asked.provider).ask(
            order_id=asked.order_id, reference=asked.reference
        )
        with db_scope.principal_scope("platform_admin"):
            top_up = _lock(id=top_up_id)
            if report is None or not _settle(top_up, report):
                audit.record(
                    "TOP_UP_CHECKED",
                    object_type="top_up",
                    object_id=top_up_id,
                    details={
                        "status": top_up.status,
                        "provider_says": report.outcome.value if report else "unknown",
                    },
                )
        return top_up


def show_in_sandbox(*, order_id: str) -> sandbox.ShownOrder:
    """Return an order for the sandbox's page.

    :raises NotFoundError: the sandbox is not on, or has no such order.
    """
    providers.get_provider(sandbox.Sandbox.name)
    return sandbox.show_order(order_id)


def pay_in_sandbox(*, order_id: str, paid: bool) -> sandbox.ShownOrder:
    """Decide an order on the sandbox's page, and let the sandbox tell us of it as a provider does.

    :raises NotFoundError: the sandbox is not on, or has no such order.
    """
    providers.get_provider(sandbox.Sandbox.name)
    shown, callback = sandbox.decide(order_id=order_id, paid=paid)
    if callback is not None:
        receive_callback(
            provider=sandbox.Sandbox.name, body=callback.body, headers=callback.headers
        )
    return shown


def _lock(**which: Any) -> TopUp:
    """Hold a top-up's card and lock the top-up: whoever else confirms it waits here.

    :raises NotFoundError: there is none such.
    """
    found = TopUp.objects.filter(**which).first()
    if found is None:
        raise NotFoundError("There is no such order here.")
    card = holding.hold_card(card_id=found.card_id)
    top_up = TopUp.objects.select_for_update(of=("self",)).get(id=found.id)
    top_up.card = card
    return top_up


def _settle(top_up: TopUp, report: Report) -> bool:
    """Do what a report of a locked top-up calls for; return whether anything changed."""
    if report.outcome is Outcome.OPEN:
        return False
    if top_up.status == TopUp.Status.COMPLETED:
        if report.outcome is Outcome.PAID and report.payment_id != top_up.payment_id:
            _report_second_payment(top_up, report)
        return False
    if report.outcome is Outcome.CLOSED:
        return _cancel(top_up)
    top_up.reference = top_up.reference or report.reference
    difference = _difference(top_up, report)
    if not difference:
        try:
            return _credit(top_up, report)
        except AlreadyExistsError:
            difference = PAYMENT_CREDITED_OTHERWISE
    return _put_aside(top_up, report, difference)


def _cancel(top_up: TopUp) -> bool:
    """Close a pending top-up that nobody will pay."""
    if top_up.status != TopUp.Status.PENDING:
        return False
    _close(top_up, TopUp.Status.CANCELLED)
    audit.record(
        "TOP_UP_CANCELLED",
        object_type="top_up",
        object_id=top_up.id,
        details={"provider": top_up.provider, "card": top_up.card.number},
    )
    return True


def _difference(top_up: TopUp, report: Report) -> str:
    """Return in what a payment is not what was asked for; empty: in nothing."""
    if report.currency != top_up.currency:
        return CURRENCY_DIFFERS
    return AMOUNT_DIFFERS if report.amount != top_up.amount else ""


def _credit(top_up: TopUp, report: Report) -> bool:
    """Credit a paid top-up.

    :raises AlreadyExistsError: its payment was credited before, to another card or with another
        amount; nothing was written.
    """
    done = topups.credit_payment(
        card=top_up.card,
        member_id=top_up.member_id,
        amount=top_up.amount,
        provider=top_up.provider,
        provider_order_id=report.payment_id,
        tag={"top_up": str(top_up.id)},
    )
    if TopUp.objects.filter(tx_id=done.id).exists():
        raise AlreadyExistsError("This payment was credited for another top-up.")
    top_up.late = (
        top_up.status != TopUp.Status.PENDING
        or TopUp.objects.filter(id=top_up.id, expires_at__lte=DatabaseNow()).exists()
    )
    top_up.tx_id = done.id
    _take_down(top_up, report)
    _close(top_up, TopUp.Status.COMPLETED)
    audit.record(
        "RECHARGE_COMPLETED",
        object_type="transaction",
        object_id=done.tx_no,
        details={
            "amount": show_money(top_up.amount),
            "method": top_up.provider,
            "order": report.payment_id,
            "card": top_up.card.number,
            "top_up": str(top_up.id),
            "late": top_up.late,
            "credited_to": done.credited_to,
        },
    )
    return True


def _put_aside(top_up: TopUp, report: Report, difference: str) -> bool:
    """Keep a payment that is not what was asked for, for staff to look at; nothing is credited."""
    if (top_up.failure_code, top_up.payment_id) == (difference, report.payment_id):
        return False
    _take_down(top_up, report)
    _close(top_up, TopUp.Status.FAILED, failure_code=difference)
    about = {
        "provider": top_up.provider,
        "error": difference,
        "asked": f"{show_money(top_up.amount)} {top_up.currency}",
        "paid": f"{report.amount} {report.currency}",
        "payment": report.payment_id,
    }
    audit.record("TOP_UP_MISMATCH", object_type="top_up", object_id=top_up.id, details=about)
    logger.error("a paid top-up was not credited", extra={"top_up": str(top_up.id), **about})
    return True


def _report_second_payment(top_up: TopUp, report: Report) -> None:
    """Tell of an order that was paid twice: the member is owed what the provider took again."""
    about = {
        "provider": top_up.provider,
        "credited": top_up.payment_id,
        "paid": f"{report.amount} {report.currency}",
        "payment": report.payment_id,
    }
    audit.record("TOP_UP_PAID_TWICE", object_type="top_up", object_id=top_up.id, details=about)
    logger.error("a top-up was paid twice", extra={"top_up": str(top_up.id), **about})


def _take_down(top_up: TopUp, report: Report) -> None:
    top_up.payment_id = report.payment_id
    top_up.paid_amount, top_up.paid_currency = report.amount, report.currency
    top_up.paid_at = report.paid_at


def _close(top_up: TopUp, status: str, *, failure_code: str = "") -> None:
    """Write down how a locked top-up ended."""
    top_up.status, top_up.failure_code = status, failure_code
    top_up.closed_at = _read_clock()
    top_up.save(
        update_fields=[
            *("status", "failure_code", "closed_at", "reference", "tx_id", "late"),
            *("payment_id", "paid_amount", "paid_currency", "paid_at"),
        ]
    )


def _read_clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_now()")
        now: datetime = cursor.fetchone()[0]
    return now


# --- by themselves -------------------------------------------------------------------------------


def expire_top_ups() -> int:
    """Close pending top-ups whose time is over; return how many. What is paid later is credited."""
    total = 0
    while True:
        with db_scope.principal_scope("platform_admin"):
            closed = _expire_batch()
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


def _expire_batch() -> int:
    """Close some; those that somebody confirms just now are left."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_topup SET status = 'expired', closed_at = core_now() WHERE id IN ("
            " SELECT id FROM payments_topup WHERE status = 'pending' AND expires_at <= core_now()"
            " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)",
            [_BATCH],
        )
        return int(cursor.rowcount)


# --- comparison ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """Something a provider's books and ours do not agree on.

    :param kind: `not_credited` (paid there, not credited here), `not_paid` (credited here, not paid
        there), `amount_differs`, `unknown_order` (paid there, never asked for here).
    """

    kind: str
    provider: str
    order_id: str
    here: str
    there: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing.

    :param compared: how many orders were looked at.
    :param unreachable: the providers that could not be asked.
    """

    compared: int
    differences: tuple[Difference, ...]
    unreachable: tuple[str, ...]


def compare_top_ups(*, day: date | None = None) -> Comparison:
    """Compare the top-ups of a day with what the providers say was paid. Reports; credits nothing.

    Each difference is an audit event and an alert in the log. A payment whose callback got lost is
    credited by `confirm_with_provider`.

    :param day: in `MPS_TIME_ZONE`; None: the three days up to yesterday, as what is paid slowly is
        paid a day or two later.
    """
    zone = ZoneInfo(settings.MPS_TIME_ZONE)
    with db_scope.principal_scope("platform_admin"):
        yesterday = _read_clock().astimezone(zone).date() - timedelta(days=1)
    first = day or yesterday - timedelta(days=_COMPARED_DAYS - 1)
    start = datetime.combine(first, time.min, zone)
    end = datetime.combine((day or yesterday) + timedelta(days=1), time.min, zone)
    compared, differences, unreachable = 0, list[Difference](), list[str]()
    for name in settings.MPS_TOPUP_PROVIDERS:
        try:
            there = {
                report.order_id: report
                for report in providers.get_provider(name).list_paid(
                    since=start - _CLOCK_SKEW, until=end + _CLOCK_SKEW
                )
            }
        except UnavailableError:
            unreachable.append(name)
            logger.error("top-ups not compared", extra={"provider": name})
            continue
        with db_scope.principal_scope("platform_admin"):
            number, found = _compare(name, there, start, end)
            for each in found:
                _report_difference(each)
        compared += number
        differences += found
    return Comparison(compared, tuple(differences), tuple(unreachable))


def _compare(
    provider: str, there: dict[str, Report], start: datetime, end: datetime
) -> tuple[int, list[Difference]]:
    """Return how many orders of the time were looked at, and what differs."""
    ours = TopUp.objects.filter(provider=provider)
    here = {
        each.order_id: each
        for each in ours.filter(created_at__gte=start, created_at__lt=end).order_by("id")
    }
    # What the provider took near the edges may be of the day before or after.
    elsewhere = set(
        ours.filter(order_id__in=[name for name in there if name not in here]).values_list(
            "order_id", flat=True
        )
    )
    differences = []
    for order_id in sorted((here.keys() | there.keys()) - elsewhere):
        kind = _kind_of_difference(here.get(order_id), there.get(order_id), start, end)
        if kind:
            top_up, report = here.get(order_id), there.get(order_id)
            differences.append(
                Difference(
                    kind,
                    provider,
                    order_id,
                    here=f"{top_up.status} {_sum(top_up)}" if top_up else "",
                    there=f"{report.amount} {report.currency}" if report else "",
                )
            )
    return len(here), differences


def _kind_of_difference(
    top_up: TopUp | None, report: Report | None, start: datetime, end: datetime
) -> str:
    if top_up is None:
        return "unknown_order" if report and start <= report.opened_at < end else ""
    credited = top_up.status == TopUp.Status.COMPLETED
    if report is None:
        return "not_paid" if credited else ""
    if not credited:
        return "not_credited"
    return "amount_differs" if _difference(top_up, report) else ""


def _report_difference(each: Difference) -> None:
    about = {
        "kind": each.kind,
        "provider": each.provider,
        "here": each.here,
        "there": each.there,
    }
    audit.record(
        "TOP_UP_DIFFERENCE", object_type="top_up_order", object_id=each.order_id, details=about
    )
    logger.error("books differ from a provider's", extra={"order": each.order_id, **about})


def _sum(top_up: TopUp) -> str:
    return f"{show_money(top_up.amount)} {top_up.currency}"


# --- for the member's eyes -----------------------------------------------------------------------


def list_top_ups(*, card_no: str, member_id: UUID) -> QuerySet[TopUp]:
    """Return the top-ups of a card the member has part in. Inside the member's scope.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    binding = Binding.objects.filter(
        member_id=member_id, card__number=require_number(card_no)
    ).first()
    if binding is None:
        raise CardNotFoundError
    return _with_card().filter(card_id=binding.card_id)


def get_top_up(*, card_no: str, member_id: UUID, top_up_id: UUID) -> TopUp:
    """Return one of them. Inside the member's scope.

    :raises NotFoundError: the card has no such top-up.
    """
    top_up = list_top_ups(card_no=card_no, member_id=member_id).filter(id=top_up_id).first()
    if top_up is None:
        raise NotFoundError("There is no such top-up.")
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


def show_top_ups(found: list[TopUp], *, member_id: UUID) -> list[dict[str, Any]]:
    """Return top-ups as they are now. Inside the member's scope.

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


def _with_card() -> QuerySet[TopUp]:
    return TopUp.objects.select_related("card")
