"""Staff set when jobs run, and look at their runs."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from mps.base.core import jobs, scheduling
from mps.base.core.scheduling import Scheduler
from mps.celery import app
from tests.snapshots import execute


def test_staff_edit_the_schedule_and_beat_keeps_it(console: Client) -> None:
    Scheduler(app=app)
    rotate = PeriodicTask.objects.get(task="cards.rotate_codes")
    for model in (PeriodicTask, IntervalSchedule, CrontabSchedule):
        name = f"admin:django_celery_beat_{model._meta.model_name}"
        page = reverse(f"{name}_change", args=[model.objects.first().pk])
        assert console.get(reverse(f"{name}_changelist")).status_code == 200
        assert console.get(page).status_code == 200
    seven = IntervalSchedule.objects.create(every=7, period="minutes")
    url = reverse("admin:django_celery_beat_periodictask_change", args=[rotate.pk])
    form = console.get(url).context["adminform"].form
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    values = {name: value for name, value in values.items() if value not in (None, False)}

    answer = console.post(url, {**values, "interval": seven.pk})

    assert answer.status_code == 302, answer.context["adminform"].errors
    Scheduler(app=app)
    rotate.refresh_from_db()
    assert rotate.interval == seven


@pytest.mark.parametrize(
    ("crontab", "words"),
    [
        ({"hour": "18", "minute": "5"}, "Every day at 18:05 (UTC)"),
        ({"hour": "0", "minute": "0", "day_of_week": "sun"}, "Sunday at 00:00 (UTC)"),
        ({"hour": "7", "minute": "30", "day_of_week": "0"}, "Sunday at 07:30 (UTC)"),
        ({"hour": "7", "minute": "30", "day_of_week": "6"}, "Saturday at 07:30 (UTC)"),
        ({"hour": "7", "minute": "30", "day_of_week": "mon-fri"}, "At 07:30 AM, only on Monday"),
        ({"hour": "7", "minute": "0", "day_of_month": "1"}, "on day 1 of the month"),
        ({"hour": "7", "minute": "*/5"}, "Every 5 minutes, between 07:00"),
    ],
)
def test_a_schedule_is_said_in_words(crontab: dict[str, str], words: str) -> None:
    said = scheduling.say(PeriodicTask(crontab=CrontabSchedule(timezone="UTC", **crontab)))

    assert words in said


def test_schedules_are_said_in_the_readers_language() -> None:
    daily = PeriodicTask(crontab=CrontabSchedule(hour="18", minute="5", timezone="UTC"))
    often = PeriodicTask(interval=IntervalSchedule(every=30, period="seconds"))

    with translation.override("zh-hant"):
        assert scheduling.say(daily) == "每天 18:05（UTC）"
        assert scheduling.say(often) == "每 30 秒"


def test_runs_are_shown_and_changed_by_nobody(console: Client) -> None:
    jobs.run("test.shown", lambda: 3)
    jobs.run("test.died", lambda: 3)
    execute(
        "UPDATE core_jobrun SET outcome = 'running', finished_at = NULL, lease_until = now()"
        " WHERE name = 'test.died'"
    )

    page = console.get(reverse("admin:core_jobrun_changelist")).content.decode()

    assert "test.shown" in page
    assert "unfinished" in page
    assert console.get(reverse("admin:core_jobrun_add")).status_code == 403
