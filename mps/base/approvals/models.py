"""Models of four-eyes requests."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow, NewId


class Approval(models.Model):
    """An act of the console that waits for a second pair of eyes, or did.

    What was asked for never changes; the state goes forward only (a trigger sees to it).
    """

    class State(models.TextChoices):
        REQUESTED = "requested", _("waiting")
        APPROVED = "approved", _("approved, under way")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")
        DONE = "done", _("done")
        FAILED = "failed", _("approved, refused by the system")

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    act = models.CharField(_("act"), max_length=120)
    subject = models.CharField(_("on what"), max_length=200)
    payload = models.JSONField(_("exactly what"))
    payload_hash = models.CharField(_("its SHA-256"), max_length=64)
    reason = models.CharField(_("reason"), max_length=200)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("asked for by"),
    )
    created_at = models.DateTimeField(_("asked for at"), db_default=DatabaseNow())
    expires_at = models.DateTimeField(_("expires at"))
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.REQUESTED
    )
    checker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    result = models.CharField(_("what came of it"), max_length=1000, default="")

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.subject}"
