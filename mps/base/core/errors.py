"""Errors reported to the caller: one class per error code."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class MpsError(Exception):
    """An error with a stable code. Subclasses are defined next to the services that raise them.

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
        """Whether the detail adds to the title."""
        return bool(self._detail)

    @property
    def detail(self) -> str:
        """The detail, or the title if there is none, in the reader's language."""
        return in_readers_language(self._detail) if self._detail else str(self.title)

    @property
    def errors(self) -> dict[str, list[str]] | None:
        """The messages by field, in the reader's language."""
        if self._errors is None:
            return None
        return {
            field: [in_readers_language(text) for text in texts]
            for field, texts in self._errors.items()
        }

    def __str__(self) -> str:
        return self.detail


def in_readers_language(text: object) -> str:
    """Return an error's text in the active language.

    Errors are written in English where they are raised. The English text is the key in the
    catalogue, and `write_messages` collects it there. Texts that are not in the catalogue stay
    unchanged.

    It is written in English where it is raised, and the catalogue's own key: `write_messages`
    finds it there. What the catalogue does not know stays as it is.
    """
    return gettext(str(text)) if text else ""


class InvalidRequestError(MpsError):
    """A field, a query parameter or the body does not match the documentation."""


class InvalidAmountError(MpsError):
    """The amount is not a positive number with at most two decimals, or it is out of bounds."""

    code = "INVALID_AMOUNT"
    title = _("The amount must be a positive number with at most two decimal places.")


class NotAuthenticatedError(MpsError):
    """The credentials are missing or not valid now."""

    code = "NOT_AUTHENTICATED"
    status = 401
    title = _("Valid credentials are required.")


class PermissionDeniedError(MpsError):
    """The caller is authenticated but not allowed to do this."""

    code = "PERMISSION_DENIED"
    status = 403
    title = _("You do not have permission to do this.")


class NotFoundError(MpsError):
    """The object does not exist or belongs to somebody else. The two cases look the same."""

    code = "NOT_FOUND"
    status = 404
    title = _("Not found.")


class MethodNotAllowedError(MpsError):
    """The path exists but does not support this method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    title = _("Method not allowed.")


class NotAcceptableError(MpsError):
    """The response is not available in any format the caller accepts."""

    code = "NOT_ACCEPTABLE"
    status = 406
    title = _("The response is not available in a format you accept.")


class AlreadyExistsError(MpsError):
    """An object with this name, number or key already exists."""

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
    """There were too many attempts. Wait as long as `Retry-After` says."""

    code = "RATE_LIMITED"
    status = 429
    title = _("Too many attempts. Wait and try again.")


class UnavailableError(MpsError):
    """The database or a lock was not available in time. Nothing was changed; try again."""

    code = "UNAVAILABLE"
    status = 503
    title = _("The service is busy. Nothing was changed. Try again in a moment.")

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)


def every_error(base: type[MpsError] = MpsError) -> list[type[MpsError]]:
    """Return all loaded subclasses, except those defined in tests."""
    found = []
    for error in base.__subclasses__():
        found += [error, *every_error(error)]
    # Those of a test are no part of the product.
    return [error for error in found if not error.__module__.startswith("tests.")]


@functools.cache
def titles() -> dict[str, Any]:
    """Return the title of each code in the reader's language."""
    return {error.code: error.title for error in every_error()}
