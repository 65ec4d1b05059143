"""Second factors of staff, based on django-allauth."""

import base64
import hashlib

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib.auth.models import User

from mps.base.core.errors import UnavailableError


class MfaAdapter(DefaultMFAAdapter):
    """allauth's second factors, their secrets unreadable in the database."""

    def encrypt(self, text: str) -> str:
        """Encrypt a secret with a key derived from SECRET_KEY."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Read a secret; :raises UnavailableError: SECRET_KEY was changed without a fallback."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            raise UnavailableError from None


def _fernet() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hashlib.sha256(b"mps.mfa\0" + str(each).encode()).digest() for each in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


def has_second_factor(user: User) -> bool:
    """Return whether somebody can be asked for more than a password."""
    factors = Authenticator.objects.filter(user_id=user.pk)
    return factors.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()


def needs_second_factor(user: User) -> bool:
    """Return whether the password alone is not enough; what somebody has set up always counts."""
    return settings.MPS_STAFF_TOTP or has_second_factor(user)


def forget(user: User) -> int:
    """Let somebody set up a new one at the next sign-in; return how many there were."""
    gone, _models = Authenticator.objects.filter(user_id=user.pk).delete()
    return gone
