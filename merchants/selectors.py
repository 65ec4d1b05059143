"""Look up shops and terminals."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from merchants.models import Merchant
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import NotFoundError
from mps.base.core.keys import PresentedKey


@dataclass(frozen=True, slots=True)
class Till:
    """A shop, and the terminal it acts through; no terminal when a trusted backend acts for it.

    Also what a terminal's request is authenticated as: role and `principal_id` open its scope.
    """

    merchant_id: UUID
    merchant_code: str
    time_zone: str
    account_id: UUID
    fee_rate: Decimal
    terminal_id: UUID | None = None
    terminal_name: str = ""
    can_top_up: bool = False
    can_manage_webhooks: bool = False
    require_signature: bool = False
    # It showed a code nobody ever had, minutes ago.
    guessed_lately: bool = False

    role: db_scope.Role = "merchant_api"
    is_authenticated: bool = True

    @property
    def principal_id(self) -> UUID:
        """Whose rows it sees: the merchant's."""
        return self.merchant_id


def find_till_by_key(key: PresentedKey) -> Till | None:
    """Return the till that holds this key, if the key may be used now.

    One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT merchant_id, merchant_code, merchant_time_zone,"
            " merchant_account_id, merchant_fee_rate, terminal_id, terminal_name, can_top_up,"
            " can_manage_webhooks, require_signature, guessed_lately"
            " FROM merchants_authenticate_terminal(%s, %s)",
            [key.id, key.secret_hash],
        )
        row = cursor.fetchone()
    return Till(*row) if row else None


@dataclass(frozen=True, slots=True)
class Signer:
    """A terminal that says it signed a request, and what its signature is checked with."""

    till: Till
    sealed_signing_key: bytes
    sealed_by: str
    read_at: datetime


def find_signer(key_id: UUID) -> Signer | None:
    """Return the till of a key that may be used now. It has proved nothing yet.

    One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sealed_signing_key, sealed_by, read_at,"
            " merchant_id, merchant_code, merchant_time_zone,"
            " merchant_account_id, merchant_fee_rate, terminal_id, terminal_name, can_top_up,"
            " can_manage_webhooks, require_signature, guessed_lately"
            " FROM merchants_terminal_of_key(%s)",
            [key_id],
        )
        row = cursor.fetchone()
    return Signer(Till(*row[3:]), bytes(row[0]), row[1], row[2]) if row else None


def name_of(scope: Scope, merchant_id: UUID) -> tuple[str, str]:
    """Return a shop's code and name, which everybody may know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT code, name FROM merchants_name(%s)", [merchant_id])
        code, name = cursor.fetchone()
    return code, name


def get_till_of_merchant(merchant_code: str) -> Till:
    """Return a shop as a till without terminal, for a trusted backend.

    :raises NotFoundError: there is no such shop.
    """
    return _till(code=merchant_code)


def get_till(*, merchant_id: UUID) -> Till:
    """Return a shop as a till without terminal, by its id.

    :raises NotFoundError: there is no such shop.
    """
    return _till(id=merchant_id)


def _till(**which: Any) -> Till:
    with db_scope.principal_scope("platform_admin"):
        merchant = Merchant.objects.filter(**which).first()
    if merchant is None:
        raise NotFoundError("Merchant not found.")
    return Till(
        merchant.id,
        merchant.code,
        merchant.time_zone,
        merchant.account_id,
        merchant.fee_rate,
        can_top_up=True,
    )
