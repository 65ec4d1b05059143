"""Model of service keys."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow


class ServiceKey(models.Model):
    """A trusted backend's key: `mps.s<id>.<secret>`; only the secret's SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=80)
    secret_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(_("made at"), db_default=DatabaseNow(), editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("service key")
        verbose_name_plural = _("service keys")

    def __str__(self) -> str:
        return self.name
