"""Sign in by code or provider; manage sessions, passwords and verified contacts."""

from collections.abc import Mapping
from typing import TypedDict
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.http import HttpRequest

from members import field_checks, identity_proofs, onetime, passwords, profiles, selectors, services
from members.errors import InvalidCredentialsError
from members.models import ExternalIdentity, Member, MemberToken
from members.selectors import MemberPrincipal
from members.services import IssuedToken
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors


class Proof(TypedDict):
    """Who somebody says they are at a provider, and what proves it."""

    provider: str
    proof: Mapping[str, str]


# --- in, by a code -------------------------------------------------------------------------------


def request_sign_in_code(*, identifier: str) -> None:
    """Send a code to a member's verified phone or e-mail; nobody learns whether there is one.

    :raises RateLimitedError: too many messages there, or from here.
    """
    _request_code("sign_in", "SIGN_IN_CODE_REQUESTED", identifier)


def sign_in_by_code(*, identifier: str, code: str) -> IssuedToken:
    """Sign in whoever reads at a phone or an e-mail address.

    :raises InvalidCredentialsError: the code is wrong, used or over, or the address nobody's.
    :raises RateLimitedError: too many were wrong.
    :raises NotAuthenticatedError: a second factor is due.
    """
    destination = selectors.normalise_identifier(identifier)
    try:
        member_id = onetime.redeem_code("sign_in", destination=destination, code=code)
    except errors.MpsError as error:
        services.record_login_failure(identifier=identifier, error=type(error))
        raise
    return services.let_in(user_id=_user_id(member_id))


# --- in, by a provider ---------------------------------------------------------------------------


def sign_in_by_provider(
    *, request: HttpRequest, provider: str, proof: Mapping[str, str]
) -> IssuedToken:
    """Sign in the member whose identity a provider's token proves.

    :raises InvalidCredentialsError: the provider does not confirm it, or it is nobody's.
    :raises UnavailableError: the provider does not answer as it should.
    :raises NotAuthenticatedError: a second factor is due.
    """
    try:
        external_id = identity_proofs.prove_identity(
            request=request, provider=provider, proof=proof
        )
        member = selectors.find_sign_in_by_identity(provider, external_id)
        if member is None:
            raise InvalidCredentialsError("This identity is not linked to a member.")
    except (InvalidCredentialsError, errors.RateLimitedError) as error:
        services.record_login_failure(identifier=provider, error=type(error))
        raise
    return services.let_in(user_id=member.user_id)


def bind_own_identity(
    *, request: HttpRequest, member_id: UUID, provider: str, proof: Mapping[str, str]
) -> ExternalIdentity:
    """Bind an identity to the member who proves that it is theirs.

    :raises InvalidCredentialsError: the provider does not confirm it.
    :raises ExternalIdAlreadyBoundError: it belongs to a member, or this one has one there.
    :raises UnavailableError: the provider does not answer as it should.
    :raises MemberSuspendedError: the member is suspended.
    """
    with audit.refusals(
        "IDENTITY_BIND_REFUSED",
        object_type="member",
        object_id=member_id,
        details={"provider": provider[:30]},
    ):
        external_id = identity_proofs.prove_identity(
            request=request, provider=provider, proof=proof
        )
        with db_scope.principal_scope("member_app", member_id) as scope:
            return profiles.write_identity(
                scope,
                services.lock_active(scope, member_id),
                provider=provider,
                external_id=external_id,
            )


# --- proofs of phone and e-mail ------------------------------------------------------------------


def request_verification(*, member_id: UUID, destination: str) -> None:
    """Send a code to the phone or e-mail a member says is theirs, so that they prove it.

    :raises InvalidRequestError: it is neither.
    :raises RateLimitedError: too many messages there, or from here.
    :raises MemberSuspendedError: the member is suspended.
    """
    with audit.refusals("VERIFICATION_REFUSED", object_type="member", object_id=member_id):
        phone, email = field_checks.check_contact(destination)
        with db_scope.principal_scope("member_app", member_id) as scope:
            services.lock_active(scope, member_id)
        onetime.request_code("verify", destination=phone or email or "", member_id=member_id)
        audit.record(
            "VERIFICATION_REQUESTED",
            object_type="member",
            object_id=member_id,
            details={"to": selectors.mask_identifier(destination)},
        )


def verify_contact(*, member_id: UUID, destination: str, code: str) -> Member:
    """Give a member the phone or e-mail they have proved to read. Whoever only claimed it loses it.

    :raises InvalidCredentialsError: the code is wrong, used or over.
    :raises RateLimitedError: too many were wrong.
    :raises AlreadyExistsError: somebody else has proved it, too.
    :raises MemberSuspendedError: the member is suspended.
    """
    with audit.refusals("VERIFICATION_REFUSED", object_type="member", object_id=member_id):
        phone, email = field_checks.check_contact(destination)
        onetime.redeem_code(
            "verify", destination=phone or email or "", code=code, member_id=member_id
        )
        with db_scope.principal_scope("member_app", member_id) as scope:
            member = services.lock_active(scope, member_id)
            with connection.cursor() as cursor:
                cursor.execute("SELECT members_take_contact(%s, %s)", [phone, email])
                losers = cursor.fetchone()[0]
            if losers is None:
                raise errors.AlreadyExistsError("Another member has already verified this.")
            shown = {"to": selectors.mask_identifier(destination)}
            audit.record(
                "CONTACT_VERIFIED", object_type="member", object_id=member.number, details=shown
            )
            for number in losers:
                audit.record("CONTACT_LOST", object_type="member", object_id=number, details=shown)
            return selectors.get_own_member(scope, member_id)


# --- passwords -----------------------------------------------------------------------------------


def change_password(
    *,
    request: HttpRequest,
    member: MemberPrincipal,
    new_password: str,
    current_password: str = "",
    identity: Proof | None = None,
) -> None:
    """Give a member another password, or their first. Their other tokens end.

    :param current_password: the present one; who has none, as they sign in by a provider, proves
        who they are there: `identity`.
    :raises InvalidCredentialsError: the present password is wrong, or the identity is not theirs.
    :raises RateLimitedError: it was wrong too often, here or at sign-in.
    :raises InvalidRequestError: the new one is too short, too long or too common.
    :raises UnavailableError: the provider does not answer as it should.
    """
    with audit.refusals(
        "PASSWORD_CHANGE_REFUSED", object_type="member", object_id=member.member_number
    ):
        if identity is None:
            passwords.require_password(member_id=member.member_id, password=current_password)
        else:
            _require_own_identity(request, member, identity)
        encoded = services.encode_password(new_password, field="new_password")
        services.write_password(
            member_id=member.member_id, encoded=encoded, keep_token=member.token_id
        )


def _require_own_identity(request: HttpRequest, member: MemberPrincipal, identity: Proof) -> None:
    external_id = identity_proofs.prove_identity(request=request, **identity)
    with db_scope.principal_scope("member_app", member.member_id):
        theirs = ExternalIdentity.objects.filter(
            provider=identity["provider"], external_id=external_id
        )
        if not theirs.exists():
            raise InvalidCredentialsError("This identity is not yours.")


def request_password_reset(*, identifier: str) -> None:
    """Send a code to a member's verified phone or e-mail; nobody learns whether there is one.

    :raises RateLimitedError: too many messages there, or from here.
    """
    _request_code("reset", "PASSWORD_RESET_REQUESTED", identifier)


def reset_password(*, identifier: str, code: str, password: str) -> None:
    """Give whoever reads at a phone or an e-mail address another password. Every token ends.

    :raises InvalidRequestError: the password is too short, too long or too common.
    :raises InvalidCredentialsError: the code is wrong, used or over, or the address nobody's.
    :raises RateLimitedError: too many were wrong.
    """
    with audit.refusals(
        "PASSWORD_RESET_REFUSED",
        object_type="member",
        object_id=selectors.mask_identifier(identifier),
    ):
        # Before the code is looked at: a password that will not do burns none.
        services.check_new_password(password)
        destination = selectors.normalise_identifier(identifier)
        member_id = onetime.redeem_code("reset", destination=destination, code=code)
        encoded = services.encode_password(password)
        services.write_password(member_id=member_id, encoded=encoded, acting=True)


# --- sessions ------------------------------------------------------------------------------------


def end_session(*, member: MemberPrincipal, token_id: UUID) -> None:
    """End one of a member's tokens at once, and the session it was handed out with.

    :raises NotFoundError: they have no such token that lives.
    """
    with (
        audit.refusals("SESSION_END_REFUSED", object_type="member", object_id=member.member_number),
        db_scope.principal_scope("member_app", member.member_id),
    ):
        if not MemberToken.objects.filter(
            id=token_id, member_id=member.member_id, revoked_at=None, expires_at__gt=Now()
        ).update(revoked_at=Now()):
            raise errors.NotFoundError("Session not found.")
        audit.record(
            "SESSION_ENDED",
            object_type="member",
            object_id=member.member_number,
            details={"token": str(token_id)},
        )


# --- inside --------------------------------------------------------------------------------------


def _request_code(purpose: onetime.Purpose, action: str, identifier: str) -> None:
    destination = selectors.normalise_identifier(identifier)
    # Outcome and cost are the same for everybody: only the worker knows whether a message leaves.
    member = selectors.find_by_proved_contact(destination)
    onetime.request_code(
        purpose, destination=destination, member_id=member.member_id if member else None
    )
    audit.record(
        action, object_type="member", object_id=selectors.mask_identifier(identifier), details={}
    )


def _user_id(member_id: UUID) -> int:
    with db_scope.principal_scope("member_app", member_id) as scope:
        return selectors.get_member(scope, member_id).user_id
