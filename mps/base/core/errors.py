"""What goes wrong in a way the caller must know about: one class per code."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class MpsError(Exception):
    """A refusal with a stable code. Subclasses stand next to the service that raises them.

    `code` never changes and is never translated; `title` is one sentence a person can act on.
    """

    code: ClassVar[str] = "INVALID_REQUEST"
    status: ClassVar[int] = 400
    title: ClassVar[Any] = _("The request is invalid.")

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Mapping[str, list[str]] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self._detail = detail
        self._errors = errors
        self.retry_after_seconds = retry_after_seconds

    @property
    def says_more(self) -> bool:
        """Whether there is more to say than the title."""
        return bool(self._detail)

    @property
    def detail(self) -> str:
        """What is to be said beyond the title, else the title: in the language of whoever reads it,
        not of whoever raised it.
        """
        return in_readers_language(self._detail) if self._detail else str(self.title)

    @property
    def errors(self) -> dict[str, list[str]] | None:
        """What is wrong with which field, in that language, too."""
        if self._errors is None:
            return None
        return {
            field: [in_readers_language(text) for text in texts]
            for field, texts in self._errors.items()
        }

    def __str__(self) -> str:
        return self.detail


def in_readers_language(text: object) -> str:
    """Return what a refusal says in the active language.

    It is written in English where it is raised, and the catalogue's own key: `write_messages`
    finds it there. What the catalogue does not know stays as it is.
    """
    return gettext(str(text)) if text else ""


class InvalidRequestError(MpsError):
    """A field, a query parameter or the body itself is not as documented."""


class InvalidAmountError(MpsError):
    """An amount is not a positive number with at most two decimals within the bounds."""

    code = "INVALID_AMOUNT"
    title = _("The amount must be a positive number with at most two decimal places.")


class NotAuthenticatedError(MpsError):
    """No credentials, or none that are valid now."""

    code = "NOT_AUTHENTICATED"
    status = 401
    title = _("Valid credentials are required.")


class PermissionDeniedError(MpsError):
    """The caller is known but may not do this."""

    code = "PERMISSION_DENIED"
    status = 403
    title = _("You do not have permission to do this.")


class NotFoundError(MpsError):
    """It does not exist, or belongs to somebody else; the two look alike."""

    code = "NOT_FOUND"
    status = 404
    title = _("Not found.")


class MethodNotAllowedError(MpsError):
    """The path exists, the method does not."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    title = _("Method not allowed.")


class NotAcceptableError(MpsError):
    """The caller accepts no form this answer comes in."""

    code = "NOT_ACCEPTABLE"
    status = 406
    title = _("The response is not available in a format you accept.")


class AlreadyExistsError(MpsError):
    """Something with this name, number or key is there already."""

    code = "ALREADY_EXISTS"
    status = 409
    title = _("This already exists.")


class PayloadTooLargeError(MpsError):
    """The body is larger than any valid request."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413
    title = _("The request body is too large.")


class UnsupportedMediaTypeError(MpsError):
    """The body is not JSON in UTF-8."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    title = _("Send JSON with Content-Type: application/json.")


class RateLimitedError(MpsError):
    """Too many attempts; wait as long as `Retry-After` says."""

    code = "RATE_LIMITED"
    status = 429
    title = _("Too many attempts. Wait and try again.")


class UnavailableError(MpsError):
    """The database or a lock could not be had in time; nothing was changed, try again."""

    code = "UNAVAILABLE"
    status = 503
    title = _("The service is busy. Nothing was changed. Try again in a moment.")

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)


def every_error(base: type[MpsError] = MpsError) -> list[type[MpsError]]:
    """Return the classes below this one whose modules are loaded, those of tests aside."""
    found = []
    for error in base.__subclasses__():
        found += [error, *every_error(error)]
    # Those of a test are no part of the product.
    return [error for error in found if not error.__module__.startswith("tests.")]


@functools.cache
def titles() -> dict[str, Any]:
    """Return what each code says to people, in the language of whoever reads it."""
    return {error.code: error.title for error in every_error()}
