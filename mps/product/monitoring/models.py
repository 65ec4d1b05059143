"""Models of incidents and their alerts."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId

_UNTOLD = models.Q(notified_at=None) | models.Q(
    closed_at__isnull=False, resolution_notified_at=None
)


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Incidents by where they stand."""

    def open(self) -> "IncidentQuerySet":
        """Return those that are not over."""
        return self.filter(closed_at=None)

    def untold(self) -> "IncidentQuerySet":
        """Return those of which, or of whose end, somebody still has to be told."""
        return self.filter(_UNTOLD)

    def unclaimed(self) -> "IncidentQuerySet":
        """Return those that nobody is telling of just now."""
        return self.filter(
            models.Q(claimed_until=None) | models.Q(claimed_until__lte=DatabaseNow())
        )


class Incident(models.Model):
    """Something that is wrong. Of each kind one is open at a time."""

    class Kind(models.TextChoices):
        DATABASE = "database", _("the database does not answer")
        REDIS = "redis", _("Redis does not answer")
        FAILED_PAYMENTS = "failed_payments", _("too many payments fail")
        EXPIRED_CODES = "expired_codes", _("too many codes expire unused")
        AUDIT_SILENCE = "audit_silence", _("traffic leaves no audit events")
        AUDIT_UNSEALED = "audit_unsealed", _("audit events are not sealed")
        WEBHOOKS_LATE = "webhooks_late", _("webhooks are late")
        SETTLEMENT_LATE = "settlement_late", _("settlement is late")
        PARTITIONS = "partitions", _("partitions run out")
        QUEUE = "queue", _("the queue grows: is a worker running?")
        JOBS = "jobs", _("jobs do not run: are beat and worker running?")
        RECONCILE = "reconcile", _("the books differ")
        RECONCILE_FULL = "reconcile_full", _("the books differ, by the full check")
        CHECK_FAILED = "check_failed", _("a check cannot be made")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    opened_at = models.DateTimeField(_("opened at"), db_default=DatabaseNow())
    last_seen_at = models.DateTimeField(_("last seen at"), db_default=DatabaseNow())
    closed_at = models.DateTimeField(_("closed at"), null=True)
    details = models.JSONField(_("details"))
    # `opened:email` and the like: which message went out by which channel. A channel that was away
    # is tried again, the others are not.
    told = ArrayField(models.CharField(max_length=20), verbose_name=_("told"), default=list)
    # Whoever tells holds this lease, so that one does; who is killed while telling loses it.
    claimed_until = models.DateTimeField(null=True)
    notified_at = models.DateTimeField(_("all told of it at"), null=True)
    resolution_notified_at = models.DateTimeField(_("all told of its end at"), null=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["kind"],
                condition=models.Q(closed_at=None),
                name="monitoring_incident_one_open_of_a_kind",
            ),
        ]
        indexes = [
            # Those somebody still has to be told of: few, whatever the history.
            models.Index(
                fields=["opened_at"],
                condition=_UNTOLD,
                name="monitoring_incident_untold",
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
