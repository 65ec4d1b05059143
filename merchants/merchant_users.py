"""Users of a shop, and how its managers manage terminals.

A clerk sees what the shop's tills see; a manager also opens and shuts tills and keeps its webhook
endpoints. What platform staff do with a shop is in `services`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.utils.translation import gettext

from merchants import services
from merchants.models import MerchantUser, Terminal
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, errors, throttle
from mps.base.core.throttle import Guess


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at one shop, and the shop as they may use it."""

    name: str
    is_manager: bool
    shop_name: str
    till: Till


def sign_in(*, name: str, password: str) -> User:
    """Return the user whose name and password these are, if they belong to a shop.

    :raises NotAuthenticatedError: they are wrong, or whose they are belongs to no shop or to staff.
    :raises RateLimitedError: too many were wrong, of this name or from this address.
    """
    name = name.replace("\x00", "")[:150]
    with audit.refusals("SHOP_SIGN_IN_REFUSED", object_type="user", object_id=name):
        guesses = [
            Guess("shop:account", name.lower(), 5, 300),
            Guess("shop:address", context.current().address or "unknown", 30, 60),
        ]
        throttle.count_guesses(guesses)
        user = ModelBackend().authenticate(None, username=name, password=password)
        assert user is None or isinstance(user, User)
        people = find_people(user) if user is not None else []
        if user is None or not people:
            raise errors.NotAuthenticatedError
        throttle.give_guesses_back(guesses)
        act_as(people[0])
        audit.record("SHOP_SIGNED_IN", object_type="user", object_id=name)
    return user


def find_people(user: User) -> list[Person]:
    """Return who somebody is at which shops, by the shops' codes; staff are nobody there.

    By a scope of the platform's: what they may see is not known before.
    """
    if not user.is_active or user.is_staff:
        return []
    with db_scope.principal_scope("platform_admin"):
        found = MerchantUser.objects.filter(user_id=user.pk).select_related("merchant")
        return [_person(each, user.get_username()) for each in found.order_by("merchant__code")]


def list_terminals(*, person: Person) -> list[Terminal]:
    """Return the shop's tills, newest first.

    :raises PermissionDeniedError: clerks may not.
    """
    with (
        _managing(person, "list terminals"),
        db_scope.principal_scope(person.till.role, person.till.principal_id),
    ):
        found = Terminal.objects.filter(merchant_id=person.till.merchant_id)
        return list(found.order_by("-created_at", "-id"))


def open_terminal(*, person: Person, name: str) -> tuple[Terminal, str]:
    """Open a till for a manager's shop; return it with its key, which is not shown again.

    Cash top-ups are owed to the platform: only its staff let a till take them.

    :raises PermissionDeniedError: clerks may not.
    :raises InvalidRequestError: the name is empty or too long.
    """
    with _managing(person, "open terminal"):
        pass
    return services.create_terminal(merchant_id=person.till.merchant_id, name=name)


def rotate_terminal_key(*, person: Person, terminal_id: UUID) -> str:
    """Give a till of a manager's shop a new key and return it; the old one works for a day.

    :raises PermissionDeniedError: clerks may not.
    :raises NotFoundError: there is no such till here, or it was revoked.
    """
    with _managing(person, "rotate terminal key", terminal_id):
        _require_own(person, terminal_id)
    return services.rotate_terminal_key(terminal_id=terminal_id)


def revoke_terminal(*, person: Person, terminal_id: UUID) -> None:
    """Shut a till of a manager's shop out at once, with all its keys.

    :raises PermissionDeniedError: clerks may not.
    :raises NotFoundError: there is no such till here, or it was revoked.
    """
    with _managing(person, "revoke terminal", terminal_id):
        _require_own(person, terminal_id)
    services.revoke_terminal(terminal_id=terminal_id, reason="By the shop.")


def withdraw_user(*, merchant_user_id: UUID, reason: str = "") -> None:
    """Let somebody be nobody at a shop any more, from their next click on. By staff.

    :raises NotFoundError: there is no such right.
    """
    with (
        audit.refusals(
            "MERCHANT_USER_WITHDRAW_REFUSED",
            object_type="merchant_user",
            object_id=merchant_user_id,
        ),
        db_scope.principal_scope("platform_admin"),
    ):
        found = MerchantUser.objects.select_related("user", "merchant")
        right = found.filter(id=merchant_user_id).first()
        if right is None:
            raise errors.NotFoundError("Merchant user not found.")
        about = {
            "user": right.user.get_username(),
            "merchant": right.merchant.code,
            "role": right.role,
            "reason": reason,
        }
        right.delete()
        audit.record(
            "MERCHANT_USER_WITHDRAWN",
            object_type="merchant_user",
            object_id=merchant_user_id,
            details=about,
        )


def _person(right: MerchantUser, name: str) -> Person:
    shop, is_manager = right.merchant, right.role == MerchantUser.Role.MANAGER
    till = Till(
        shop.id,
        shop.code,
        shop.time_zone,
        shop.account_id,
        shop.fee_rate,
        can_manage_webhooks=is_manager,
    )
    return Person(name, is_manager, shop.name, till)


@contextmanager
def _managing(person: Person, act: str, object_id: object = "") -> Iterator[None]:
    """Let a manager do something with the shop's tills; a refusal is recorded."""
    with audit.refusals(
        "TERMINAL_MANAGE_REFUSED",
        object_type="terminal",
        object_id=object_id,
        details={"act": act, "merchant": person.till.merchant_code},
    ):
        if not person.is_manager:
            raise errors.PermissionDeniedError(gettext("Only a manager of the shop can do this."))
        yield


def _require_own(person: Person, terminal_id: UUID) -> None:
    """Refuse another shop's till. A till never changes its shop, so it stays true."""
    with db_scope.principal_scope(person.till.role, person.till.principal_id):
        own = Terminal.objects.filter(id=terminal_id, merchant_id=person.till.merchant_id)
        if not own.exists():
            raise errors.NotFoundError(gettext("Terminal not found."))


def act_as(person: Person) -> None:
    """Name somebody of a shop as the actor of the current request."""
    context.set_actor("merchant_user", f"{person.till.merchant_code}/{person.name}"[:80])
