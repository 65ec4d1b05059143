"""Settle with shops: claim their transactions, approve the settlement, pay it out.

    pending ──approve──▶ settled ──mark paid──▶ paid
       └───────fail────────┴──────▶ failed

Approving posts the fee from the shop's account to the platform's; paying posts the net from the
shop's account to clearing. A negative net is never paid: the next settlement carries it in, once.
One that failed undoes its fee and gives up its claims and the debts it took over, so that the next
run takes them; itself it stays, as a record, and its period is not settled again.

Everything about one shop's settlements is done alone, under `settlements_lock()`.

Rules: docs/rules.md#settlement.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import connection

from merchants.models import Merchant
from merchants.webhooks import outbox
from merchants.webhooks.models import WebhookEvent
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, problems
from mps.base.core.days import YEARS
from mps.base.core.db_scope import Scope
from mps.base.core.errors import InvalidRequestError, NotFoundError
from mps.base.core.money import show_money
from mps.base.core.text_validation import is_text
from mps.base.ledger import services as ledger
from settlements import periods, representations, selectors
from settlements.errors import NoTransactionsInPeriodError, SettlementStateError
from settlements.models import Settlement
from settlements.selectors import Due

logger = logging.getLogger(__name__)

# What began just before midnight has come in by then.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one shop in a run over many; `number` of `total`.

    Without a settlement and without an error: somebody else settled it meanwhile, or it was a dry
    run, which says how many transactions are waiting.
    """

    due: Due
    number: int
    total: int
    settlement: Settlement | None = None
    waiting: int = 0
    error: str = ""


# --- generate ------------------------------------------------------------------------------------


def generate_settlement(
    *, merchant_id: UUID, mode: str, period_start: date | datetime, period_end: date | datetime
) -> Settlement:
    """Settle all a shop did before the end of a period that is not settled yet.

    No lower bound: what came in late is taken by the next run. The same period again gives the same
    settlement, also when two ask at once.

    :param period_start: with the end it names the period `[start, end)`; what has no zone is the
        shop's own time, a date its midnight. A period that is not over is settled as it stands:
        what comes later waits for the next.
    :raises NotFoundError: there is no such shop.
    :raises InvalidRequestError: the mode or the period is none.
    :raises NoTransactionsInPeriodError: there is nothing to settle; nothing was written.
    """
    if mode not in Merchant.SettlementMode.values:
        raise InvalidRequestError(
            errors={"mode": [f"Must be one of {', '.join(Merchant.SettlementMode.values)}."]}
        )
    about = {"mode": mode, "from": str(period_start), "until": str(period_end)}
    with (
        audit.refusals(
            "SETTLEMENT_REFUSED", object_type="merchant", object_id=merchant_id, details=about
        ),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        merchant = selectors.get_merchant(scope, merchant_id=merchant_id)
        period = _period(merchant, period_start, period_end)
        settlement_id, made = _generate(scope, merchant, mode, period)
        settlement = selectors.get_settlement(scope, settlement_id=settlement_id)
        if made:
            audit.record(
                "SETTLEMENT_GENERATED",
                object_type="settlement",
                object_id=settlement_id,
                details={
                    "merchant": merchant.code,
                    "mode": mode,
                    "from": period.start.isoformat(),
                    "until": period.end.isoformat(),
                    "transactions": settlement.tx_count,
                    "net": show_money(settlement.net),
                },
            )
            _emit(scope, WebhookEvent.Type.SETTLEMENT_GENERATED, settlement)
    return settlement


def settle_due(
    *, mode: str, merchant_code: str = "", day: date | None = None, dry_run: bool = False
) -> Iterator[Outcome]:
    """Settle every shop that is due, one by one; yield what came of each.

    Each shop is settled in a database transaction of its own, so a run that is cut short has
    settled some shops and the next settles the others; two at once settle none twice. A shop that
    cannot be settled does not keep the others from it.

    :param merchant_code: only this shop, whatever its own mode.
    :param day: the day, or a day of the month, to settle; default: the latest that is over.
    :param dry_run: only say what is due.
    :raises NotFoundError: there is no such shop.
    :raises InvalidRequestError: the mode is none; the day is not over, or the mode has no days.
    """
    with db_scope.principal_scope("platform_admin") as scope:
        due = _find_due(scope, mode, merchant_code, day)
        waiting = [selectors.count_unclaimed(scope, each) for each in due] if dry_run else []
    for number, each in enumerate(due, start=1):
        if dry_run:
            yield Outcome(each, number, len(due), waiting=waiting[number - 1])
            continue
        try:
            settlement = generate_settlement(
                merchant_id=each.merchant_id,
                mode=mode,
                period_start=each.period.start,
                period_end=each.period.end,
            )
        except NoTransactionsInPeriodError:
            yield Outcome(each, number, len(due))
        except Exception as exception:
            error = problems.as_mps_error(exception)
            code = error.code if error else type(exception).__name__
            about = {"merchant": each.merchant_code, "code": code}
            # A refusal, such as a lock not had in time, says all; a defect needs its traceback.
            logger.error("shop not settled", extra=about, exc_info=None if error else exception)
            yield Outcome(each, number, len(due), error=code)
        else:
            yield Outcome(each, number, len(due), settlement)


def settle_all_due(*, mode: str) -> int:
    """Settle every shop that is due; return how many settlements there are of it."""
    with context.acting("system", f"settle {mode}"):
        return sum(outcome.settlement is not None for outcome in settle_due(mode=mode))


# --- approve, pay, fail --------------------------------------------------------------------------


def approve_settlement(*, settlement_id: UUID) -> Settlement:
    """Approve a settlement and take the fee; with it the debts it carries in. Safe to repeat.

    :raises NotFoundError: there is no such settlement.
    :raises SettlementStateError: it failed.
    """
    with (
        _refusals("SETTLEMENT_APPROVE_REFUSED", settlement_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        settlement = _lock(scope, settlement_id)
        if settlement.status == Settlement.Status.FAILED:
            raise SettlementStateError("A failed settlement cannot be approved.")
        if settlement.status == Settlement.Status.PENDING:
            _approve(scope, settlement, selectors.database_now(scope))
    return settlement


def mark_paid(*, settlement_id: UUID, payout_reference: str = "") -> Settlement:
    """Record that a settlement was paid out to the shop. Safe to repeat.

    :param payout_reference: the bank's, up to 100 printable characters.
    :raises NotFoundError: there is no such settlement.
    :raises SettlementStateError: it is not approved, failed, was paid with another reference, or
        its net is negative: that is carried, never paid.
    """
    if not is_text(payout_reference, at_least=0, at_most=100):
        raise InvalidRequestError(
            errors={"payout_reference": ["Must be at most 100 printable characters."]}
        )
    with (
        _refusals("SETTLEMENT_PAY_REFUSED", settlement_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        settlement = _lock(scope, settlement_id)
        if settlement.status == Settlement.Status.PAID:
            if settlement.payout_reference != payout_reference:
                raise SettlementStateError("It was already paid out with a different reference.")
            return settlement
        if settlement.status != Settlement.Status.SETTLED:
            raise SettlementStateError("Only an approved settlement can be paid out.")
        if settlement.net < 0:
            raise SettlementStateError(
                "A negative net amount is carried over to the next settlement."
            )
        _post(scope, settlement, "payout", "clearing", settlement.net)
        settlement.status = Settlement.Status.PAID
        settlement.paid_at = selectors.database_now(scope)
        settlement.payout_reference = payout_reference
        settlement.save(update_fields=["status", "paid_at", "payout_reference"])
        _record(
            "SETTLEMENT_PAID",
            settlement,
            amount=show_money(settlement.net),
            reference=payout_reference,
        )
        _emit(scope, WebhookEvent.Type.SETTLEMENT_PAID, settlement)
    return settlement


def fail_settlement(*, settlement_id: UUID, reason: str) -> Settlement:
    """Give up a settlement that is not paid: the next run takes its transactions. Safe to repeat.

    :raises NotFoundError: there is no such settlement.
    :raises SettlementStateError: it was paid, or a later one carries its debt; fail that first.
    """
    audit.require_reason(reason)
    with (
        _refusals("SETTLEMENT_FAIL_REFUSED", settlement_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        settlement = _lock(scope, settlement_id)
        before = settlement.status
        if before == Settlement.Status.FAILED:
            return settlement
        if before == Settlement.Status.PAID:
            raise SettlementStateError("A settlement that was paid out cannot be marked as failed.")
        if settlement.carried_to_id is not None:
            raise SettlementStateError(
                "A later settlement includes its negative balance. Mark that one as failed first."
            )
        if before == Settlement.Status.SETTLED:
            _post(scope, settlement, "settlement_undone", "fee", -settlement.fee)
        settlement.status = Settlement.Status.FAILED
        settlement.failure_reason = reason.strip()
        settlement.save(update_fields=["status", "failure_reason"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT settlements_release(%s)", [settlement.id])
        _record("SETTLEMENT_FAILED", settlement, before=before, reason=reason.strip())
    return settlement


# --- inside --------------------------------------------------------------------------------------


def _emit(scope: Scope, event_type: WebhookEvent.Type, settlement: Settlement) -> None:
    """Tell the shop."""
    outbox.emit_event(
        scope,
        merchant_id=settlement.merchant_id,
        event_type=event_type,
        data=representations.settlement_document(settlement),
    )


def _period(merchant: Merchant, start: date | datetime, end: date | datetime) -> periods.Period:
    if start.year not in YEARS or end.year not in YEARS:
        raise InvalidRequestError(
            errors={"period_start": ["The year must be between 2000 and 2100."]}
        )
    period = periods.Period(periods.moment_of(start, merchant), periods.moment_of(end, merchant))
    if period.start >= period.end:
        raise InvalidRequestError(errors={"period_end": ["Must be after period_start."]})
    return period


def _generate(
    scope: Scope, merchant: Merchant, mode: str, period: periods.Period
) -> tuple[UUID, bool]:
    """Return the period's settlement and whether it was made now."""
    with connection.cursor() as cursor:
        # A run over very many transactions takes longer than a request may, and its twin waits.
        cursor.execute(
            "SELECT set_config('statement_timeout', '15min', true),"
            " set_config('lock_timeout', '2min', true)"
        )
        cursor.execute(
            "SELECT settlement_id, made FROM settlements_generate(p_merchant_id => %s,"
            " p_mode => %s, p_start => %s, p_end => %s, p_currency => %s)",
            [merchant.id, mode, period.start, period.end, settings.MPS_CURRENCY],
        )
        settlement_id, made = cursor.fetchone()
    if settlement_id is None:
        raise NoTransactionsInPeriodError
    return settlement_id, made


def _find_due(scope: Scope, mode: str, merchant_code: str, day: date | None) -> list[Due]:
    """Return who is due."""
    if mode not in Merchant.SettlementMode.values:
        raise InvalidRequestError(
            errors={"mode": [f"Must be one of {', '.join(Merchant.SettlementMode.values)}."]}
        )
    zones = selectors.time_zones(scope, mode=mode)
    if merchant_code:
        merchant = Merchant.objects.filter(code=merchant_code).first()
        if merchant is None:
            raise NotFoundError("There is no merchant with this code.")
        zones = [merchant.time_zone]
    now = selectors.database_now(scope)
    due: list[Due] = []
    for zone in zones:
        located = Merchant(time_zone=zone)
        period = (
            periods.period_for(mode, located, _effective(mode, now))
            if day is None
            else _period_of_day(mode, located, day, now)
        )
        due += selectors.find_due(
            scope, mode=mode, time_zone=zone, period=period, merchant_code=merchant_code
        )
    return due


def _effective(mode: str, now: datetime) -> datetime:
    return now if mode == Merchant.SettlementMode.REALTIME else now - GRACE


def _period_of_day(mode: str, located: Merchant, day: date, now: datetime) -> periods.Period:
    if mode == Merchant.SettlementMode.REALTIME:
        raise InvalidRequestError(errors={"date": ["Real-time settlement has no period."]})
    if day.year not in YEARS:
        raise InvalidRequestError(errors={"date": ["The year must be between 2000 and 2100."]})
    period = periods.period_on(mode, located, day)
    if period.end > now:
        raise InvalidRequestError(errors={"date": ["The period has not ended yet."]})
    return period


def _lock(scope: Scope, settlement_id: UUID) -> Settlement:
    """Return a settlement after whoever else works on its shop's; :raises NotFoundError:"""
    merchant_id = selectors.get_settlement(scope, settlement_id=settlement_id).merchant_id
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlements_lock(%s)", [merchant_id])
    return selectors.get_settlement(scope, settlement_id=settlement_id)


def _approve(scope: Scope, settlement: Settlement, now: datetime) -> None:
    """Approve a pending settlement and, before it, the debts it carries in.

    Its net holds their fees, so they are taken before it is paid.
    """
    for debt in selectors.list_settlements(scope, merchant_id=settlement.merchant_id).filter(
        carried_to_id=settlement.id, status=Settlement.Status.PENDING
    ):
        _approve(scope, debt, now)
    _post(scope, settlement, "settlement", "fee", settlement.fee)
    settlement.status = Settlement.Status.SETTLED
    settlement.approved_at = now
    settlement.approved_by = context.current().actor[:80]
    settlement.save(update_fields=["status", "approved_at", "approved_by"])
    _record("SETTLEMENT_APPROVED", settlement, fee=show_money(settlement.fee))


def _post(scope: Scope, settlement: Settlement, kind: str, to: str, amount: Decimal) -> None:
    """Move an amount from the shop's account to one of the platform's; a negative one back."""
    if amount:
        receiver = ledger.platform_account(scope, kind=to, unit=settlement.currency)
        ledger.post(
            scope,
            kind=kind,
            reference=settlement.id,
            moves={settlement.merchant.account_id: -amount, receiver: amount},
        )


def _record(action: str, settlement: Settlement, **details: str) -> None:
    audit.record(
        action,
        object_type="settlement",
        object_id=settlement.id,
        details={
            "merchant": settlement.merchant.code,
            "net": show_money(settlement.net),
            **details,
        },
    )


def _refusals(action: str, settlement_id: UUID) -> AbstractContextManager[None]:
    return audit.refusals(action, object_type="settlement", object_id=settlement_id)
