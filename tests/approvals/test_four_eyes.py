"""What weighs much takes two people: one asks, another agrees to exactly that, once."""

import io
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.test import Client

from cards.models import Card
from cards.selectors import balances_of
from members.models import Member
from merchants.models import Merchant
from mps.base import console as console_parts
from mps.base.approvals import services, tasks
from mps.base.approvals.models import Approval
from mps.base.core import errors
from mps.base.core.db_scope import principal_scope
from settlements.models import Settlement
from tests.concurrency.racing import run_together
from tests.console.conftest import (  # noqa: F401 -- fixtures
    PASSWORD,
    boss,
    console,
    enter,
    staff_client,
    world,
)
from tests.console.helpers import (
    act,
    act_url,
    count_postings,
    events,
    fresh,
    list_url,
    page_url,
    texts,
)
from tests.pages.test_shop import settle
from tests.snapshots import execute, fetch, outcome


@pytest.fixture(autouse=True)
def four_eyes(settings) -> None:
    settings.MPS_FOUR_EYES = True


@pytest.fixture
def other(database: str) -> Client:
    """The console with a second superuser signed in."""
    client = Client()
    enter(client, User.objects.create_superuser("checker", password=PASSWORD))
    return client


def asked() -> Approval:
    """Return the latest request."""
    with principal_scope("platform_admin"):
        return Approval.objects.select_related("maker", "checker").order_by("-id")[0]


def names() -> list[str]:
    return [each.action for each in events() if each.action.startswith("APPROVAL_")]


def ask_for_points(client: Client, card: Card, points: int = 5000) -> Approval:
    done = act(client, Card, "adjust-points", card, delta_points=str(points), reason="sorry")
    assert "It takes effect when someone else approves it" in texts(done)[0]
    return asked()


def agree(client: Client, approval: Approval) -> Any:
    return act(client, Approval, "approve", approval, payload_hash=approval.payload_hash)


# --- what needs it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Card, "unfreeze"),
        (Card, "activate"),
        (Card, "limits"),
        (Member, "limits"),
        (Merchant, "limits"),
        (Settlement, "mark-paid"),
    ],
)
def test_these_always_need_it(model: Any, name: str) -> None:
    found = console_parts.find_act(model, name)
    assert found is not None
    assert found.four_eyes(None, {})


@pytest.mark.parametrize("name", ["top-up", "cash-out"])
def test_money_needs_it_above_a_threshold(name: str) -> None:
    found = console_parts.find_act(Card, name)
    assert found is not None
    limit = django_settings.MPS_FOUR_EYES_AMOUNT
    assert not found.four_eyes(None, {"amount": limit})
    assert found.four_eyes(None, {"amount": limit + 1})


def test_a_few_points_are_given_by_one(console: Client, world) -> None:  # noqa: F811
    act(console, Card, "adjust-points", world.prepaid, delta_points="1000", reason="sorry")

    assert balances_of(world.prepaid)[1] == 1090
    assert names() == []


# --- asking and agreeing --------------------------------------------------------------------------


def test_many_points_wait_until_another_agrees(
    console: Client,  # noqa: F811
    other: Client,
    world,  # noqa: F811
) -> None:
    approval = ask_for_points(console, world.prepaid)
    assert balances_of(world.prepaid)[1] == 90
    page = other.get(page_url(approval)).content.decode()
    assert all(part in page for part in ("Adjust points", "5000", str(world.prepaid), "sorry"))

    agreed = agree(other, approval)

    assert balances_of(world.prepaid)[1] == 5090
    assert "points changed by +5000" in texts(agreed)[0]
    done = asked()
    assert (done.state, done.maker.username, done.checker.username) == ("done", "boss", "checker")
    assert names() == ["APPROVAL_REQUESTED", "APPROVAL_APPROVED"]
    assert [each.actor for each in events() if each.action in names()] == ["boss", "checker"]
    assert [each.actor for each in events("POINTS_ADJUSTED")] == ["checker"]
    assert events("APPROVAL_APPROVED")[0].context["maker"] == "boss"


def test_nobody_agrees_with_themselves(console: Client, world) -> None:  # noqa: F811
    approval = ask_for_points(console, world.prepaid)
    before = count_postings()

    refused = agree(console, approval)

    assert refused.status_code == 403
    assert texts(refused) == ["Someone else must approve this."]
    assert (asked().state, count_postings()) == ("requested", before)
    assert names() == ["APPROVAL_REQUESTED", "APPROVAL_REFUSED"]


def test_who_may_not_do_it_may_not_agree_to_it(console: Client, world) -> None:  # noqa: F811
    approval = ask_for_points(console, world.prepaid)
    clerk = staff_client("approvals.change_approval", "cards.view_card")

    assert agree(clerk, approval).status_code == 403

    assert asked().state == "requested"
    assert balances_of(world.prepaid)[1] == 90


def test_it_is_done_once_however_often_agreed(
    console: Client,  # noqa: F811
    other: Client,
    world,  # noqa: F811
) -> None:
    approval = ask_for_points(console, world.prepaid)
    form = {"token": "0" * 32, "payload_hash": approval.payload_hash}
    url = page_url(approval).replace("change/", "act/approve/")

    def send() -> int:
        client = Client()
        client.cookies = other.cookies
        return client.post(url, form).status_code

    answers = run_together([send] * 4)

    assert sorted(answers) == [302, 400, 400, 400]
    assert balances_of(world.prepaid)[1] == 5090
    assert len(events("APPROVAL_APPROVED")) == 1


def test_what_another_saw_is_what_is_done(console: Client, other: Client, world) -> None:  # noqa: F811
    approval = ask_for_points(console, world.prepaid)

    refused = act(other, Approval, "approve", approval, payload_hash="0" * 64)

    assert refused.status_code == 400
    assert (asked().state, balances_of(world.prepaid)[1]) == ("requested", 90)
    with pytest.raises(DatabaseError, match="approvals_approval"):
        execute("UPDATE approvals_approval SET payload = '{}' WHERE id = %s", [approval.id])


def test_unfreezing_many_is_one_request(console: Client, other: Client, world) -> None:  # noqa: F811
    for card in (world.prepaid, world.corporate):
        act(console, Card, "freeze", card, reason="lost")
    url = page_url(world.prepaid).replace(f"{world.prepaid.pk}/change/", "act/unfreeze/")
    form = {"id": [world.prepaid.pk, world.corporate.pk], "token": "1" * 32, "reason": "found"}

    console.post(url, form)
    console.post(url, form)

    assert fetch("SELECT count(*) FROM approvals_approval") == 1
    agree(other, asked())
    assert {fresh(each).status for each in (world.prepaid, world.corporate)} == {"active"}


def test_a_refusal_of_the_service_is_written_down(
    console: Client,  # noqa: F811
    other: Client,
    world,  # noqa: F811
) -> None:
    approval = ask_for_points(console, world.prepaid, -5000)
    before = count_postings()

    said = agree(other, approval)

    assert "The card does not have enough points." in texts(said)[0]
    assert (asked().state, count_postings()) == ("failed", before)
    assert "not have enough points" in asked().result
    assert len(events("POINTS_ADJUST_REFUSED")) == 1
    assert agree_status(other, approval) == 400


def agree_status(client: Client, approval: Approval) -> int:
    form = {"token": "2" * 32, "payload_hash": approval.payload_hash}
    url = page_url(approval).replace("change/", "act/approve/")
    return int(client.post(url, form).status_code)


def test_rejecting_and_withdrawing(console: Client, other: Client, world) -> None:  # noqa: F811
    first = ask_for_points(console, world.prepaid)
    act(other, Approval, "reject", first, reason="too much")
    assert (asked().state, asked().checker.username) == ("rejected", "checker")
    second = ask_for_points(console, world.prepaid, 6000)
    act(console, Approval, "reject", second, reason="mistake")
    assert (asked().state, asked().checker.username) == ("rejected", "boss")

    assert [agree_status(other, each) for each in (first, second)] == [400, 400]
    assert balances_of(world.prepaid)[1] == 90
    assert [each.context["reason"] for each in events("APPROVAL_REJECTED")] == [
        "too much",
        "mistake",
    ]


def test_a_request_expires(console: Client, other: Client, world, settings) -> None:  # noqa: F811
    settings.MPS_APPROVAL_TTL_SECONDS = 1
    approval = ask_for_points(console, world.prepaid)
    fetch("SELECT pg_sleep(1.1)::text")

    assert agree_status(other, approval) == 400

    assert tasks.expire() == 1
    assert tasks.expire() == 0
    assert asked().state == "expired"
    assert agree_status(other, approval) == 400
    assert balances_of(world.prepaid)[1] == 90
    assert names() == [
        "APPROVAL_REQUESTED",
        "APPROVAL_REFUSED",
        "APPROVAL_EXPIRED",
        "APPROVAL_REFUSED",
    ]
    out = io.StringIO()
    call_command("expire_approvals", stdout=out)
    assert out.getvalue() == "0 requests closed.\n"


# --- the database's own guard ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE approvals_approval SET state = 'done'",
        "UPDATE approvals_approval SET state = 'expired', decided_at = now()",
        "UPDATE approvals_approval SET state = 'approved', checker_id = maker_id,"
        " decided_at = now()",
        "UPDATE approvals_approval SET reason = 'x'",
        "UPDATE approvals_approval SET maker_id = maker_id + 1",
        "INSERT INTO approvals_approval (act, subject, payload, payload_hash, reason, maker_id,"
        " expires_at, state, checker_id, decided_at, result) SELECT act, subject, payload,"
        " payload_hash, reason, maker_id, expires_at, 'approved', maker_id, now(), ''"
        " FROM approvals_approval",
        "DELETE FROM approvals_approval",
        "TRUNCATE approvals_approval",
    ],
)
def test_not_even_the_owner_goes_round_it(console: Client, world, sql: str) -> None:  # noqa: F811
    ask_for_points(console, world.prepaid)

    with pytest.raises(DatabaseError):
        execute(sql)

    assert asked().state == "requested"


@pytest.mark.parametrize("role", ["merchant_api", "member_app"])
def test_members_and_shops_see_none(console: Client, world, role: str) -> None:  # noqa: F811
    ask_for_points(console, world.prepaid)

    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT set_config('role', %s, true)", [role])
        with pytest.raises(DatabaseError, match="permission denied"):
            cursor.execute("SELECT FROM approvals_approval")
        cursor.execute("ROLLBACK")


def test_a_defect_leaves_it_failed_and_not_repeatable(console: Client, world) -> None:  # noqa: F811
    approval = ask_for_points(console, world.prepaid)
    checker = User.objects.create_superuser("checker", password=PASSWORD)

    def explode(_: Approval) -> services.Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        services.approve(
            approval_id=approval.id,
            payload_hash=approval.payload_hash,
            checker=checker,
            execute=explode,
        )

    assert (asked().state, asked().result) == ("failed", "ZeroDivisionError")
    with pytest.raises(errors.InvalidRequestError):
        services.approve(
            approval_id=approval.id,
            payload_hash=approval.payload_hash,
            checker=checker,
            execute=explode,
        )


def test_there_is_nothing_to_decide_on(boss: User) -> None:  # noqa: F811
    nobody = Approval(id=fetch("SELECT uuidv7()"))

    assert (
        outcome(lambda: services.reject(approval_id=nobody.id, reason="x", checker=boss))
        == "NOT_FOUND"
    )


def test_pages_name_the_act_and_the_figures_not_their_codes(console: Client, world) -> None:  # noqa: F811
    # given
    approval = ask_for_points(console, world.prepaid)
    settlement = settle(world.till)

    # when
    listed = console.get(list_url(Approval)).content.decode()
    opened = console.get(page_url(approval)).content.decode()
    first = console.get("/admin/").content.decode()
    confirmed = console.get(act_url(Settlement, "approve", settlement)).content.decode()

    # then
    for page in (listed, opened, first):
        assert "Adjust points (card)" in page
        assert "cards.card:adjust-points" not in page
    assert f"{settlement.currency} {settlement.net:,}" in confirmed
    assert f"{settlement.currency} {settlement.fee:,}" in confirmed
