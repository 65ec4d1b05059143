"""One renderer for everything that goes wrong: RFC 9457 problem documents."""

from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import override
from rest_framework import exceptions

from mps.base.core import context, errors

CONTENT_TYPE = "application/problem+json"

# Nothing was committed and trying again may work: locks, timeouts, deadlocks, shutdown, too many
# connections.
_PASSING_SQLSTATES = (
    "55P03",
    "57014",
    "40P01",
    "40001",
    "57P01",
    "57P02",
    "57P03",
    "53300",
    "53200",
    "08",
)
# Text or numbers the database does not take, should they get past the fields.
_BAD_INPUT_SQLSTATES = ("22001", "22021", "22P05", "22003", "22P02", "22008")
_UNIQUE_VIOLATION = "23505"
# Field error codes that speak for the whole request.
_FIELD_CODES: dict[str, type[errors.MpsError]] = {
    errors.InvalidAmountError.code: errors.InvalidAmountError
}


def speak_for_request(error_class: type[errors.MpsError]) -> None:
    """Let a field error with this class's code become the code of the whole problem."""
    _FIELD_CODES[error_class.code] = error_class


def as_mps_error(exception: BaseException) -> errors.MpsError | None:
    """Translate what frameworks and the database raise into our errors;

    None if it is a defect of ours.
    """
    match exception:
        case errors.MpsError():
            return exception
        case exceptions.ValidationError():
            return _from_validation(exception)
        case exceptions.ParseError():
            return errors.InvalidRequestError(str(exception.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.NotAuthenticatedError()
        case exceptions.PermissionDenied() | PermissionDenied():
            return errors.PermissionDeniedError()
        case exceptions.NotFound() | Http404():
            return errors.NotFoundError()
        case exceptions.MethodNotAllowed():
            return errors.MethodNotAllowedError()
        case exceptions.NotAcceptable():
            return errors.NotAcceptableError()
        case exceptions.UnsupportedMediaType():
            return errors.UnsupportedMediaTypeError()
        case exceptions.Throttled():
            wait = getattr(exception, "wait", None) or 1
            return errors.RateLimitedError(retry_after_seconds=int(wait))
        case RequestDataTooBig():
            return errors.PayloadTooLargeError()
        case SuspiciousOperation() | DjangoValidationError():
            return errors.InvalidRequestError()
        case DatabaseError() | InterfaceError():
            return _from_database(exception)
    return None


def problem(error: errors.MpsError, *, instance: str = "") -> dict[str, Any]:
    """Return the problem document of an error.

    In English, whatever the reader's language: it may be stored.
    """
    kind: Any = type(error)
    title = _english_title(kind)
    if error.says_more:
        with override("en"):
            detail = error.detail
    else:
        detail = title
    document: dict[str, Any] = {
        "type": f"urn:mps:error:{error.code}",
        "title": title,
        "status": error.status,
        "detail": detail,
        "instance": instance,
        "code": error.code,
        "request_id": context.current().request_id,
    }
    if error.errors:
        with override("en"):
            document["errors"] = error.errors
    return document


@cache
def _english_title(kind: Any) -> str:
    with override("en"):
        return str(kind.title)


def in_readers_language(document: dict[str, Any]) -> dict[str, Any]:
    """Return a problem document, which may have been stored, as the reader of now reads it.

    What it says is the catalogue's own key; what the catalogue does not know stays English. Its
    code never changes.
    """
    document = {
        **document,
        **{
            name: errors.in_readers_language(document[name])
            for name in ("title", "detail")
            if name in document
        },
    }
    if "errors" in document:
        document["errors"] = {
            field: [errors.in_readers_language(text) for text in texts]
            for field, texts in document["errors"].items()
        }
    return document


def problem_headers(error: errors.MpsError) -> dict[str, str]:
    """Return the headers that go with an error."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, error.retry_after_seconds))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def problem_response(request: HttpRequest, error: errors.MpsError) -> HttpResponse:
    """Return an error as a response outside DRF: unknown paths, middleware, defects."""
    return HttpResponse(
        orjson.dumps(in_readers_language(problem(error, instance=request.path))),
        status=error.status,
        content_type=CONTENT_TYPE,
        headers=problem_headers(error),
    )


def _from_validation(exception: exceptions.ValidationError) -> errors.MpsError:
    fields: dict[str, list[str]] = {}
    codes: set[str] = set()
    _collect("", exception.detail, fields, codes)
    if len(codes) == 1:
        code = codes.pop()
        if code in _FIELD_CODES:
            return _FIELD_CODES[code](errors=fields)
    return errors.InvalidRequestError(errors=fields)


def _collect(path: str, detail: Any, fields: dict[str, list[str]], codes: set[str]) -> None:
    if isinstance(detail, dict):
        for key, value in detail.items():
            _collect(f"{path}.{key}" if path else str(key), value, fields, codes)
    elif isinstance(detail, list):
        for value in detail:
            _collect(path, value, fields, codes)
    else:
        fields.setdefault(path or "non_field_errors", []).append(str(detail))
        codes.add(getattr(detail, "code", ""))


def _from_database(exception: DatabaseError | InterfaceError) -> errors.MpsError | None:
    cause = exception.__cause__
    sqlstate = cause.sqlstate or "" if isinstance(cause, psycopg.Error) else ""
    if sqlstate.startswith(_PASSING_SQLSTATES):
        return errors.UnavailableError()
    if not sqlstate and isinstance(exception, (OperationalError, InterfaceError)):
        return errors.UnavailableError()  # the connection itself is gone
    if not sqlstate and isinstance(exception, DataError):
        # The driver refused a value before the database saw it, such as text with a NUL.
        return errors.InvalidRequestError()
    if sqlstate.startswith(_BAD_INPUT_SQLSTATES):
        return errors.InvalidRequestError()
    if sqlstate == _UNIQUE_VIOLATION:
        return errors.AlreadyExistsError()  # two at once; the constraint let one in
    return None
