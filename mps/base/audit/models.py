"""Models of the append-only audit log.

Read-only here; `audit_record()` and `audit_seal_events()` in the database are the writers.
"""

from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.context import ActorType
from mps.base.core.database import NewId
from mps.base.core.models import kind_of

_ACTORS: dict[ActorType, Any] = {
    "anonymous": _("Nobody signed in"),
    "member": _("Member"),
    "terminal": _("Till"),
    "service": _("Service"),
    "staff": _("Staff"),
    "merchant_user": _("Shop's user"),
    "system": _("System"),
}
# What is no row of a table, goes by a shorter name, or by a name that another has, too.
_OBJECTS = {
    "approval": _("approval"),
    "binding": _("binding"),
    "code": _("payment code"),
    "function": _("function"),
    "order": _("order"),
    "partition": _("partition"),
    "top_up": _("top-up"),
    "top_up_provider": _("provider of top-ups"),
}


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

    @property
    def who(self) -> str:
        """Who acted, in the reader's language."""
        kind = _ACTORS.get(self.actor_type, self.actor_type)  # type: ignore[call-overload]
        return f"{kind} {self.actor}".strip()

    @property
    def about(self) -> str:
        """What kind of thing it was done to, in the reader's language."""
        return str(_objects().get(self.object_type, self.object_type))


@cache
def _objects() -> dict[str, Any]:
    """Return the kinds by the names events have for them: as a rule a model's, in small letters."""
    return {kind_of(each): each._meta.verbose_name for each in apps.get_models()} | _OBJECTS


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
