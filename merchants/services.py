"""Create shops and terminals; suspend and reactivate them."""

import uuid
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from merchants import signing
from merchants.errors import MerchantSuspendedError
from merchants.models import Merchant, Terminal, TerminalKey
from merchants.selectors import Till
from mps.base.audit import limits
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, keys
from mps.base.core.database import DatabaseNow
from mps.base.core.days import time_zones
from mps.base.core.db_scope import Scope
from mps.base.core.text_validation import is_text
from mps.base.ledger import services as ledger

MAX_OVERLAP_SECONDS = 30 * 86_400


def create_merchant(
    *,
    code: str,
    name: str,
    contact: str = "",
    settlement_mode: str = Merchant.SettlementMode.T_PLUS_1,
    fee_rate: Decimal = Decimal(0),
    time_zone: str = "",
) -> Merchant:
    """Open a shop with its ledger account.

    :param code: `A-Z 0-9 _ -`, up to 32, starting with a letter or digit; unique.
    :param fee_rate: part of each payment the platform keeps; 0.02 is 2 %.
    :param time_zone: IANA name in which its days begin and end; default `MPS_TIME_ZONE`.
    :raises InvalidRequestError: a value is not as described.
    :raises AlreadyExistsError: the code is taken.
    """
    new = _check_merchant(code, name, contact, settlement_mode, fee_rate, time_zone)
    with (
        audit.refusals("MERCHANT_REFUSED", object_type="merchant", object_id=code),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        return _add_merchant(scope, new)


def open_shop(
    *,
    code: str,
    name: str,
    contact: str = "",
    settlement_mode: str = Merchant.SettlementMode.T_PLUS_1,
    fee_rate: Decimal = Decimal(0),
    time_zone: str = "",
    terminal_name: str,
    can_top_up: bool = False,
    can_manage_webhooks: bool = False,
) -> tuple[Merchant, Terminal, str]:
    """Open a shop with its first till, both or neither; return them with the till's key.

    The parameters are those of `create_merchant` and `create_terminal`.

    :raises InvalidRequestError: a value is not as described.
    :raises AlreadyExistsError: the code is taken.
    """
    new = _check_merchant(code, name, contact, settlement_mode, fee_rate, time_zone)
    _check_terminal_name(terminal_name)
    with (
        audit.refusals("MERCHANT_REFUSED", object_type="merchant", object_id=code),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        merchant = _add_merchant(scope, new)
        terminal, key = _add_terminal(
            scope, merchant.id, terminal_name, can_top_up, can_manage_webhooks
        )
    return merchant, terminal, key


def create_terminal(
    *, merchant_id: UUID, name: str, can_top_up: bool = False, can_manage_webhooks: bool = False
) -> tuple[Terminal, str]:
    """Open a till for a shop; return it with its key, which cannot be shown again.

    :raises NotFoundError: there is no such shop.
    :raises InvalidRequestError: the name is empty or too long.
    """
    with (
        audit.refusals("TERMINAL_CREATE_REFUSED", object_type="merchant", object_id=merchant_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        _check_terminal_name(name)
        if not Merchant.objects.filter(id=merchant_id).exists():
            raise errors.NotFoundError("Merchant not found.")
        return _add_terminal(scope, merchant_id, name, can_top_up, can_manage_webhooks)


def rotate_terminal_key(*, terminal_id: UUID, overlap_seconds: int = 86_400) -> str:
    """Give a till a new key and return it; the old ones stop after `overlap_seconds`.

    :raises NotFoundError: there is no such till, or it was revoked.
    :raises InvalidRequestError: the old keys would work for more than 30 days.
    """
    with (
        audit.refusals(
            "TERMINAL_KEY_ROTATE_REFUSED", object_type="terminal", object_id=terminal_id
        ),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            raise errors.InvalidRequestError(
                errors={"overlap_seconds": [f"Must be from 0 to {MAX_OVERLAP_SECONDS}."]}
            )
        # Two who rotate at once wait here: never are there two keys without an end.
        terminal = (
            Terminal.objects.select_for_update(no_key=True)
            .filter(id=terminal_id, revoked_at=None)
            .first()
        )
        if terminal is None:
            raise errors.NotFoundError("Terminal not found.")
        ends_at = DatabaseNow() + timedelta(seconds=overlap_seconds)
        old = TerminalKey.objects.filter(terminal=terminal, revoked_at=None)
        # Also those rotated out before: with no overlap, nothing old works.
        old.filter(Q(expires_at=None) | Q(expires_at__gt=ends_at)).update(expires_at=ends_at)
        key = _add_key(scope, terminal)
        audit.record(
            "TERMINAL_KEY_ROTATED",
            object_type="terminal",
            object_id=terminal_id,
            details={"overlap_seconds": overlap_seconds},
        )
    return key


def revoke_terminal(*, terminal_id: UUID, reason: str) -> None:
    """Shut a till out at once, with all its keys.

    :raises NotFoundError: there is no such till, or it was revoked before.
    """
    with (
        audit.refusals("TERMINAL_REVOKE_REFUSED", object_type="terminal", object_id=terminal_id),
        db_scope.principal_scope("platform_admin"),
    ):
        if not Terminal.objects.filter(id=terminal_id, revoked_at=None).update(revoked_at=Now()):
            raise errors.NotFoundError("Terminal not found.")
        audit.record(
            "TERMINAL_REVOKED",
            object_type="terminal",
            object_id=terminal_id,
            details={"reason": reason},
        )


def require_signatures(*, terminal_id: UUID, reason: str = "") -> None:
    """Take only signed requests from a till, from its next one on. Safe to repeat.

    :raises NotFoundError: there is no such till, or it was revoked.
    """
    _set_signatures(terminal_id, True, "TERMINAL_SIGNATURES_REQUIRED", reason)


def allow_unsigned(*, terminal_id: UUID, reason: str = "") -> None:
    """Let a till show its key instead of signing its requests. Safe to repeat.

    :raises NotFoundError: there is no such till, or it was revoked.
    """
    _set_signatures(terminal_id, False, "TERMINAL_SIGNATURES_OPTIONAL", reason)


def suspend_merchant(*, merchant_id: UUID, reason: str = "") -> None:
    """Stop a shop from taking payments, top-ups and refunds. Safe to repeat.

    :raises NotFoundError: there is no such shop.
    """
    _set_status(merchant_id, Merchant.Status.SUSPENDED, "MERCHANT_SUSPENDED", reason)


def activate_merchant(*, merchant_id: UUID, reason: str = "") -> None:
    """Let a suspended shop work again. Safe to repeat.

    :raises NotFoundError: there is no such shop.
    """
    _set_status(merchant_id, Merchant.Status.ACTIVE, "MERCHANT_ACTIVATED", reason)


def set_limits(
    *,
    merchant_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what a shop may take; None: no limit.

    :raises NotFoundError: there is no such shop.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    limits.set_limits(
        Merchant.objects.select_for_update().filter(id=merchant_id),
        limit_per_payment=limit_per_payment,
        limit_per_day=limit_per_day,
        reason=reason,
        action="MERCHANT_LIMITS_SET",
        asked=limits.Subject("merchant", merchant_id),
        missing=errors.NotFoundError("Merchant not found."),
        subject=lambda _merchant: limits.Subject("merchant", merchant_id),
    )


def hold_active(scope: Scope, till: Till) -> None:
    """Let only an active shop go on, and keep it so until the scope ends.

    :raises MerchantSuspendedError: the shop is suspended.
    """
    if not hold_status(scope, till):
        raise MerchantSuspendedError


def hold_status(scope: Scope, till: Till) -> bool:
    """Return whether the shop is active, and keep it so until the scope ends.

    Before any lock of a payment.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT merchants_hold_active(%s)", [till.merchant_id])
        return bool(cursor.fetchone()[0])


def _set_signatures(terminal_id: UUID, required: bool, action: str, reason: str) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="terminal", object_id=terminal_id),
        db_scope.principal_scope("platform_admin"),
    ):
        found = Terminal.objects.filter(id=terminal_id, revoked_at=None)
        if not found.update(require_signature=required):
            raise errors.NotFoundError("Terminal not found.")
        audit.record(
            action, object_type="terminal", object_id=terminal_id, details={"reason": reason}
        )


def _set_status(merchant_id: UUID, status: str, action: str, reason: str) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="merchant", object_id=merchant_id),
        db_scope.principal_scope("platform_admin"),
    ):
        merchant = Merchant.objects.select_for_update().filter(id=merchant_id).first()
        if merchant is None:
            raise errors.NotFoundError("Merchant not found.")
        before = merchant.status
        Merchant.objects.filter(id=merchant_id).update(status=status, status_reason=reason[:200])
        audit.record(
            action,
            object_type="merchant",
            object_id=merchant_id,
            details={"before": before, "after": status, "reason": reason},
        )


def _check_merchant(
    code: str, name: str, contact: str, settlement_mode: str, fee_rate: Decimal, time_zone: str
) -> Merchant:
    """Return a shop that may be written; :raises InvalidRequestError: naming what is wrong."""
    time_zone = time_zone or settings.MPS_TIME_ZONE
    wrong: dict[str, list[str]] = {}
    if not Merchant.CODE_PATTERN.fullmatch(code):
        wrong["code"] = [
            "Must be 1 to 32 characters: A-Z 0-9 _ -, starting with a letter or digit."
        ]
    if not _is_name(name):
        wrong["name"] = ["Must be 1 to 80 printable characters."]
    if not is_text(contact, at_least=0, at_most=200):
        wrong["contact"] = ["Must be at most 200 printable characters."]
    if settlement_mode not in Merchant.SettlementMode.values:
        wrong["settlement_mode"] = [f"Must be one of {', '.join(Merchant.SettlementMode.values)}."]
    if not 0 <= fee_rate <= 1 or fee_rate != round(fee_rate, 4):
        wrong["fee_rate"] = ["Must be from 0 to 1, with at most four decimal places."]
    if time_zone not in time_zones():
        wrong["time_zone"] = ["Must be an IANA time zone, such as Asia/Taipei."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    return Merchant(
        code=code,
        name=name.strip(),
        contact=contact,
        settlement_mode=settlement_mode,
        fee_rate=fee_rate,
        time_zone=time_zone,
    )


def _check_terminal_name(name: str) -> None:
    if not _is_name(name):
        raise errors.InvalidRequestError(
            errors={"name": [gettext("Must be 1 to 80 printable characters.")]}
        )


def _is_name(text: str) -> bool:
    return is_text(text, at_most=80)


def _add_merchant(scope: Scope, new: Merchant) -> Merchant:
    """Write a shop with its ledger account."""
    if Merchant.objects.filter(code=new.code).exists():
        raise errors.AlreadyExistsError("A merchant with this code already exists.")
    new.account_id = ledger.open_account(scope, kind="merchant", unit=settings.MPS_CURRENCY)
    new.save(force_insert=True)
    audit.record(
        "MERCHANT_CREATED",
        object_type="merchant",
        object_id=new.id,
        details={"code": new.code, "name": new.name, "fee_rate": str(new.fee_rate)},
    )
    return new


def _add_terminal(
    scope: Scope, merchant_id: UUID, name: str, can_top_up: bool, can_manage_webhooks: bool
) -> tuple[Terminal, str]:
    """Write a till with its key."""
    terminal = Terminal.objects.create(
        merchant_id=merchant_id,
        name=name.strip(),
        can_top_up=can_top_up,
        can_manage_webhooks=can_manage_webhooks,
    )
    key = _add_key(scope, terminal)
    audit.record(
        "TERMINAL_CREATED",
        object_type="terminal",
        object_id=terminal.id,
        details={
            "merchant": str(merchant_id),
            "name": name,
            "can_top_up": can_top_up,
            "can_manage_webhooks": can_manage_webhooks,
        },
    )
    return terminal, key


def _add_key(scope: Scope, terminal: Terminal) -> str:
    key_id = uuid.uuid4()
    key, secret_hash = keys.make_key("t", key_id)
    sealed, sealed_by = signing.seal(key_id, key.rpartition(".")[2])
    TerminalKey.objects.create(
        id=key_id,
        terminal=terminal,
        secret_hash=secret_hash,
        sealed_signing_key=sealed,
        sealed_by=sealed_by,
    )
    return key
