"""Passkeys of staff, in addition to what django-allauth provides."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn, parse_registration_response
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from fido2.utils import websafe_encode

from mps.base.core import passkeys as odd_passkeys

# Of what browsers send, certificates of makers are the longest part; this is several times that.
_MAX_CREDENTIAL_LENGTH = 32_000
NOT_ACCEPTED = _("This passkey was not accepted. Please try again.")


@contextmanager
def said_plainly() -> Iterator[None]:
    """Say of whatever is wrong with a passkey that it was not accepted, and no more.

    :raises ValidationError: it was not.
    """
    try:
        with odd_passkeys.odd_is_wrong():
            yield
    except ValidationError:
        raise ValidationError(NOT_ACCEPTED) from None


class CredentialField(forms.JSONField):
    """What a passkey says, as the browser writes it, in a form."""

    def __init__(self) -> None:
        super().__init__(widget=forms.HiddenInput, error_messages={"required": NOT_ACCEPTED})

    def to_python(self, value: Any) -> Any:
        """Return what was sent, parsed."""
        if isinstance(value, str) and len(value) > _MAX_CREDENTIAL_LENGTH:
            raise ValidationError(NOT_ACCEPTED)
        with said_plainly():
            return super().to_python(value)


def of_user(user: User) -> QuerySet[Authenticator]:
    """Return somebody's passkeys, oldest first."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(
        user_id=user.pk, type=Authenticator.Type.WEBAUTHN
    ).order_by("created_at", "id")
    return found


def id_of(credential: Mapping[str, Any]) -> str:
    """Return a new passkey's id as its own attestation tells it, whatever is written beside it."""
    response = parse_registration_response(credential).response
    made = response.attestation_object.auth_data.credential_data
    assert made is not None  # who verified the credential has seen it
    return websafe_encode(made.credential_id)


def staff_have(passkey_id: str) -> bool:
    """Return whether anybody on the staff has the passkey of this id."""
    return Authenticator.objects.filter(
        type=Authenticator.Type.WEBAUTHN, user__is_staff=True, data__credential__rawId=passkey_id
    ).exists()


def add(user: User, name: str, credential: Mapping[str, Any], passkey_id: str) -> None:
    """Keep a passkey; of what it said, only what is needed to know it again.

    :param passkey_id: see `id_of`.
    """
    said = credential["response"]
    kept = {
        "id": passkey_id,
        "rawId": passkey_id,
        "type": "public-key",
        "response": {name: said[name] for name in ("clientDataJSON", "attestationObject")},
        "clientExtensionResults": {},
    }
    WebAuthn.add(user, name, kept)
