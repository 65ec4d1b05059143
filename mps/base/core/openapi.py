"""Add to the OpenAPI schema what all operations share: names, problems, examples."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema

from mps.base.core import errors, problems, refusals

_Known = dict[str, type[errors.MpsError]]

ERROR_CODE_SCHEMA = {"$ref": "#/components/schemas/ErrorCode"}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457). `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": ERROR_CODE_SCHEMA,
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "What is wrong with each field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
}
# Fields as they may be wrong, for the examples of refusals that name fields.
_WRONG_FIELDS = {
    "INVALID_AMOUNT": {
        "amount": ["The amount must be a positive number with at most two decimal places."]
    },
    "INVALID_REQUEST": {"name": ["This field is required."]},
}
_SVG = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<svg xmlns="http://www.w3.org/2000/svg" width="290" height="290">…</svg>\n'
)
# How answers begin that are no text.
_BEGINNINGS = {
    "image/svg+xml": ("A picture", _SVG),
    "image/png": ("Its first bytes; the rest is the picture", "\x89PNG\r\n\x1a\n"),
}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "What the log knows the request by; the caller's own, if it sent one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
        "example": "0f8fad5bd9cb469fa16570867728950e",
    },
    "Idempotent-Replayed": {
        "description": "There if this is the stored answer to the same request, sent before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "After how many seconds the same request may be sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "How to say who one is.",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    },
    "Content-Disposition": {
        "description": "Under which name to keep the file.",
        "required": True,
        "schema": {"type": "string"},
        "example": 'attachment; filename="statement.csv"',
    },
}
_HEADERS_OF_STATUS = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
# Stored with their key: what is decided after the key is claimed.
_REPLAYED = {"200", "201", "202", "402", "403", "409"}
IDEMPOTENCY_KEY_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[!-~]([ -~]{0,253}[!-~])?$",
}
# The refusal every operation of a kind may come to, by its status.
_USUAL = {
    "400": "INVALID_REQUEST",
    "401": "NOT_AUTHENTICATED",
    "402": "LIMIT_EXCEEDED",
    "403": "PERMISSION_DENIED",
    "404": "NOT_FOUND",
    "406": "NOT_ACCEPTABLE",
    "409": "ALREADY_EXISTS",
    "413": "PAYLOAD_TOO_LARGE",
    "415": "UNSUPPORTED_MEDIA_TYPE",
    "422": "IDEMPOTENCY_KEY_REUSED",
    "429": "RATE_LIMITED",
    "503": "UNAVAILABLE",
}
# Of these, one is enough to show where an operation names none of its own.
_ONLY_WITHOUT_OWN = {"402", "404", "409"}
# How a function answers what has another status elsewhere; see `mps.product.rpc.api`.
RPC_STATUS = {202: 409, 402: 400, 406: 400, 413: 400, 415: 400, 422: 409}
PATH_EXAMPLES = {
    "approval_id": "01a203df-035c-785c-b315-f36ee95e4ad3",
    "card_no": "PPD00000001",
    "endpoint_id": "01a203df-035c-785c-b315-f36ee95e4ad2",
    "external_order_id": "WX20250929001",
    "member_no": "M00000002",
    "provider": "wechat",
    "session_id": "0198f0a1-6a5b-7c3d-8e9f-0a1b2c3d4e5f",
    "settlement_id": "01a203df-035c-785c-b315-f36ee95e4ad1",
    "topup_id": "01a203df-035c-785c-b315-f36ee95e4ad1",
    "tx_no": "PAY0000000123",
}
_WITH_KEY = {"402", "422"}
_WITH_BODY = {"413", "415"}
_SECURED = {"401", "403", "404"}
_WRITING = {"409", "429"}
_ALWAYS = {"400", "406", "503"}
# What is handed out as a file.
_FILES = {"export_me", "get_statement_csv", "get_statement_xlsx"}


class Schema(AutoSchema):
    """Describe an operation; serializers nested in a view are named after it."""

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """Return `ChargesInput` for `ChargesView.Input`."""
        name: str = type(serializer).__qualname__
        return "".join(part.removesuffix("View") for part in name.split("."))


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to every operation what its view need not say; run by drf-spectacular at the end."""
    _forget_enum_ids(result)
    result["servers"] = [{"url": "/", "description": "Where this document comes from"}]
    known = {error.code: error for error in errors.every_error()}
    _add_components(result["components"], known)
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _add_path_examples(operation)
            _add_empty_body_example(operation)
            _correct_page_examples(path, operation)
            _describe_idempotency_key(operation)
            _add_beginnings(operation)
            if path.startswith("/api/"):
                _add_problems(method, operation, known)
            else:
                _add_refusals(operation, known)
            _add_headers(operation)
    return result


def _add_components(components: dict[str, Any], known: _Known) -> None:
    """Describe what operations refer to: refusals and their codes, headers, whole pages."""
    schemas = components.setdefault("schemas", {})
    for schema in schemas.values():
        if {"results", "next", "previous"} == schema.get("properties", {}).keys():
            schema["required"] = ["next", "previous", "results"]
    schemas["ErrorCode"] = {
        "type": "string",
        "description": "Stable: one never changes its meaning. New ones may join.",
        "enum": sorted(known),
    }
    schemas["Problem"] = PROBLEM
    components["headers"] = _HEADERS
    components["examples"] = {
        name: {"summary": problems.problem(error())["title"], "value": value}
        for code, error in sorted(known.items())
        for name, value in (
            (code, _problem_example(error)),
            (f"RPC_{code}", _rpc_example(error)),
        )
    }


def _problem_example(error: type[errors.MpsError]) -> dict[str, Any]:
    example = {
        **problems.problem(error(), instance="/api/v1/pos/charges"),
        "request_id": _HEADERS["X-Request-ID"]["example"],
    }
    wrong = _WRONG_FIELDS.get(error.code)
    return {**example, "errors": wrong} if wrong else example


def _rpc_example(error: type[errors.MpsError]) -> dict[str, Any]:
    wrong = _WRONG_FIELDS.get(error.code, {})
    hint = "; ".join(f"p_{name}: {' '.join(texts)}" for name, texts in wrong.items())
    return {
        "code": "P0001",
        "message": error.code,
        "details": problems.problem(error())["title"],
        "hint": hint or None,
    }


def _add_problems(method: str, operation: dict[str, Any], known: _Known) -> None:
    """Document the refusals an operation may answer with, beside those its view names."""
    responses = operation["responses"]
    named = {status for status in responses if int(status) >= HTTPStatus.BAD_REQUEST}
    statuses = named | _ALWAYS
    if operation.get("security"):
        statuses |= _SECURED
    if method != "get":
        statuses |= _WRITING
    if "requestBody" in operation:
        statuses |= _WITH_BODY
    if _idempotency_key(operation):
        statuses |= _WITH_KEY
    schema = {"$ref": "#/components/schemas/Problem"}
    for status in sorted(statuses):
        codes = _codes_of(operation, int(status), {code: known[code].status for code in known})
        responses[status] = {
            "description": HTTPStatus(int(status)).phrase,
            "content": {problems.CONTENT_TYPE: {"schema": schema, "examples": _examples(codes)}},
        }


def _add_refusals(operation: dict[str, Any], known: _Known) -> None:
    """Document that a function too may be throttled or unavailable, in its own form."""
    responses = operation["responses"]
    refused = responses["400"]["content"]["application/json"]
    statuses = {
        code: RPC_STATUS.get(error.status, int(error.status)) for code, error in known.items()
    }
    for status in sorted({*(each for each in responses if each >= "400"), "429", "503"}):
        codes = _codes_of(operation, int(status), statuses)
        responses[status] = {
            "description": HTTPStatus(int(status)).phrase,
            "content": {
                "application/json": {
                    "schema": refused["schema"],
                    "examples": _examples(codes, prefix="RPC_"),
                }
            },
        }


def _codes_of(operation: dict[str, Any], status: int, statuses: dict[str, int]) -> list[str]:
    """Return the codes to show of a status: what an operation names itself, and what is usual."""
    name = operation["operationId"]
    own = [code for code in refusals.by_operation().get(name, []) if statuses[code] == status]
    codes = dict.fromkeys(own)
    secured = bool(operation.get("security"))
    usual = _USUAL[str(status)]
    if not (own and (str(status) in _ONLY_WITHOUT_OWN or not secured)):
        codes[usual] = None
    if status == HTTPStatus.BAD_REQUEST:
        if "amount" in repr(operation.get("requestBody", {}).get("content", {})):
            codes["INVALID_AMOUNT"] = None
        if _idempotency_key(operation):
            codes["IDEMPOTENCY_KEY_REQUIRED"] = None
    return sorted(codes)


def _examples(codes: list[str], *, prefix: str = "") -> dict[str, Any]:
    return {code: {"$ref": f"#/components/examples/{prefix}{code}"} for code in codes}


def _idempotency_key(operation: dict[str, Any]) -> dict[str, Any] | None:
    for each in operation.get("parameters", ()):
        if each["name"] == "Idempotency-Key":
            found: dict[str, Any] = each
            return found
    return None


def _describe_idempotency_key(operation: dict[str, Any]) -> None:
    if parameter := _idempotency_key(operation):
        parameter["schema"] = IDEMPOTENCY_KEY_SCHEMA
        parameter["example"] = "till-7-000123"


def _add_beginnings(operation: dict[str, Any]) -> None:
    """Show how a picture begins."""
    for response in operation["responses"].values():
        for kind, media in response.get("content", {}).items():
            if kind in _BEGINNINGS:
                summary, value = _BEGINNINGS[kind]
                media.setdefault("examples", {"Picture": {"summary": summary, "value": value}})


def _add_headers(operation: dict[str, Any]) -> None:
    """Document the headers a program looks at."""
    for status, response in operation["responses"].items():
        names = ["X-Request-ID"]
        if status in _HEADERS_OF_STATUS:
            names.append(_HEADERS_OF_STATUS[status])
        if status in _REPLAYED and _idempotency_key(operation):
            names.append("Idempotent-Replayed")
        if status == "200" and operation["operationId"] in _FILES:
            names.append("Content-Disposition")
        headers = response.setdefault("headers", {})
        for name in names:
            headers.setdefault(name, {"$ref": f"#/components/headers/{name}"})


def _add_path_examples(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in PATH_EXAMPLES:
            parameter.setdefault("example", PATH_EXAMPLES[parameter["name"]])


def _add_empty_body_example(operation: dict[str, Any]) -> None:
    """Show `{}` where an operation takes an object without members."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if media["schema"] == {"type": "object"}:
            media.setdefault("examples", {"Empty": {"value": {}}})


def _correct_page_examples(path: str, operation: dict[str, Any]) -> None:
    """Show the first of two pages, at this operation's own address, if it has pages."""
    if not any(each["name"] == "cursor" for each in operation.get("parameters", ())):
        return
    for response in operation["responses"].values():
        for media in response.get("content", {}).values():
            for example in media.get("examples", {}).values():
                value = example["value"]
                if isinstance(value, dict) and {"next", "previous"} <= value.keys():
                    value |= {
                        "next": f"https://mps.example.com{path}?cursor=cD0xMDA",
                        "previous": None,
                    }


def _forget_enum_ids(node: Any) -> None:
    """Leave choices where they are used, without the marks by which they could be moved."""
    if isinstance(node, dict):
        node.pop("x-spec-enum-id", None)
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list)):
            _forget_enum_ids(child)
