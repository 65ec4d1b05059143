"""What every endpoint shares:

Strict JSON in, fast JSON out, problems, pages, and one scope per read.
"""

import re
from contextlib import ExitStack
from functools import cache
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework import exceptions, pagination, serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mps.base.core import db_scope, errors, problems
from mps.base.core.parsing import FastJSONRenderer, StrictJSONParser


class Principal(Protocol):
    """Who an authentication class recognised: its database role and whose rows it sees."""

    role: db_scope.Role
    principal_id: UUID | None
    is_authenticated: bool


class IsAuthenticated(BasePermission):
    """Somebody was recognised; who, is the authentication classes' business."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether there is a principal."""
        return bool(request.user)


class ApiView(APIView):
    """Base of every endpoint.

    A safe request runs inside its principal's scope; any other leaves the scope to the service it
    calls.
    Query parameters that an endpoint does not name are refused, so that a typing error is no silent
    filter.
    """

    parser_classes = [StrictJSONParser]
    renderer_classes = [FastJSONRenderer]
    permission_classes = [IsAuthenticated]
    query_parameters: ClassVar[frozenset[str]] = frozenset()
    _scope: db_scope.Scope | None = None

    @property
    def scope(self) -> db_scope.Scope:
        """The scope of a read; a request that changes something has none."""
        if self._scope is None:
            raise RuntimeError("Only a safe request of somebody known runs inside a scope.")
        return self._scope

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Handle the request; the scope of a read ends with it."""
        with ExitStack() as self._exits:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, refuse unknown query parameters, open the scope of a read."""
        super().initial(request, *args, **kwargs)
        check_query(request, self.query_parameters)
        if request.method in {"GET", "HEAD"} and request.user:
            principal: Principal = request.user  # type: ignore[assignment]
            self._scope = self._exits.enter_context(
                db_scope.principal_scope(principal.role, principal.principal_id)
            )

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Finish the response: it is data, not a page; see `ContentPolicyMiddleware`."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response._csp_exempt = True  # type: ignore[attr-defined]
        return response

    def handle_exception(self, exc: Exception) -> Response:
        """Render known errors as problem documents. Unknown ones are bugs and are raised."""
        error = problems.as_mps_error(exc)
        if error is None:
            raise exc
        return Response(
            problems.in_readers_language(problems.problem(error, instance=self.request.path)),
            status=error.status,
            headers=problems.problem_headers(error),
            content_type=problems.CONTENT_TYPE,
        )


@cache
def _shared(serializer_class: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    return serializer_class()


def read_body(
    serializer_class: type[serializers.Serializer[Any]], request: Request
) -> dict[str, Any]:
    """Check a request's body and return it by field.

    Validation keeps nothing in a serializer, so one serves all requests: making a new one each time
    copies every field.

    :raises ValidationError: naming each field that is not as documented.
    """
    body: dict[str, Any] = _shared(serializer_class).run_validation(request.data)
    return body


def check_query(request: Request, allowed: frozenset[str]) -> None:
    """Refuse query parameters that are unknown, repeated or unreadable.

    :raises InvalidRequestError: naming each of them.
    """
    wrong = {
        name: ["Unknown query parameter."] if name not in allowed else ["Not valid here."]
        for name, values in request.query_params.lists()
        if name not in allowed
        or len(values) != 1
        or not values[0]
        or not values[0].isprintable()
        or len(values[0]) > 500
    }
    if wrong:
        raise errors.InvalidRequestError(
            errors={
                name.encode("ascii", "replace").decode()[:64]: text for name, text in wrong.items()
            }
        )


class WholeList(serializers.Serializer[Any]):
    """A list that is never long, in the form of a page; subclasses add its `results`."""

    next = serializers.CharField(allow_null=True, default=None)
    previous = serializers.CharField(allow_null=True, default=None)


class NewestFirst(pagination.CursorPagination):
    """Pages by an opaque cursor over the time-ordered id: page 10,000 costs what page 1 costs."""

    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    QUERY = frozenset({"cursor", "limit"})

    def get_page_size(self, request: Request) -> int:
        """Return `limit`, 1 to 200; :raises InvalidRequestError: if it is anything else."""
        limit = request.query_params.get("limit", str(self.page_size))
        if (
            not re.fullmatch(r"[0-9]{1,3}", limit, re.ASCII)
            or not 1 <= int(limit) <= self.max_page_size
        ):
            raise errors.InvalidRequestError(
                errors={"limit": [f"A number from 1 to {self.max_page_size}."]}
            )
        return int(limit)

    def decode_cursor(self, request: Request) -> Any:
        """Return the cursor; :raises InvalidRequestError: if it is not one of ours."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self.check_position(str(cursor.position))
            elif cursor is not None and not cursor.reverse and not cursor.offset:
                # What is no base 64 decodes to nothing, which would be the first page.
                raise ValueError
        except (exceptions.NotFound, ValueError, TypeError) as error:
            raise errors.InvalidRequestError(errors={"cursor": ["Invalid cursor."]}) from error
        return cursor

    def check_position(self, position: str) -> None:
        """Check the position a cursor holds; :raises ValueError: if it is not one of ours."""
        UUID(position)
