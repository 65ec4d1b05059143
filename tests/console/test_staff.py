"""People who work here: signing in, their accounts, and the schedule of jobs."""

import uuid
from random import randrange

from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cards.models import Card
from tests.console.conftest import PASSWORD, staff_client
from tests.console.helpers import events, list_url, page_url

LOGIN = reverse("admin:login")


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


def test_signing_in_and_out_is_audited(boss) -> None:
    client = Client(REMOTE_ADDR=new_address())

    refused = client.post(LOGIN, {"username": "boss", "password": "wrong"})
    done = client.post(LOGIN, {"username": "boss", "password": PASSWORD})
    client.post(reverse("admin:logout"))

    assert refused.status_code == 200
    assert done.status_code == 302
    assert [(each.action, each.object_id) for each in events()] == [
        ("STAFF_SIGN_IN_REFUSED", "boss"),
        ("STAFF_SIGNED_IN", "boss"),
        ("STAFF_SIGNED_OUT", "boss"),
    ]
    assert [each.actor for each in events()] == ["", "boss", "boss"]


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
