"""Beat's schedule: written into the database once, and from there on the staff's."""

from typing import Any

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_celery_beat import schedulers
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

# The framework's own, of which ours are made.
_Entry: Any = schedulers.ModelEntry
_Scheduler: Any = schedulers.DatabaseScheduler
# A crontab counts from Sunday or names the day, the framework counts from Monday.
_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS = {name: number for number, name in enumerate(_NAMES)}
_DAYS |= {str((number + 1) % 7): number for number in range(7)}


class Entry(_Entry):  # type: ignore[misc]
    """A job and when it runs."""

    @classmethod
    def from_entry(cls, name: str, app: Any = None, **entry: Any) -> Any:
        """Return the job `name` as it is in the database; only a new one is made of the settings.

        The framework's own would take the settings' times again at each start of beat, whatever
        staff had changed in the console.
        """
        known = PeriodicTask.objects.filter(name=name).first()
        if known is not None:
            return cls(known, app=app)
        return super().from_entry(name, app=app, **entry)


class Scheduler(_Scheduler):  # type: ignore[misc]
    """Beat with the database's schedule."""

    Entry = Entry


def say(task: PeriodicTask) -> str:
    """Return when a job runs, in the reader's language."""
    if task.crontab:
        return say_crontab(task.crontab)
    if task.interval:
        return _say_interval(task.interval)
    return str(task.scheduler)


def say_crontab(crontab: CrontabSchedule) -> str:
    """Return the usual schedules in words, any other as its library reads it."""
    minute, hour, weekday = crontab.minute, crontab.hour, crontab.day_of_week.lower()
    all_days = (crontab.day_of_month, crontab.month_of_year) == ("*", "*")
    usual = minute.isdecimal() and hour.isdecimal() and all_days
    if not usual or weekday not in {"*", *_DAYS}:
        return str(crontab.human_readable)
    said = {"time": f"{int(hour):02}:{int(minute):02}", "zone": crontab.timezone}
    if weekday == "*":
        return _("Every day at %(time)s (%(zone)s)") % said
    return _("%(weekday)s at %(time)s (%(zone)s)") % {**said, "weekday": WEEKDAYS[_DAYS[weekday]]}


def _say_interval(interval: IntervalSchedule) -> str:
    """Return how often, by the one unit it is written in."""
    every = interval.every
    texts = {
        "days": ngettext("Every %(n)s day", "Every %(n)s days", every),
        "hours": ngettext("Every %(n)s hour", "Every %(n)s hours", every),
        "minutes": ngettext("Every %(n)s minute", "Every %(n)s minutes", every),
        "seconds": ngettext("Every %(n)s second", "Every %(n)s seconds", every),
    }
    return texts.get(interval.period, str(interval)) % {"n": every}
