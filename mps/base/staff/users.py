"""Select the users who are staff: those that no other app claims as its own."""

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from mps.base.core.db_scope import Scope

_conditions: list[Q] = []


def require(condition: Q) -> None:
    """Let an app say what is true of users who work here, such as that they are no member."""
    _conditions.append(condition)


def working_here(users: QuerySet[User]) -> QuerySet[User]:
    """Return those of the users who work here."""
    return users.filter(*_conditions)


def may_sign_in(scope: Scope, user: User) -> bool:
    """Return whether nothing is known that keeps a user out."""
    return working_here(User.objects.filter(pk=user.pk)).exists()
