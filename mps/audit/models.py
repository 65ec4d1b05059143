"""The append-only log of who did what.

Read-only here; `audit_record()` in the database is the writer.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.core.database import NewId


class Event(models.Model):
    """One sensitive act, done or refused."""

    id = models.UUIDField(primary_key=True, db_default=NewId(), editable=False)
    happened_at = models.DateTimeField(_("happened at"))
    actor_type = models.CharField(_("kind of actor"), max_length=20)
    actor = models.CharField(_("actor"), max_length=80)
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("kind of object"), max_length=40)
    object_id = models.CharField(_("object"), max_length=80)
    context = models.JSONField(_("context"))
    request_id = models.CharField(_("request"), max_length=64)
    address = models.CharField(_("address"), max_length=45)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
