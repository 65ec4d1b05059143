"""How OpenAPI describes what every operation has in common: names, problems, examples."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema

from mps.core import problems

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457). `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "What is wrong with each field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "example": {
        "type": "urn:mps:error:INVALID_AMOUNT",
        "title": "The amount is not a positive number with at most two decimals.",
        "status": 400,
        "detail": "The amount is not a positive number with at most two decimals.",
        "instance": "/api/v1/pos/charges",
        "code": "INVALID_AMOUNT",
        "request_id": "0f8fad5bd9cb469fa16570867728950e",
        "errors": {"amount": ["The amount is not a positive number with at most two decimals."]},
    },
}
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


class Schema(AutoSchema):
    """Describe an operation; serializers nested in a view are named after it."""

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """Return `ChargesInput` for `ChargesView.Input`."""
        name: str = type(serializer).__qualname__
        return "".join(part.removesuffix("View") for part in name.split("."))


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to every operation what its view need not say; run by drf-spectacular at the end."""
    _forget_enum_ids(result)
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _add_path_examples(operation)
            _add_empty_body_example(operation)
            _correct_page_examples(path, operation)
            if path.startswith("/api/"):
                _add_problems(method, operation)
            else:
                _add_refusals(operation)
    return result


def _add_problems(method: str, operation: dict[str, Any]) -> None:
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
    if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ())):
        statuses |= _WITH_KEY
    schema = {"$ref": "#/components/schemas/Problem"}
    for status in sorted(statuses):
        responses[status] = {
            "description": HTTPStatus(int(status)).phrase,
            "content": {problems.CONTENT_TYPE: {"schema": schema}},
        }


def _add_refusals(operation: dict[str, Any]) -> None:
    """Document that a function too may be throttled or unavailable, in its own form."""
    for status in ("429", "503"):
        operation["responses"].setdefault(status, operation["responses"]["400"])


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
    """Show the first of two pages, at this operation's own address."""
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
