"""The append-only log of who did what.

Read-only here; `audit_record()` and `audit_seal_events()` in the database are the writers.
"""

from django.contrib.postgres.fields import ArrayField
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


class Seal(models.Model):
    """A link of the chain: the events it holds, their hashes, and the digest of the one before."""

    number = models.BigIntegerField(_("number"), primary_key=True)
    previous_digest = models.BinaryField(_("previous digest"))
    digest = models.BinaryField(_("digest"), unique=True)
    count = models.IntegerField(_("events"))
    first_event_id = models.UUIDField(_("first event"))
    last_event_id = models.UUIDField(_("last event"))
    event_ids = ArrayField(models.UUIDField(), verbose_name=_("events in order"))
    event_hashes = ArrayField(models.BinaryField(), verbose_name=_("their hashes"))
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta:
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")

    def __str__(self) -> str:
        return f"seal {self.number}"
