"""A past for shops, thousands of transactions of it in seconds: each with its posting by
`ledger_post()`, as the services leave them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import psycopg
from django.db import connections

from cards import pricing
from cards.models import Card
from members.models import Member
from merchants.selectors import Till
from mps.base.core.money import round_money

NOTHING = Decimal("0.00")
_CENT = Decimal("0.01")

# One after the other, each as its service would write it.
_WRITE = """
    DO $$
    DECLARE
        done record;
        ids uuid[] := array_fill(NULL::uuid, ARRAY[(SELECT max(n) FROM past)]);
        tx uuid;
    BEGIN
        FOR done IN SELECT * FROM past ORDER BY n LOOP
            tx := core_new_id();
            ids[done.n] := tx;
            IF cardinality(done.accounts) > 0 THEN
                PERFORM ledger_post(done.kind, tx, done.accounts, done.moves);
            END IF;
            INSERT INTO payments_transaction (
                id, tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no, member_id,
                currency, amount, discount_rate, discount_amount, final_amount, points, fee, payment_method,
                original_id, credited_to, created_at)
            VALUES (
                tx, payments_next_number(done.kind), done.kind,
                CASE WHEN done.failure = '' THEN 'completed' ELSE 'failed' END, done.failure,
                done.merchant, done.terminal, done.card, done.card_no, done.member,
                'TWD', done.amount, round(done.final / nullif(done.amount, 0), 4), done.amount - done.final,
                done.final, done.points, done.fee, done.method, ids[done.original],
                CASE done.kind WHEN 'refund' THEN 'card' ELSE '' END, done.at);
            IF done.kind = 'refund' THEN
                UPDATE payments_transaction SET
                    refunded_total = refunded_total + done.final, refunded_points = refunded_points - done.points,
                    refunded_fee = refunded_fee + done.fee,
                    status = CASE WHEN refunded_total + done.final = final_amount THEN 'refunded' ELSE status END
                WHERE id = ids[done.original];
            ELSIF done.kind = 'adjustment' THEN
                UPDATE payments_transaction SET status = 'cancelled' WHERE id = ids[done.original];
            END IF;
            IF done.failure = '' THEN PERFORM payments_enter_unclaimed(ARRAY[tx]); END IF;
        END LOOP;
    END $$
"""  # noqa: E501
_COLUMNS = (
    "n integer, kind text, failure text, at timestamptz, merchant uuid, terminal uuid, card uuid,"
    " card_no text, member uuid, amount numeric, final numeric, points integer, fee numeric,"
    " method text, original integer, accounts uuid[], moves numeric[]"
)


@dataclass(frozen=True)
class Shop:
    """A shop with what its service knows of it."""

    till: Till
    fee_rate: Decimal


@dataclass(frozen=True)
class Purse:
    """A card and who pays with it; `rate` is its discount."""

    card: Card
    member: Member
    rate: Decimal = Decimal(1)


@dataclass
class Done:
    """A transaction of the past, and what a settlement must make of it."""

    n: int
    kind: str
    at: datetime
    shop: Shop
    purse: Purse
    amount: Decimal
    final: Decimal
    fee: Decimal = NOTHING
    points: int = 0
    method: str = "balance"
    failure: str = ""
    original: "Done | None" = None
    refunded: Decimal = NOTHING
    refunded_fee: Decimal = NOTHING
    refunded_points: int = 0

    @property
    def owed(self) -> Decimal:
        """What it adds to the shop's account in the ledger."""
        if self.failure or self.method not in {"balance", "cash-top-up"}:
            return NOTHING
        return self.final if self.kind in {"payment", "adjustment"} else -self.final


@dataclass
class Past:
    """What is to be written, in the order in which it happens."""

    points_issue: str
    done: list[Done] = field(default_factory=list)

    def pay(
        self,
        shop: Shop,
        purse: Purse,
        amount: Decimal,
        at: datetime,
        *,
        method: str = "balance",
        failure: str = "",
    ) -> Done:
        """A payment, or with `failure` a declined one."""
        final = round_money(amount * purse.rate)
        fee = round_money(final * shop.fee_rate) if method == "balance" and not failure else NOTHING
        points = 0 if failure else int(amount)
        return self._add(
            "payment", shop, purse, amount, at, final=final, fee=fee, points=points, method=method,
            failure=failure,
        )  # fmt: skip

    def refund(self, payment: Done, amount: Decimal, at: datetime) -> Done:
        """A refund of part of a payment, or all."""
        payment.refunded += amount
        shares = [
            pricing.share_of_refund(
                total=whole,
                refunded_after=payment.refunded,
                paid=payment.final,
                given_before=before,
                unit=unit,
            )
            for whole, before, unit in (
                (payment.fee, payment.refunded_fee, _CENT),
                (Decimal(payment.points), Decimal(payment.refunded_points), Decimal(1)),
            )
        ]
        fee, points = shares[0], int(shares[1])
        payment.refunded_fee += fee
        payment.refunded_points += points
        return self._add(
            "refund", payment.shop, payment.purse, amount, at, fee=fee, points=-points,
            method=payment.method, original=payment,
        )  # fmt: skip

    def take_cash(self, shop: Shop, purse: Purse, amount: Decimal, at: datetime) -> Done:
        """A cash top-up at the till."""
        return self._add("recharge", shop, purse, amount, at, method="cash-top-up")

    def undo(self, top_up: Done, at: datetime) -> Done:
        """A cash top-up reversed."""
        return self._add(
            "adjustment", top_up.shop, top_up.purse, top_up.amount, at, method="cash-top-up",
            original=top_up,
        )  # fmt: skip

    def _add(
        self,
        kind: str,
        shop: Shop,
        purse: Purse,
        amount: Decimal,
        at: datetime,
        *,
        final: Decimal | None = None,
        **fields: object,
    ) -> Done:
        done = Done(
            len(self.done) + 1,
            kind,
            at,
            shop,
            purse,
            amount,
            amount if final is None else final,
            **fields,  # type: ignore[arg-type]
        )
        self.done.append(done)
        return done

    def write(self, connection: psycopg.Connection, after: int = 0) -> None:
        """Write what came after the first `after`, as the owner, in one database transaction.

        A refund's original must be written with it.
        """
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE past ({_COLUMNS}) ON COMMIT DROP")
            with cursor.copy("COPY past FROM STDIN") as copy:
                for done in self.done[after:]:
                    copy.write_row(self._row(done))
            cursor.execute(_WRITE)

    def _row(self, done: Done) -> tuple[object, ...]:
        card, till = done.purse.card, done.shop.till
        moves: dict[object, Decimal] = {}
        if done.owed:
            moves = {card.money_account_id: -done.owed, till.account_id: done.owed}
        if done.points:
            moves |= {card.points_account_id: Decimal(done.points)}
            moves |= {self.points_issue: Decimal(-done.points)}
        return (
            done.n, done.kind, done.failure, done.at, till.merchant_id, till.terminal_id, card.id,
            card.number, done.purse.member.id, done.amount, done.final, done.points, done.fee,
            "cash" if done.method == "cash-top-up" else done.method,
            done.original.n if done.original else None, list(moves), list(moves.values()),
        )  # fmt: skip


@contextmanager
def owner(database: str) -> Iterator[psycopg.Connection]:
    """A session of the owner's own, whose database transaction commits at the end."""
    settings = connections["owner"].get_connection_params()
    with psycopg.connect(
        host=settings["host"],
        port=settings["port"],
        user=settings["user"],
        password=settings["password"],
        dbname=database,
        options="-c TimeZone=UTC",
    ) as connection:
        yield connection


@dataclass
class Figures:
    """What a settlement of some transactions must say."""

    gross: Decimal = NOTHING
    refunds: Decimal = NOTHING
    cash_topups: Decimal = NOTHING
    fee: Decimal = NOTHING
    tx_count: int = 0


def figures_of(done: Iterable[Done]) -> Figures:
    """Add up by hand what a settlement adds up in SQL."""
    sums = Figures()
    for each in done:
        if each.failure:
            continue
        sums.tx_count += 1
        match each.kind, each.method:
            case "payment", "balance":
                sums.gross += each.final
                sums.fee += each.fee
            case "refund", "balance":
                sums.refunds += each.final
                sums.fee -= each.fee
            case "recharge", _:
                sums.cash_topups += each.final
            case "adjustment", _:
                sums.cash_topups -= each.final
    return sums
