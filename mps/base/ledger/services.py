"""Post to the ledger through its database function, the only writer."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import connection

from mps.base.core.db_scope import Scope


@dataclass(frozen=True, slots=True)
class Posted:
    """What `post` did: the posting and the balances it left, by account, where one is kept."""

    posting_id: UUID
    balances: Mapping[UUID, Decimal]


class OverdraftError(Exception):
    """An account lacks the balance; nothing was posted."""

    def __init__(self, account_id: UUID) -> None:
        super().__init__(f"account {account_id} lacks the balance")
        self.account_id = account_id


def open_account(scope: Scope, *, kind: str, unit: str) -> UUID:
    """Open an account and return its id."""
    return _one(scope, "SELECT ledger_open_account(%s, %s)", [kind, unit])


def platform_account(scope: Scope, *, kind: str, unit: str) -> UUID:
    """Return the platform's account of this kind and unit, opened at its first use."""
    return _one(scope, "SELECT ledger_platform_account(%s, %s)", [kind, unit])


def lock_balances(scope: Scope, account_ids: list[UUID]) -> dict[UUID, Decimal]:
    """Lock the accounts that keep a balance, in id order, until the scope ends.

    Return their balances.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, balance FROM ledger_lock_accounts(%s::uuid[])", [account_ids]
        )
        return dict(cursor.fetchall())


def post(scope: Scope, *, kind: str, reference: UUID, moves: Mapping[UUID, Decimal]) -> Posted:
    """Write one balanced posting; lock the accounts in id order.

    :param kind: what happened, in the poster's words.
    :param reference: what it is about; the ledger does not look inside.
    :param moves: signed amount by account; they sum to zero per unit, none is zero.
    :raises OverdraftError: if an account would go below zero; nothing was written.
    """
    accounts = list(moves)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT posting_id, refused_account, balances"
            " FROM ledger_post(p_kind => %s, p_reference => %s, p_accounts => %s::uuid[],"
            " p_amounts => %s::numeric[])",
            [kind, reference, accounts, list(moves.values())],
        )
        posting_id, refused_account, balances = cursor.fetchone()
    if refused_account is not None:
        raise OverdraftError(refused_account)
    kept = {
        account: balance
        for account, balance in zip(accounts, balances, strict=True)
        if balance is not None
    }
    return Posted(posting_id, kept)


def _one(scope: Scope, sql: str, parameters: list[str]) -> UUID:
    scope.require_open()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        value: UUID = cursor.fetchone()[0]
    return value
