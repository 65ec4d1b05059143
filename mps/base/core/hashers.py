"""Password hashing."""

from django.conf import settings
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher


class MpsBCryptSHA256PasswordHasher(BCryptSHA256PasswordHasher):
    """bcrypt over SHA-256, so that a password of any length counts in full;

    Cost 12 unless a test lowers it.
    """

    rounds = settings.MPS_BCRYPT_COST
