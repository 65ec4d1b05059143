"""People who work here: signing in, their accounts, and the schedule of jobs."""

import base64
import hmac
import re
import struct
import time
import uuid
from random import randrange
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cards.models import Card
from mps.base.staff import sessions
from tests.console.conftest import PASSWORD, staff_client
from tests.console.helpers import events, list_url, page_url

LOGIN = reverse("admin:login")
SECOND = reverse("admin:second_factor")


def new_address() -> str:
    """An address nobody tried from: limits outlive a test."""
    return f"10.{randrange(256)}.{randrange(256)}.{randrange(256)}"


def test_guessing_is_limited(boss) -> None:
    name = f"boss-{uuid.uuid4().hex[:8]}"
    User.objects.filter(pk=boss.pk).update(username=name)
    wrong = {"username": name, "password": "wrong"}
    answers = [Client(REMOTE_ADDR=new_address()).post(LOGIN, wrong) for _ in range(6)]

    right = Client(REMOTE_ADDR=new_address()).post(LOGIN, {**wrong, "password": PASSWORD})

    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert right.status_code == 429
    assert int(right["Retry-After"]) > 0
    assert [each.context["error"] for each in events()][-2:] == ["RATE_LIMITED"] * 2


def totp(secret: str, steps: int = 0) -> str:
    """What an authenticator app shows, by RFC 6238; `steps` of 30 seconds ahead."""
    counter = struct.pack(">Q", int(time.time()) // 30 + steps)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def give_password(client: Client, name: str = "boss") -> Any:
    return client.post(LOGIN, {"username": name, "password": PASSWORD})


def enrol(client: Client, name: str = "boss") -> tuple[str, list[str]]:
    """Sign in for the first time; return the secret and the recovery codes."""
    give_password(client, name)
    page = client.get(SECOND).content.decode()
    secret = re.search(r'id="totp-secret">([A-Z2-7]{32})<', page)
    assert secret
    done = client.post(SECOND, {"code": totp(secret.group(1))})
    codes = re.findall(r"<li>([0-9]{8})</li>", done.content.decode())
    assert len(codes) == 10
    return secret.group(1), codes


def new_client() -> Client:
    return Client(REMOTE_ADDR=new_address())


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def test_the_first_sign_in_leads_to_enrolment_and_nowhere_else(boss) -> None:
    client = new_client()

    answer = give_password(client)

    assert answer["Location"] == SECOND
    for url in (reverse("admin:index"), list_url(User), reverse("admin:recovery_codes")):
        assert client.get(url)["Location"].startswith(LOGIN)
    assert "totp-secret" in client.get(SECOND).content.decode()


def test_enrolment_signs_in_and_shows_recovery_codes_once(boss) -> None:
    client = new_client()

    secret, codes = enrol(client)

    assert is_in(client)
    assert codes[0] not in client.get(reverse("admin:recovery_codes")).content.decode()
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert [(each.action, each.object_id, each.actor) for each in events()] == [
        ("STAFF_SIGNED_IN", "boss", "boss"),
        ("SECOND_FACTOR_SET_UP", "boss", "boss"),
    ]


def test_signing_in_and_out_is_audited(boss) -> None:
    secret, _codes = enrol(new_client())
    client, before = new_client(), len(events())

    refused = client.post(LOGIN, {"username": "boss", "password": "wrong"})
    asked = give_password(client)
    not_in = is_in(client)
    wrong = client.post(SECOND, {"code": "000000"})
    done = client.post(SECOND, {"code": totp(secret, 1)})
    client.post(reverse("admin:logout"))

    assert (refused.status_code, wrong.status_code, not_in) == (200, 200, False)
    assert (asked["Location"], done["Location"]) == (SECOND, reverse("admin:index"))
    assert [(each.action, each.actor) for each in events()][before:] == [
        ("STAFF_SIGN_IN_REFUSED", ""),
        ("STAFF_SIGN_IN_REFUSED", ""),
        ("STAFF_SIGNED_IN", "boss"),
        ("STAFF_SIGNED_OUT", "boss"),
    ]
    assert {each.object_id for each in events()} == {"boss"}
    assert not is_in(client)


def test_a_code_opens_once(boss) -> None:
    secret, _codes = enrol(new_client())
    code = totp(secret, 1)
    first, second = new_client(), new_client()
    for client in (first, second):
        give_password(client)

    first.post(SECOND, {"code": code})
    second.post(SECOND, {"code": code})

    assert (is_in(first), is_in(second)) == (True, False)


def test_a_recovery_code_opens_once_and_new_ones_end_the_old(boss) -> None:
    _secret, codes = enrol(new_client())
    first, second = new_client(), new_client()
    for client in (first, second):
        give_password(client)
        client.post(SECOND, {"code": codes[0]})
    assert (is_in(first), is_in(second)) == (True, False)

    made = first.post(reverse("admin:recovery_codes")).content.decode()

    assert codes[1] not in made
    second.post(SECOND, {"code": codes[1]})
    assert not is_in(second)
    second.post(SECOND, {"code": re.findall(r"<li>([0-9]{8})</li>", made)[0]})
    assert is_in(second)
    assert len(events("RECOVERY_CODES_MADE")) == 1


def test_guessing_the_second_factor_is_limited(boss) -> None:
    name = f"boss-{uuid.uuid4().hex[:8]}"
    User.objects.filter(pk=boss.pk).update(username=name)
    secret, _codes = enrol(new_client(), name)
    answers = []
    for _ in range(3):
        client = new_client()
        give_password(client, name)
        answers += [client.post(SECOND, {"code": "000000"}).status_code for _ in range(2)]

    right = client.post(SECOND, {"code": totp(secret, 1)})

    assert answers == [200] * 5 + [429]
    assert right.status_code == 429
    assert not is_in(client)


def test_a_right_password_counts_for_ten_minutes(boss) -> None:
    client = new_client()
    give_password(client)

    with time_machine.travel(time.time() + sessions.PENDING_SECONDS + 5, tick=True):
        assert client.get(SECOND)["Location"] == LOGIN


def test_a_right_password_counts_for_nothing_once_it_is_changed(boss) -> None:
    client = new_client()
    give_password(client)
    boss.set_password("another-password-1")
    boss.save()

    assert client.get(SECOND)["Location"] == LOGIN


@pytest.mark.parametrize(("after", "used", "live"), [
    (29 * 60, False, True),
    (31 * 60, False, False),
    (8 * 3600 - 60, True, True),
    (8 * 3600 + 60, True, False),
])  # fmt: skip
def test_a_session_ends_when_unused_and_after_a_working_day(
    console: Client, after: int, used: bool, live: bool
) -> None:
    now = time.time()
    if used:
        for moment in range(0, after, 25 * 60):
            with time_machine.travel(now + moment):
                assert is_in(console)

    with time_machine.travel(now + after):
        assert is_in(console) is live


def test_a_session_of_another_door_is_none_here(boss) -> None:
    client = Client()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")

    assert not is_in(client)


def test_the_demonstration_needs_a_password_only_until_a_factor_is_set_up(boss, settings) -> None:
    settings.MPS_STAFF_TOTP = False
    client = new_client()

    assert give_password(client)["Location"] == reverse("admin:index")
    assert "no two-step verification" in client.get(reverse("admin:index")).content.decode()

    settings.MPS_STAFF_TOTP = True
    enrol(new_client())
    settings.MPS_STAFF_TOTP = False
    assert give_password(new_client())["Location"] == SECOND


def test_who_lost_everything_is_let_in_by_an_operator(boss) -> None:
    client = new_client()
    enrol(client)

    call_command("reset_second_factor", "boss")

    assert not is_in(client)
    enrol(client)
    assert is_in(client)
    assert [each.context for each in events("SECOND_FACTOR_RESET")] == [{"factors": 2}]
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "nobody")
    assert len(events("SECOND_FACTOR_RESET_REFUSED")) == 1


def test_a_member_never_enters_whatever_the_flags_say(world) -> None:
    user = world.member.user
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])

    answer = give_password(new_client(), user.username)

    assert answer.status_code == 403
    assert [each.context["error"] for each in events("STAFF_SIGN_IN_REFUSED")] == [
        "PERMISSION_DENIED"
    ]


def test_members_do_not_sign_in_here(world) -> None:
    member = world.member

    for name in (member.number, member.phone, member.email, member.user.username):
        client = Client(REMOTE_ADDR=new_address())
        answer = client.post(LOGIN, {"username": name, "password": PASSWORD})
        assert answer.status_code == 200

    assert len(events("STAFF_SIGN_IN_REFUSED")) == 4


def test_accounts_of_members_are_not_shown(console: Client, world) -> None:
    assert world.member.user.username not in console.get(list_url(User)).content.decode()
    assert console.get(page_url(world.member.user)).status_code == 302


def test_adding_and_changing_staff_is_audited(console: Client) -> None:
    console.post(
        list_url(User, "add"),
        {
            "username": "clerk",
            "usable_password": "true",
            "password1": "pass-word-77",
            "password2": "pass-word-77",
        },
    )
    clerk = User.objects.get(username="clerk")
    console.post(page_url(clerk), {"username": "clerk", "is_active": "on", "is_staff": "on"})
    console.post(
        reverse("admin:auth_user_password_change", args=[clerk.pk]),
        {
            "usable_password": "true",
            "password1": "pass-word-88",
            "password2": "pass-word-88",
        },
    )

    clerk.refresh_from_db()
    assert clerk.is_staff
    assert clerk.check_password("pass-word-88")
    assert len(events("USER_ADDED")) == 1
    changes = [each.context for each in events("USER_CHANGED")]
    assert changes[0] == {"is_staff": {"before": False, "after": True}}
    assert len(changes) == 2
    assert "pass-word" not in str([each.context for each in events()])


def test_changing_the_own_password_is_audited(console: Client) -> None:
    answer = console.post(
        reverse("admin:password_change"),
        {
            "old_password": PASSWORD,
            "new_password1": "pass-word-88",
            "new_password2": "pass-word-88",
        },
    )

    assert answer.status_code == 302
    assert console.get(reverse("admin:index")).status_code == 200
    assert events("USER_CHANGED")[0].context == {"password": "changed"}


def test_only_superusers_grant_rights(boss) -> None:
    client = staff_client("auth.change_user", "auth.view_user")
    clerk = User.objects.get(username="clerk")

    client.post(
        page_url(clerk),
        {"username": "clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on"},
    )
    on_boss = client.post(page_url(boss), {"username": "mine", "is_active": "on"})
    password = client.post(
        reverse("admin:auth_user_password_change", args=[boss.pk]),
        {"usable_password": "true", "password1": "pass-word-88", "password2": "pass-word-88"},
    )

    clerk.refresh_from_db()
    boss.refresh_from_db()
    assert not clerk.is_superuser
    assert on_boss.status_code == password.status_code == 403
    assert boss.username == "boss"
    assert boss.check_password(PASSWORD)


def test_groups_give_rights(console: Client, world) -> None:
    look = Permission.objects.get(codename="view_card")
    delete = Permission.objects.get(codename="delete_card")

    refused = console.post(list_url(Group, "add"), {"name": "Desk", "permissions": [delete.pk]})
    console.post(list_url(Group, "add"), {"name": "Desk", "permissions": [look.pk]})

    assert refused.status_code == 200
    desk = Group.objects.get(name="Desk")
    assert list(desk.permissions.all()) == [look]
    assert len(events("GROUP_ADDED")) == 1
    client = staff_client()
    clerk = User.objects.get(username="clerk")
    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "groups": [desk.pk]}
    console.post(page_url(clerk), form)
    assert events("USER_CHANGED")[0].context == {"groups": {"before": [], "after": ["Desk"]}}
    assert client.get(list_url(Card)).status_code == 200


def test_schedule_of_jobs(console: Client) -> None:
    console.post(list_url(IntervalSchedule, "add"), {"every": "5", "period": "minutes"})
    every = IntervalSchedule.objects.get(every=5, period="minutes")
    form = {"name": "Job", "task": "a.b", "enabled": "on", "interval": every.pk}
    form |= {"args": "[]", "kwargs": "{}", "headers": "{}"}
    added = console.post(list_url(PeriodicTask, "add"), form)
    assert added.status_code == 302
    job = PeriodicTask.objects.get(name="Job")
    console.post(page_url(job), {**form, "name": "Job 2"})
    console.post(
        list_url(PeriodicTask), {"action": "disable_tasks", "_selected_action": [str(job.pk)]}
    )

    job.refresh_from_db()
    assert (job.name, job.enabled) == ("Job 2", False)
    actions = [each.action for each in events()]
    assert actions == [
        "INTERVAL_SCHEDULE_ADDED",
        "PERIODIC_TASK_ADDED",
        "PERIODIC_TASK_CHANGED",
        "PERIODIC_TASK_DISABLED",
    ]
