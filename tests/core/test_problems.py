"""Whatever goes wrong has one code, one status, one form."""

from typing import Any

import psycopg
import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from django.http import Http404
from django.test import RequestFactory
from django.utils.translation import override
from rest_framework import exceptions

from mps.base.core import context, errors, problems


def from_database(wrapper: type[Exception], sqlstate: str) -> Exception:
    """Return what Django raises for an error of the database with this SQLSTATE."""
    error = wrapper("of the database")
    cause = psycopg.errors.lookup(sqlstate)() if sqlstate else psycopg.Error()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("exception", "code", "status"),
    [
        (exceptions.ParseError(), "INVALID_REQUEST", 400),
        (exceptions.NotAuthenticated(), "NOT_AUTHENTICATED", 401),
        (exceptions.AuthenticationFailed(), "NOT_AUTHENTICATED", 401),
        (exceptions.PermissionDenied(), "PERMISSION_DENIED", 403),
        (PermissionDenied(), "PERMISSION_DENIED", 403),
        (exceptions.NotFound(), "NOT_FOUND", 404),
        (Http404(), "NOT_FOUND", 404),
        (exceptions.MethodNotAllowed("PUT"), "METHOD_NOT_ALLOWED", 405),
        (exceptions.NotAcceptable(), "NOT_ACCEPTABLE", 406),
        (exceptions.UnsupportedMediaType("text/plain"), "UNSUPPORTED_MEDIA_TYPE", 415),
        (exceptions.Throttled(wait=3), "RATE_LIMITED", 429),
        (RequestDataTooBig(), "PAYLOAD_TOO_LARGE", 413),
        (SuspiciousOperation(), "INVALID_REQUEST", 400),
        (DjangoValidationError("no"), "INVALID_REQUEST", 400),
        (errors.AlreadyExistsError(), "ALREADY_EXISTS", 409),
        (OperationalError("connection refused"), "UNAVAILABLE", 503),
        (InterfaceError("connection already closed"), "UNAVAILABLE", 503),
        (from_database(OperationalError, "55P03"), "UNAVAILABLE", 503),
        (from_database(OperationalError, "57014"), "UNAVAILABLE", 503),
        (from_database(OperationalError, "40P01"), "UNAVAILABLE", 503),
        (from_database(OperationalError, "08006"), "UNAVAILABLE", 503),
        (from_database(DataError, ""), "INVALID_REQUEST", 400),
        (from_database(DataError, "22001"), "INVALID_REQUEST", 400),
        (from_database(DataError, "22021"), "INVALID_REQUEST", 400),
        (from_database(IntegrityError, "23505"), "ALREADY_EXISTS", 409),
    ],
)
def test_what_is_known_is_translated(exception: Exception, code: str, status: int) -> None:
    error = problems.as_mps_error(exception)
    assert error is not None
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    "exception",
    [
        *(KeyError("a"), ValueError("a"), ZeroDivisionError(), MemoryError()),
        from_database(ProgrammingError, "42703"),
        from_database(IntegrityError, "23514"),
        from_database(DatabaseError, "P0001"),
    ],
)
def test_what_is_unknown_is_a_defect(exception: Exception) -> None:
    assert problems.as_mps_error(exception) is None


def test_a_document_has_its_members_and_stays_english() -> None:
    with context.acting("anonymous", "", request_id="the-request"), override("zh-hant"):
        document = problems.problem(errors.InvalidAmountError(), instance="/api/v1/x")
    assert document == {
        "type": "urn:mps:error:INVALID_AMOUNT",
        "title": "The amount must be a positive number with at most two decimal places.",
        "status": 400,
        "detail": "The amount must be a positive number with at most two decimal places.",
        "instance": "/api/v1/x",
        "code": "INVALID_AMOUNT",
        "request_id": "the-request",
    }


def test_the_only_wrong_field_may_speak_for_the_request() -> None:
    detail = {"amount": [exceptions.ErrorDetail("no", code="INVALID_AMOUNT")]}
    error = problems.as_mps_error(exceptions.ValidationError(detail))
    assert error is not None
    assert error.code == "INVALID_AMOUNT"
    assert error.errors == {"amount": ["no"]}


def test_several_wrong_fields_are_an_invalid_request() -> None:
    detail = {
        "amount": [exceptions.ErrorDetail("no", code="INVALID_AMOUNT")],
        "lines": [{"name": [exceptions.ErrorDetail("missing", code="required")]}],
    }
    error = problems.as_mps_error(exceptions.ValidationError(detail))
    assert error is not None
    assert error.code == "INVALID_REQUEST"
    assert error.errors == {"amount": ["no"], "lines.name": ["missing"]}


def test_an_error_of_no_field_is_named_so() -> None:
    error = problems.as_mps_error(exceptions.ValidationError("no"))
    assert error is not None
    assert error.errors == {"non_field_errors": ["no"]}


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.UnavailableError(), {"Retry-After": "1"}),
        (errors.RateLimitedError(retry_after_seconds=0), {"Retry-After": "1"}),
        (errors.RateLimitedError(retry_after_seconds=30), {"Retry-After": "30"}),
        (errors.NotAuthenticatedError(), {"WWW-Authenticate": "Bearer"}),
        (errors.NotFoundError(), {}),
    ],
)
def test_headers_go_with_their_errors(error: errors.MpsError, headers: dict[str, Any]) -> None:
    assert problems.problem_headers(error) == headers


def test_a_response_outside_the_framework_is_a_problem_too() -> None:
    response = problems.problem_response(RequestFactory().get("/api/v1/x"), errors.NotFoundError())
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert b'"instance":"/api/v1/x"' in response.content
