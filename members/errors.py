"""What members' services refuse."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class MemberSuspendedError(MpsError):
    """The member is suspended: their cards neither pay nor get codes."""

    code = "MEMBER_SUSPENDED"
    status = 403
    title = _("This member is suspended.")


class InvalidCredentialsError(MpsError):
    """Identifier or password is wrong; which, the caller is not told."""

    code = "INVALID_CREDENTIALS"
    status = 401
    title = _("The identifier or password is incorrect.")


class ExternalIdAlreadyBoundError(MpsError):
    """The external identity belongs to a member, or the member has one of this provider."""

    code = "EXTERNAL_ID_ALREADY_BOUND"
    status = 409
    title = _("This external identity is already linked to a member.")
