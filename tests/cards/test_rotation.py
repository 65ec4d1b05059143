"""Rotation of shared cards' codes, and what is let go of."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import world
from cards import payment_codes, rotation, sharing, tasks
from cards.models import Card
from members.models import Member
from mps.base.core.errors import InvalidRequestError
from tests import factories
from tests.concurrency.racing import run_together
from tests.conftest import url_for
from tests.settlements.helpers import HeldCharge
from tests.snapshots import execute, fetch, last_context, last_event, outcome

ROOT = Path(__file__).resolve().parent.parent.parent


def age(seconds: int) -> None:
    """Let all codes be older by so many seconds."""
    execute(
        "UPDATE cards_paymentcode SET issued_at = issued_at - make_interval(secs => %s),"
        " expires_at = expires_at - make_interval(secs => %s)",
        [seconds, seconds],
    )


def load(database: str, number: int) -> None:
    """Load so many prepaid cards with a live code each."""
    url = url_for(os.environ["DATABASE_OWNER_URL"], database)
    with psycopg.connect(url, autocommit=True) as owner:
        world.load_cards(owner, number, ttl_seconds=900)


def rotated() -> int:
    return int(
        fetch("SELECT count(*) FROM cards_codehistory WHERE outcome IN ('replaced', 'expired')")
    )


@pytest.fixture
def shared(database: str) -> tuple[Member, Member, Card]:
    """A prepaid card of 1000.00, its owner, and a member who is bound to it."""
    owner, _ = factories.make_member()
    friend, _ = factories.make_member()
    card = factories.make_prepaid(owner, "1000.00", fixed_discount="1")
    sharing.bind_member(card_id=card.id, member_id=friend.id)
    return owner, friend, card


# --- the job: rotate shared cards' codes ----------------------------------------------------------


def test_job_rotate_codes_gives_a_bound_member_a_code_that_pays(
    shared: tuple[Member, Member, Card],
) -> None:
    _owner, friend, card = shared
    till = factories.make_till()
    old = factories.make_code(card, friend)
    age(301)

    assert tasks.rotate_codes() == 1

    shown = factories.member_client(friend).get(f"/api/v1/me/cards/{card.number}/code").json()
    assert shown["code"] != old
    assert shown["ttl_seconds"] == 300
    assert outcome(lambda: factories.charge(till, old, "10.00")) == "QR_EXPIRED_OR_INVALID"
    paid = factories.charge(till, shown["code"], "10.00")
    assert (paid.status, paid.body["balance_after"]) == (201, "990.00")


def test_which_ages_are_due(shared: tuple[Member, Member, Card]) -> None:
    _owner, friend, card = shared
    for ttl_seconds, seconds, due in (
        (900, 290, 0),
        (900, 301, 1),
        # Ran out a little while ago, and too long ago.
        (300, 355, 1),
        (300, 365, 0),
        (60, 115, 1),
        (60, 125, 0),
    ):
        factories.make_code(card, friend, ttl_seconds)
        age(seconds)
        before = rotated()

        assert tasks.rotate_codes() == due, (ttl_seconds, seconds)
        assert rotated() == before + due


def test_codes_survive_from_run_to_run(shared: tuple[Member, Member, Card]) -> None:
    owner, friend, card = shared
    factories.make_code(card, friend)
    factories.make_code(card, owner)
    for _ in range(3):
        age(305)
        assert tasks.rotate_codes() == 2


def test_the_old_code_is_in_the_history(shared: tuple[Member, Member, Card]) -> None:
    owner, friend, card = shared
    factories.make_code(card, friend, 300)
    age(310)
    factories.make_code(card, owner)
    age(310)
    execute(
        "UPDATE cards_paymentcode SET expires_at = now() - interval '5 s' WHERE expires_at < now()"
    )
    hashes = fetch("SELECT array_agg(code_hash ORDER BY code_hash) FROM cards_paymentcode")

    assert tasks.rotate_codes() == 2

    assert fetch("SELECT array_agg(code_hash ORDER BY code_hash) FROM cards_codehistory") == hashes
    assert fetch("SELECT array_agg(outcome::text ORDER BY outcome) FROM cards_codehistory") == [
        "expired",
        "replaced",
    ]
    assert (
        fetch(
            "SELECT count(*) FROM cards_codehistory WHERE ended_at > now() OR ended_at > expires_at"
        )
        == 0
    )
    assert last_event()[:1] == ("CODES_ROTATED",)
    assert last_context() == {"codes": 2, "ttl_seconds": 300, "all_live": False}


def test_used_and_revoked_codes_get_no_successor(shared: tuple[Member, Member, Card]) -> None:
    owner, friend, card = shared
    till = factories.make_till()
    factories.charge(till, factories.make_code(card, friend), "10.00")
    factories.make_code(card, owner)
    payment_codes.revoke_code(card_id=card.id, member_id=owner.id)
    age(301)

    assert tasks.rotate_codes() == 0
    assert rotation.rotate_codes(all_live=True) == 0


def test_who_may_not_pay_gets_no_code(shared: tuple[Member, Member, Card]) -> None:
    owner, friend, card = shared
    factories.make_code(card, friend)
    age(301)
    for change, back in (
        ("cards_card SET status = 'frozen'", "cards_card SET status = 'active'"),
        ("cards_card SET expires_at = now()", "cards_card SET expires_at = NULL"),
        (
            f"members_member SET status = 'suspended' WHERE id = '{friend.id}'",
            "members_member SET status = 'active'",
        ),
        (
            f"members_member SET status = 'suspended' WHERE id = '{owner.id}'",
            "members_member SET status = 'active'",
        ),
        (
            "cards_binding SET role = 'viewer' WHERE role = 'member'",
            "cards_binding SET role = 'member' WHERE role = 'viewer'",
        ),
    ):
        execute(f"UPDATE {change}")
        assert tasks.rotate_codes() == 0, change
        assert rotation.rotate_codes(all_live=True) == 0, change
        execute(f"UPDATE {back}")
    execute("DELETE FROM cards_binding WHERE role = 'member'")
    assert tasks.rotate_codes() == 0
    assert rotated() == 0


def test_only_prepaid_and_corporate_cards_rotate(database: str) -> None:
    member, standard = factories.make_member()
    codes = {}
    for card in (standard, factories.make_prepaid(member), factories.make_corporate(member)):
        codes[card.card_type] = factories.make_code(card, member)
    age(301)

    assert tasks.rotate_codes() == 2

    assert fetch(
        "SELECT array_agg(c.card_type::text ORDER BY c.card_type) FROM cards_codehistory h"
        " JOIN cards_card c ON c.id = h.card_id"
    ) == ["COR", "PPD"]


def test_all_live_codes_rotate_however_young_and_no_others(
    shared: tuple[Member, Member, Card],
) -> None:
    owner, friend, card = shared
    factories.make_code(card, owner, 300)
    age(310)
    factories.make_code(card, friend)

    assert rotation.rotate_codes(ttl_seconds=600, all_live=True) == 1

    assert fetch(
        "SELECT expires_at - issued_at FROM cards_paymentcode WHERE member_id = %s", [friend.id]
    ) == timedelta(seconds=600)


def test_a_lifetime_out_of_bounds_is_refused(shared: tuple[Member, Member, Card]) -> None:
    _owner, friend, card = shared
    factories.make_code(card, friend)

    for ttl_seconds in (59, 86_401, -1):
        with pytest.raises(InvalidRequestError):
            rotation.rotate_codes(ttl_seconds=ttl_seconds, all_live=True)

    assert rotated() == 0


# --- at once, and cut short -----------------------------------------------------------------------


def test_fired_together_no_code_is_rotated_twice(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 20)
    load(database, 100)
    age(301)

    counts = run_together([rotation.rotate_codes] * 4, workers=4)

    assert sum(counts) == rotated() == 100  # type: ignore[arg-type]


def rotate_what_was_chosen_twice(database: str) -> list[int]:
    """Choose three codes, and rotate them twice."""
    load(database, 3)
    [chosen] = rotation.find_due(all_live=True)
    return [rotation._rotate(chosen, rotation._make_codes(3), 300) for _ in range(2)]


def test_what_was_rotated_since_it_was_chosen_is_left(database: str) -> None:
    assert rotate_what_was_chosen_twice(database) == [3, 0]


def test_by_an_id_that_stays_it_would_be_rotated_twice(database: str) -> None:
    definition = fetch("SELECT pg_get_functiondef('cards_rotate_codes'::regproc)")
    definition = definition.replace("c.ctid = w.place AND ", "").replace("id = uuidv7(), ", "")
    execute(definition.replace("%", "%%"))

    assert rotate_what_was_chosen_twice(database) == [3, 3]


def test_a_code_that_is_being_charged_is_left_to_the_charge(
    shared: tuple[Member, Member, Card],
) -> None:
    owner, friend, card = shared
    till = factories.make_till()
    code = factories.make_code(card, friend)
    factories.make_code(card, owner)
    age(301)

    with HeldCharge(till, code, "10.00"):
        assert tasks.rotate_codes() == 1

    assert (
        fetch("SELECT outcome FROM cards_paymentcode WHERE member_id = %s", [friend.id]) == "used"
    )


@pytest.mark.parametrize("renew", ["rotate", "issue"])
def test_a_charge_of_the_old_code_does_not_burn_its_successor(
    shared: tuple[Member, Member, Card], renew: str
) -> None:
    _owner, friend, card = shared
    factories.make_code(card, friend)
    looked_at = fetch("SELECT id FROM cards_paymentcode")
    if renew == "rotate":
        assert rotation.rotate_codes(all_live=True) == 1
    else:
        factories.make_code(card, friend)

    assert not fetch("SELECT cards_burn_code(%s)", [looked_at])
    assert fetch("SELECT outcome FROM cards_paymentcode") == ""


def test_a_rotation_killed_half_way_is_finished_by_the_next_run(database: str) -> None:
    load(database, 50)
    age(301)
    script = (
        "import django, os, signal; django.setup()\n"
        "from django.db import connections\n"
        f"connections['default'].settings_dict['NAME'] = {database!r}\n"
        "from cards import rotation\n"
        "from mps.base.core import jobs\n"
        "rotation.BATCH = 20\n"
        "def work():\n"
        "    for progress in rotation.rotate_in_batches():\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "jobs.run('cards.rotate_codes', work)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ.copy(), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert rotated() == 20

    assert tasks.rotate_codes() == "already running"
    execute("UPDATE core_jobrun SET lease_until = now()")
    assert tasks.rotate_codes() == 30

    assert rotated() == 50
    assert tasks.rotate_codes() == 0


def rotate_counting(database: str, number: int) -> int:
    """Rotate so many cards' codes; return how many statements rotated them."""
    load(database, number)
    age(301)
    with CaptureQueriesContext(connection) as queries:
        assert tasks.rotate_codes() == number
    assert rotated() == number
    assert fetch("SELECT count(*) FROM cards_paymentcode WHERE expires_at > now()") == number
    # The run, its first look, the batches, the event: each with its scope, and nothing a card.
    batches = sum("cards_rotate_codes" in each["sql"] for each in queries)
    assert len(queries) <= 4 * (batches + 4)
    return batches


def test_500_cards_rotate_in_one_statement_per_batch(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 200)

    assert rotate_counting(database, 500) == 3


@pytest.mark.long
def test_20000_cards_rotate_in_one_statement_per_batch(database: str) -> None:
    assert rotate_counting(database, 20_000) == 20_000 // rotation.BATCH


# --- by hand --------------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_rotates_all_live_codes(shared: tuple[Member, Member, Card]) -> None:
    owner, friend, card = shared
    factories.make_code(card, owner)
    factories.make_code(card, friend)

    assert run("rotate_codes", "--dry-run") == "2 codes would be rotated.\n"
    assert run("rotate_codes", "--due-only") == "0 codes rotated.\n"
    assert rotated() == 0
    assert run("rotate_codes", "--ttl-seconds", "120") == "2 codes rotated.\n"
    assert rotated() == 2


# --- the job: let go of past codes ----------------------------------------------------------------


def test_job_drop_code_history_drops_months_older_than_30_days(
    shared: tuple[Member, Member, Card],
) -> None:
    _owner, friend, card = shared
    factories.make_code(card, friend)
    factories.make_code(card, friend)
    for months in (2, 3):
        execute(
            "SELECT make_partition('cards_codehistory',"
            " (now() - make_interval(months => %s))::date)",
            [months],
        )
        execute(
            "INSERT INTO cards_codehistory (id, card_id, member_id, code_hash, issued_at,"
            " expires_at, ended_at, outcome) SELECT uuidv7(make_interval(months => -%s)), card_id,"
            " member_id, code_hash, issued_at, expires_at, ended_at, outcome"
            " FROM cards_codehistory LIMIT 1",
            [months],
        )
    assert fetch("SELECT count(*) FROM cards_codehistory") == 3
    would_go = run("drop_code_history", "--dry-run").splitlines()
    assert fetch("SELECT count(*) FROM cards_codehistory") == 3

    assert tasks.drop_code_history() == len(would_go) >= 2

    assert fetch("SELECT count(*) FROM cards_codehistory") == 1
    assert last_event()[:1] == ("CODE_HISTORY_DROPPED",)
    assert len(last_context()["partitions"]) == len(would_go)
    assert tasks.drop_code_history() == 0
    assert run("drop_code_history") == "Nothing is old enough.\n"
    # The months nearer than that are where they were.
    assert fetch("SELECT partition_months_ahead()") >= 3
    assert factories.make_code(card, friend)


def test_nobody_drops_or_rotates_past_the_jobs(database: str) -> None:
    for role in ("mps_web", "merchant_api", "member_app"):
        for function in (
            "cards_drop_code_history(boolean)",
            "cards_rotate_codes(tid[],uuid[],bytea[],text,bytea[],integer)",
        ):
            assert not fetch("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, function])
