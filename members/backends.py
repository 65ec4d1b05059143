"""Authenticate members by password."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from members import services


class MemberBackend(ModelBackend):
    """Members by phone, e-mail or member number.

    It asks for an `identifier`, not a user name: so the console's sign-in passes it by, and staff
    never come in through the members' door.
    """

    def authenticate(  # type: ignore[override]
        self, request: HttpRequest | None, *, identifier: str, password: str
    ) -> User | None:
        """Return the member's user if the password is theirs. One hash, whatever is wrong."""
        return services.check_credentials(identifier=identifier, password=password)
