"""Models of job runs and other records of the platform's own work."""

import re

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId


def kind_of(model: type[models.Model]) -> str:
    """Return what the audit log calls rows of a model, such as `webhook_endpoint`."""
    return re.sub("(?<!^)(?=[A-Z])", "_", model.__name__).lower()


class JobRun(models.Model):
    """A run of a job. Written by `mps.base.core.jobs` only."""

    class Outcome(models.TextChoices):
        RUNNING = "running", _("running")
        OK = "ok", _("done")
        FAILED = "failed", _("failed")
        UNFINISHED = "unfinished", _("unfinished")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    name = models.CharField(_("job"), max_length=80)
    started_at = models.DateTimeField(_("started at"), db_default=DatabaseNow())
    lease_until = models.DateTimeField(_("taken for dead from"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.RUNNING
    )
    result = models.JSONField(_("result"), null=True)
    error = models.CharField(_("error"), max_length=80, default="")

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")

    def __str__(self) -> str:
        return f"{self.name} {localtime(self.started_at):%F %T}"
