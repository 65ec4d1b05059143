"""Models of members, their external identities and their tokens."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from mps.base.core.database import DatabaseNow
from mps.base.core.spending_limits import Limited


class Member(Limited):
    """Somebody who holds cards.

    Signs in as the Django user it is linked to, which has no staff rights.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(_("member number"), max_length=12, unique=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="member", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=80)
    phone = models.CharField(_("phone"), max_length=20, null=True, blank=True, unique=True)
    email = models.EmailField(_("e-mail"), max_length=254, null=True, blank=True, unique=True)
    # When whoever reads there proved to be this member, or a trusted backend said so.
    phone_verified_at = models.DateTimeField(_("phone verified at"), null=True, blank=True)
    email_verified_at = models.DateTimeField(_("e-mail verified at"), null=True, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE
    )
    status_reason = models.CharField(_("reason of the status"), max_length=200, blank=True)
    # Who wished to be forgotten does not come back.
    erased_at = models.DateTimeField(_("erased at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("registered at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(number__regex=r"^M[0-9]{8,}$"),
                name="members_member_number_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended"]),
                name="members_member_status_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(erased_at=None) | models.Q(status="suspended"),
                name="members_member_erased_stays_suspended",
            ),
            models.CheckConstraint(
                condition=models.Q(email=None) | models.Q(email=Lower("email")),
                name="members_member_email_lower",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Pin(models.Model):
    """What a member types to approve a payment; only its bcrypt hash is kept."""

    member = models.OneToOneField(
        Member, models.CASCADE, primary_key=True, related_name="pin", verbose_name=_("member")
    )
    pin_hash = models.CharField(max_length=128)
    set_at = models.DateTimeField(_("set at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("PIN")
        verbose_name_plural = _("PINs")

    def __str__(self) -> str:
        return f"PIN of {self.member_id}"


class ExternalIdentity(models.Model):
    """Who a member is at a provider, such as a WeChat openid."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="identities", verbose_name=_("member")
    )
    provider = models.CharField(_("provider"), max_length=30)
    external_id = models.CharField(_("external id"), max_length=128)
    created_at = models.DateTimeField(_("bound at"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("external identity")
        verbose_name_plural = _("external identities")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"], name="members_identity_once"
            ),
            models.UniqueConstraint(
                fields=["member", "provider"], name="members_identity_one_per_provider"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.external_id}"


class MemberToken(models.Model):
    """A member's bearer token: `mps.m<id>.<secret>`; only the secret's SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    member = models.ForeignKey(
        Member, models.CASCADE, related_name="tokens", verbose_name=_("member")
    )
    secret_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(_("made at"), db_default=DatabaseNow(), editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True, default="")

    class Meta:
        verbose_name = _("member token")
        verbose_name_plural = _("member tokens")

    def __str__(self) -> str:
        return f"{self.member_id} until {self.expires_at:%F %T}"


class OneTimeCode(models.Model):
    """A code sent to a phone or an e-mail address, to be typed once.

    The digits are derived from `nonce` under a key that is not in the database.
    """

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in", _("sign in")
        VERIFY = "verify", _("verify")
        RESET = "reset", _("reset the password")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose.choices)
    destination = models.CharField(_("destination"), max_length=254)
    # Whose; none: the destination is nobody's, and nothing was sent.
    member = models.ForeignKey(
        Member, models.CASCADE, null=True, related_name="+", verbose_name=_("member")
    )
    nonce = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(_("made at"), db_default=DatabaseNow(), editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    tries = models.SmallIntegerField(_("tries"), default=0)

    class Meta:
        verbose_name = _("one-time code")
        verbose_name_plural = _("one-time codes")
        indexes = [
            models.Index(fields=["destination", "purpose"], name="members_code_destination"),
            models.Index(fields=["expires_at"], name="members_code_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} until {self.expires_at:%F %T}"
