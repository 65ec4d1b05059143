"""Sign-in of members by password."""

from django.contrib.auth.backends import ModelBackend


class MemberBackend(ModelBackend):
    """Placeholder until services exist."""
