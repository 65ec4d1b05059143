"""Settling by itself and by hand: every shop that is due, once, whatever happens on the way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from merchants.selectors import Till
from mps.base.core.errors import InvalidRequestError, NotFoundError, UnavailableError
from settlements import services, tasks
from settlements.models import Settlement
from tests import factories
from tests.settlements import helpers
from tests.snapshots import execute

ZONES = ("Asia/Taipei", "America/New_York", "Europe/Berlin")


@pytest.fixture
def shops(database: str) -> list[Till]:
    """A shop of each mode in each of three time zones, each with a payment of three days ago."""
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    tills = [
        factories.make_till(settlement_mode=mode, time_zone=zone)
        for mode in ("realtime", "t_plus_1", "monthly")
        for zone in ZONES
    ]
    for till in tills:
        helpers.pay(till, card, member, "10.00")
    move_to_the_past("40 days")
    return tills


def move_to_the_past(span: str) -> None:
    """Let everything have happened so long ago."""
    execute("ALTER TABLE payments_transaction DISABLE TRIGGER USER")
    execute(f"UPDATE payments_transaction SET created_at = created_at - interval '{span}'")
    execute("ALTER TABLE payments_transaction ENABLE TRIGGER USER")
    execute(f"UPDATE payments_unclaimed SET created_at = created_at - interval '{span}'")


def settlements() -> list[tuple[Any, ...]]:
    """Return merchant, mode, start, end of every settlement."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT merchant_id, mode, period_start, period_end FROM settlements_settlement"
        )
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("task", "mode"),
    [
        (tasks.settle_realtime, "realtime"),
        (tasks.settle_t_plus_1, "t_plus_1"),
        (tasks.settle_monthly, "monthly"),
    ],
)
def test_each_task_settles_the_shops_of_its_mode_once(
    shops: list[Till], task: Any, mode: str
) -> None:
    assert task() == 3
    assert task() == 0

    made = settlements()
    assert {row[1] for row in made} == {mode}
    assert len(made) == 3
    now = datetime.now(UTC)
    for merchant_id, _mode, start, end in made:
        till = next(each for each in shops if each.merchant_id == merchant_id)
        local = end.astimezone(ZoneInfo(till.time_zone))
        assert end <= now
        if mode != "realtime":
            assert (local.hour, local.minute) == (0, 0)
        if mode == "monthly":
            assert local.day == 1
        assert start < end


def test_runs_at_once_settle_once(shops: list[Till]) -> None:
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: run_and_close(), range(4)))

    assert len(settlements()) == 3
    assert sum(counts) >= 3


def run_and_close() -> int:
    try:
        return services.settle_all_due(mode="t_plus_1")
    finally:
        connections.close_all()


def test_a_run_cut_short_is_finished_by_the_next(shops: list[Till]) -> None:
    run: Iterator[services.Outcome] = services.settle_due(mode="t_plus_1")
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert len(settlements()) == 1

    assert tasks.settle_t_plus_1() == 2
    assert len(settlements()) == 3


def test_one_shop_that_cannot_be_settled_keeps_no_other_from_it(
    shops: list[Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shops[3]
    real = services.generate_settlement

    def broken(*, merchant_id: Any, **fields: Any) -> Settlement:
        if merchant_id == first.merchant_id:
            raise UnavailableError
        return real(merchant_id=merchant_id, **fields)

    monkeypatch.setattr(services, "generate_settlement", broken)
    outcomes = list(services.settle_due(mode="t_plus_1"))

    assert {outcome.due.merchant_id: outcome.error for outcome in outcomes} == {
        first.merchant_id: "UNAVAILABLE",
        shops[4].merchant_id: "",
        shops[5].merchant_id: "",
    }
    assert len(settlements()) == 2


def test_yesterday_waits_for_ten_past_midnight(
    shops: list[Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2031, 5, 5, 16, tzinfo=UTC)  # in Taipei
    ends = []
    for minutes in (9, 10):
        now = midnight + timedelta(minutes=minutes)
        monkeypatch.setattr(services.selectors, "database_now", lambda _scope, now=now: now)
        due = list(
            services.settle_due(mode="t_plus_1", merchant_code=shops[3].merchant_code, dry_run=True)
        )
        ends.append(due[0].due.period.end)

    assert ends == [midnight - timedelta(days=1), midnight]


def test_a_shop_without_anything_new_is_not_due(database: str) -> None:
    factories.make_till(settlement_mode="realtime")

    assert list(services.settle_due(mode="realtime")) == []


# --- the command ---------------------------------------------------------------------------------


def settle(*arguments: str) -> str:
    out = StringIO()
    call_command("settle", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_how_far_it_is(shops: list[Till]) -> None:
    lines = settle("--mode", "t_plus_1").splitlines()

    assert [line.split("]")[0] for line in lines] == ["[1/3", "[2/3", "[3/3"]
    assert all("1 transactions, net 10.00 TWD" in line for line in lines)
    assert settle("--mode", "t_plus_1") == "Nothing is due.\n"


def test_the_command_for_one_shop_and_one_day(shops: list[Till]) -> None:
    day = (datetime.now(UTC) - timedelta(days=30)).date()

    said = settle("--mode", "t_plus_1", "--merchant", shops[0].merchant_code, "--date", str(day))

    assert f"{shops[0].merchant_code} " in said
    [(merchant_id, _mode, start, _end)] = settlements()
    assert merchant_id == shops[0].merchant_id
    assert start.astimezone(ZoneInfo(shops[0].time_zone)).date() == day


def test_a_dry_run_writes_nothing(shops: list[Till]) -> None:
    before = helpers.state()

    said = settle("--mode", "monthly", "--dry-run")

    assert said.count("would settle 1 transactions") == 3
    assert helpers.state() == before


def test_what_the_command_cannot_do_is_one_sentence(shops: list[Till]) -> None:
    today = str(datetime.now(UTC).date() + timedelta(days=1))
    for arguments in (
        ("--mode", "t_plus_1", "--merchant", "NOBODY"),
        ("--mode", "t_plus_1", "--date", "soon"),
        ("--mode", "t_plus_1", "--date", today),
        ("--mode", "realtime", "--date", "2025-09-29"),
        ("--mode", "monthly", "--date", "1999-01-01"),
    ):
        with pytest.raises(CommandError):
            settle(*arguments)
    with pytest.raises(NotFoundError):
        list(services.settle_due(mode="t_plus_1", merchant_code="NOBODY"))
    with pytest.raises(InvalidRequestError):
        list(services.settle_due(mode="weekly"))

    assert settlements() == []


def test_the_command_fails_when_a_shop_could_not_be_settled(
    shops: list[Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> Settlement:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "generate_settlement", broken)
    out = StringIO()

    with pytest.raises(CommandError, match="3 of 3"):
        call_command("settle", "--mode", "t_plus_1", stdout=out)

    assert "failed: ZeroDivisionError" in out.getvalue()


def test_a_shop_somebody_else_settled_meanwhile_is_said(
    shops: list[Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = services.generate_settlement

    def late(*, merchant_id: Any, **fields: Any) -> Settlement:
        real(merchant_id=merchant_id, **{**fields, "mode": "realtime"})
        return real(merchant_id=merchant_id, **fields)

    monkeypatch.setattr(services, "generate_settlement", late)

    assert settle("--mode", "t_plus_1").count("settled by somebody else meanwhile") == 3
    assert {mode for _merchant, mode, _start, _end in settlements()} == {"realtime"}
