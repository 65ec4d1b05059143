"""Register members with a standard card, and erase their personal data."""

from django.db import connection
from django.http import HttpRequest

from cards import issuing
from cards.errors import CannotRemoveLastOwnerError, CardNotEmptyError
from cards.models import Card
from members import identity_proofs, passwords, rate_limits
from members import services as members
from members.identity_proofs import Claim
from members.models import Member
from members.selectors import MemberPrincipal
from mps.base.audit import services as audit
from mps.base.core import db_scope, throttle
from mps.base.core.db_scope import Scope


def register_member(
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    provider: str = "",
    external_id: str = "",
    vouched: bool = True,
) -> tuple[Member, Card]:
    """Take in a member together with their standard card, in one database transaction.

    :param provider: with `external_id`: an identity that was proved, or that a service key vouches
        for.
    :param vouched: whether the caller vouches for phone and e-mail.
    :raises InvalidRequestError: a field is not as it must be.
    :raises AlreadyExistsError: phone or e-mail belongs to a member.
    :raises ExternalIdAlreadyBoundError: the external identity does.
    """
    with audit.refusals("REGISTRATION_REFUSED", object_type="member", object_id=""):
        new = members.check_registration(
            name=name,
            phone=phone,
            email=email,
            password=password,
            provider=provider,
            external_id=external_id,
            vouched=vouched,
        )
        # The new member acts on their own behalf: the id is made first and sees only itself.
        with db_scope.principal_scope("member_app", new.id) as scope:
            member = members.add_member(scope, new)
            card = issuing.issue_standard_card(scope, owner_id=member.id)
            audit.record(
                "MEMBER_REGISTERED",
                object_type="member",
                object_id=member.number,
                details={"card": card.number, "provider": provider},
            )
    members.send_first_codes(new)
    return member, card


def sign_up(
    *,
    request: HttpRequest,
    name: str,
    phone: str = "",
    email: str = "",
    password: str,
    identity: Claim | None = None,
) -> tuple[Member, Card]:
    """Register whoever comes and vouches for nothing: a provider's token proves an identity.

    Counted before anything is hashed; a registration that succeeds is not.

    :raises InvalidCredentialsError: the provider does not confirm the identity.
    :raises RateLimitedError: too many registrations from this address failed.
    """
    with audit.refusals("REGISTRATION_REFUSED", object_type="member", object_id=""):
        guesses = rate_limits.registration()
        throttle.count_guesses(guesses)
        external_id = (
            identity_proofs.prove_identity(request=request, **identity)
            if identity is not None
            else ""
        )
    member_and_card = register_member(
        name=name,
        phone=phone,
        email=email,
        password=password,
        provider=identity["provider"] if identity is not None else "",
        external_id=external_id,
        vouched=False,
    )
    throttle.give_guesses_back(guesses)
    return member_and_card


def erase_member(*, member: MemberPrincipal, password: str) -> None:
    """Erase a member at their own wish. It cannot be undone.

    Their cards are closed and bindings end; name, phone, e-mail, identities, password, PIN and
    sign-ins are forgotten; member number and transactions stay.

    :raises InvalidCredentialsError: the password is wrong.
    :raises RateLimitedError: it was wrong too often.
    :raises CardNotEmptyError: a card of theirs holds money, which is to be paid out first.
    :raises CannotRemoveLastOwnerError: others use a card that nobody else owns.
    """
    with audit.refusals(
        "MEMBER_ERASE_REFUSED", object_type="member", object_id=member.member_number
    ):
        passwords.require_password(member_id=member.member_id, password=password)
        with db_scope.principal_scope("member_app", member.member_id) as scope:
            _leave_cards(scope)
            _forget_person(scope)
            audit.record("MEMBER_ERASED", object_type="member", object_id=member.member_number)


def _leave_cards(scope: Scope) -> None:
    """Close the cards of the member of the scope, or hand them to another owner; end bindings.

    :raises CardNotEmptyError: one holds money.
    :raises CannotRemoveLastOwnerError: others use one that nobody else owns.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_erase_member()")
        against = cursor.fetchone()[0]
    if against == "money":
        raise CardNotEmptyError
    if against == "owner":
        raise CannotRemoveLastOwnerError


def _forget_person(scope: Scope) -> None:
    """Forget who the member of the scope is, and all they sign in with. Their number stays."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT members_erase()")
