"""Let a member go: the person is forgotten, the trail of the money stays."""

from django.db import connection

from cards.errors import CannotRemoveLastOwnerError, CardNotEmptyError
from members import privacy
from members.selectors import MemberPrincipal
from mps.base.audit import services as audit
from mps.base.core import db_scope


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
        privacy.require_password(member_id=member.member_id, password=password)
        with db_scope.principal_scope("member_app", member.member_id):
            with connection.cursor() as cursor:
                cursor.execute("SELECT cards_erase_member()")
                against = cursor.fetchone()[0]
            if against == "money":
                raise CardNotEmptyError
            if against == "owner":
                raise CannotRemoveLastOwnerError
            privacy.forget_person()
            audit.record("MEMBER_ERASED", object_type="member", object_id=member.member_number)
