"""Console pages of scheduled jobs."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from mps.base import console
from mps.base.core import jobs, scheduling
from mps.base.core.models import JobRun

# The framework's own pages, of which ours are made.
_TaskSelect: Any = beat.TaskSelectWidget
_TaskForm: Any = beat.PeriodicTaskForm
_TaskAdmin: Any = beat.PeriodicTaskAdmin

# A member's e-mail address is on the member's page; the framework's own table is not used. Second
# factors are nobody's to look at.
for _model in (
    Authenticator,
    EmailAddress,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


# What the schedule calls a job, by the task's name.
_NAMES = {each["task"]: name for name, each in jobs.scheduled().items()}


class TaskSelect(UnfoldAdminSelectWidget, _TaskSelect):  # type: ignore[misc]
    """The registered jobs, in the console's looks."""


class PeriodicTaskForm(_TaskForm):  # type: ignore[misc]
    """A job and when it runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(console.ConsoleAdmin, _TaskAdmin):  # type: ignore[misc]
    """When which job runs."""

    form = PeriodicTaskForm
    # The framework's own has a script in the page, which our policy forbids.
    change_form_template = "admin/change_form.html"
    can_add = True
    date_hierarchy = None
    list_display = ("shown_name", "enabled", "shown_schedule", "shown_last_run")
    list_filter = (("enabled", BooleanRadioFilter), ("one_off", BooleanRadioFilter))
    ordering = ("name",)
    history_fields = ("name",)
    readonly = ("last_run_at", "crontab_translation")
    actions = ("enable_tasks", "disable_tasks", "run_tasks")
    editable = (
        "name",
        "regtask",
        "task",
        "enabled",
        "description",
        "interval",
        "crontab",
        "solar",
        "clocked",
        "start_time",
        "one_off",
        "args",
        "kwargs",
        "expires",
        "expire_seconds",
        "queue",
        "exchange",
        "routing_key",
        "priority",
        "headers",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what only the scheduler writes."""
        return (
            self.readonly
            if self.has_change_permission(request, obj)
            else (super().get_readonly_fields(request, obj))
        )

    @console.shown(_("name"), ordering="name")
    def shown_name(self, obj: Any) -> str:
        """Show the name; that of a job of ours in the reader's language."""
        return gettext(obj.name)

    @console.shown(_("schedule"))
    def shown_schedule(self, obj: Any) -> Any:
        """Show when it runs."""
        return scheduling.say(obj)

    @console.shown(_("last run"))
    def shown_last_run(self, obj: Any) -> str:
        """Show when it was last sent off."""
        return console.moment(obj.last_run_at)

    @console.shown(_("description"))
    def crontab_translation(self, obj: Any) -> str:
        """Say a crontab in words."""
        return scheduling.say_crontab(obj.crontab) if obj is not None and obj.crontab else "–"

    @admin.action(description=_("Enable"), permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Let jobs run again."""
        self._record_many("ENABLED", queryset)
        super().enable_tasks(request, queryset)

    @admin.action(description=_("Disable"), permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Stop jobs."""
        self._record_many("DISABLED", queryset)
        super().disable_tasks(request, queryset)

    @admin.action(description=_("Run now"), permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Run jobs once, now."""
        self._record_many("RUN", queryset)
        super().run_tasks(request, queryset)

    def _record_many(self, what: str, queryset: QuerySet[Any]) -> None:
        for each in queryset:
            self._record(what, each, {"task": each.task})


@admin.register(JobRun)
class JobRunAdmin(console.LogAdmin):
    """What ran, when, and what came of it."""

    list_display = ("shown_name", "started_at", "shown_seconds", "show_outcome", "shown_result")
    date_hierarchy = "started_at"
    list_filter = ("outcome", ("started_at", console.DayByIdFilter))
    search_fields = ("name",)
    search_help_text = _("Job")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "show_outcome",
                    "started_at",
                    "finished_at",
                    "lease_until",
                    "result",
                    "error",
                )
            },
        ),
    )

    @console.shown(_("job"), ordering="name")
    def shown_name(self, obj: JobRun) -> str:
        """Show what the schedule calls it, in the reader's language; else its own name."""
        return gettext(_NAMES[obj.name]) if obj.name in _NAMES else obj.name

    @console.shown(_("seconds"), figures=True)
    def shown_seconds(self, obj: JobRun) -> str:
        """Show how long it took."""
        if obj.finished_at is None:
            return "–"
        return number_format((obj.finished_at - obj.started_at).total_seconds(), 2)

    @console.shown(_("result"))
    def shown_result(self, obj: JobRun) -> str:
        """Show what came of it, or what went wrong."""
        if isinstance(obj.result, dict):
            return ", ".join(f"{name}: {value}" for name, value in obj.result.items())
        return obj.error or ("–" if obj.result is None else str(obj.result))

    @console.shown(_("outcome"))
    def show_outcome(self, obj: JobRun) -> Any:
        """Say how it ended; a running one whose lease ran out has not."""
        outcome = obj.outcome
        if outcome == JobRun.Outcome.RUNNING and obj.lease_until <= timezone.now():
            outcome = JobRun.Outcome.UNFINISHED
        return console.badge(
            outcome,
            JobRun.Outcome(outcome).label,
            {"running": "info", "ok": "success", "failed": "danger", "unfinished": "warning"},
        )


class ScheduleAdmin(console.ConsoleAdmin):
    """Times at which jobs run."""

    can_add = True
    ordering = ("id",)


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ScheduleAdmin):
    """Every so often."""

    list_display = ("__str__", "every", "period")
    editable = ("every", "period")
    fieldsets = ((None, {"fields": editable}),)


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ScheduleAdmin):
    """At certain times."""

    list_display = ("__str__", "shown_words")
    editable = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")
    fieldsets = ((None, {"fields": editable}),)

    @console.shown(_("description"))
    def shown_words(self, obj: Any) -> str:
        """Say it in words."""
        return scheduling.say_crontab(obj)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ScheduleAdmin):
    """At one time."""

    list_display = ("clocked_time",)
    editable = ("clocked_time",)
    fieldsets = ((None, {"fields": editable}),)


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ScheduleAdmin):
    """By the sun."""

    list_display = ("__str__", "event", "latitude", "longitude")
    editable = ("event", "latitude", "longitude")
    fieldsets = ((None, {"fields": editable}),)
