"""Errors raised by the services of members."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class MemberSuspendedError(MpsError):
    """The member is suspended: their cards cannot pay or get payment codes."""

    code = "MEMBER_SUSPENDED"
    status = 403
    title = _("This member is suspended.")


class InvalidCredentialsError(MpsError):
    """The identifier or the password is wrong. The caller is not told which."""

    code = "INVALID_CREDENTIALS"
    status = 401
    title = _("The identifier or password is incorrect.")


class ExternalIdAlreadyBoundError(MpsError):
    """The external identity is bound already, or the member has another one at this provider."""

    code = "EXTERNAL_ID_ALREADY_BOUND"
    status = 409
    title = _("This external identity is already linked to a member.")
