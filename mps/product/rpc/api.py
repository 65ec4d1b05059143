"""`POST /rest/v1/rpc/<function>`, compatible with PostgREST clients."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django.http import HttpResponseBase
from django.utils.translation import override
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response

from mps.base.core import commands, errors, problems
from mps.base.core.api import ApiView
from mps.base.core.openapi import ERROR_CODE_SCHEMA, RPC_STATUS
from mps.base.core.parsing import FastJSONRenderer
from mps.product.rpc.authentication import RpcAuthentication
from mps.product.rpc.registry import Function, StoredRows
from payments.idempotency import Answer

ERROR_CODE = "P0001"
# Existing clients know few statuses; the code in `message` says the rest.
_ERROR_STATUSES = (400, 401, 403, 404, 409)


@extend_schema_field(ERROR_CODE_SCHEMA)
class _ErrorCode(serializers.CharField):
    """A stable code, as every door knows it."""


class RpcError(serializers.Serializer[Any]):
    """What went wrong, as PostgREST says it. `message` is the stable code."""

    code = serializers.CharField()
    message = _ErrorCode()
    details = serializers.CharField()
    hint = serializers.CharField(allow_null=True)


class RpcRenderer(FastJSONRenderer):
    """JSON with amounts as numbers, digit by digit as they are: no float comes near them."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body's bytes."""
        return orjson.dumps(data, default=_write, option=orjson.OPT_PASSTHROUGH_DATETIME)


class RpcObjectRenderer(RpcRenderer):
    """The same for a client that wants its only row without the list around it (`.single()`)."""

    media_type = "application/vnd.pgrst.object+json"


def _write(value: Any) -> Any:
    match value:
        case Decimal():
            return orjson.Fragment(f"{value:f}")
        case datetime():
            return value.astimezone(UTC).isoformat()
    raise TypeError(f"no JSON for {type(value)}")


class RpcView(ApiView):
    """One function; the function itself knows who may call it."""

    authentication_classes = [RpcAuthentication]
    renderer_classes = [RpcRenderer, RpcObjectRenderer]
    http_method_names = ["post"]
    function: ClassVar[Function]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse other methods before anything else: no function is called by GET."""
        if request.method != "POST":
            raise MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)

    def post(self, request: Request, name: str = "") -> Response:
        """Call the function."""
        answer = self.function.call(request.user, request.data)  # type: ignore[arg-type]
        if isinstance(answer, Answer):
            # Only a refusal comes back like this: it is stored with its key and repeated.
            response = _refused(answer.status, answer.body["code"], answer.body["detail"])
        else:
            response = self._respond(answer.rows if isinstance(answer, StoredRows) else answer)
        if isinstance(answer, Answer | StoredRows) and answer.replayed:
            response["Idempotent-Replayed"] = "true"
        return response

    def _respond(self, answer: Any) -> Response:
        """Answer with a scalar or rows; one row without its list, where the client wants that."""
        if isinstance(answer, list) and isinstance(
            self.request.accepted_renderer, RpcObjectRenderer
        ):
            if len(answer) != 1:
                raise errors.NotAcceptableError("The result is not a single row.")
            return Response(answer[0])
        return Response(answer)

    def handle_exception(self, exc: Exception) -> Response:
        """Render any known error as PostgREST does what a function raises."""
        error = problems.as_mps_error(exc)
        if error is None:
            raise exc
        with override("en"):
            response = _refused(
                error.status, error.code, str(error.detail), hint=self.hint_of(error)
            )
        for header, value in problems.problem_headers(error).items():
            response[header] = value
        return response

    def hint_of(self, error: errors.MpsError) -> str:
        """Return what is wrong with which argument, by the names the caller used."""
        return commands.fields_of(error, name_of=self.function.argument_of)


class NothingView(RpcView):
    """What a client of PostgREST may ask for and does not find: other functions, and all tables."""

    def hint_of(self, error: errors.MpsError) -> str:
        """Return what is wrong with the request."""
        return commands.fields_of(error)

    def post(self, request: Request, name: str = "") -> Response:
        """Say so."""
        raise errors.NotFoundError("Function not found. Only functions are available here.")


def _refused(status: int, code: str, details: str, *, hint: str = "") -> Response:
    return Response(
        {"code": ERROR_CODE, "message": code, "details": details, "hint": hint or None},
        status=RPC_STATUS.get(status, status),
    )


def view_of(function: Function) -> Callable[..., HttpResponseBase]:
    """Return the endpoint of a function, described for OpenAPI."""
    described = extend_schema_view(
        post=extend_schema(
            operation_id=f"rpc_{function.name}",
            tags=["RPC"],
            summary=function.summary,
            description=f"Who may call: {', '.join(_CALLERS[each] for each in function.callers)}.",
            request=function.arguments,
            parameters=_REPLAYED if function.takes_key else [],
            responses={
                (200, RpcRenderer.media_type): _schema_of(function.returns, function.sometimes),
                **{(status, RpcRenderer.media_type): RpcError for status in _ERROR_STATUSES},
            },
            examples=[
                OpenApiExample("A call", dict(function.example), request_only=True),
                OpenApiExample(
                    "Its answer", function.returns, response_only=True, status_codes=["200"]
                ),
            ],
        )
    )
    view: type[RpcView] = described(
        type(function.arguments.__name__, (RpcView,), {"function": function})
    )
    return view.as_view()


_REPLAYED = [
    OpenApiParameter(
        "Idempotent-Replayed",
        location=OpenApiParameter.HEADER,
        description="Present if this is the stored response to an earlier identical call.",
        enum=["true"],
        response=[200, 400, 403, 409],
    )
]
_CALLERS = {"S": "service keys", "T": "terminal keys", "M": "member tokens"}


def _schema_of(example: Any, sometimes: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the schema of an answer, from an example of it.

    Null stands for a text that is not there, `{}` for an object of any members.
    """
    match example:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string", **_format_of(example)}
        case list():
            return {"type": "array", "items": _schema_of(example[0], sometimes)}
        case dict() if example:
            return {
                "type": "object",
                "properties": {name: _column(value) for name, value in example.items()},
                "required": sorted(example.keys() - sometimes),
            }
        case dict():
            return {"type": "object", "additionalProperties": {}}
    return {"type": "string"}


def _format_of(example: str) -> dict[str, str]:
    for name, read in (("uuid", UUID), ("date-time", datetime.fromisoformat)):
        with suppress(ValueError):
            read(example)
            return {"format": name}
    return {}


def _column(example: Any) -> dict[str, Any]:
    """Return the schema of a row's column; any may be null."""
    return {**_schema_of(example), "nullable": True}
