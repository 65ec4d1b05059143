"""`manage.py write_api_examples`: write examples of all operations, `docs/api-reference.md`."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import override
from drf_spectacular.generators import SchemaGenerator

from mps.base.core import refusals
from mps.base.core.generated_docs import WriteDocument

FILE = "docs/api-reference.md"
_INTRODUCTION = """\
# API reference

<!-- Written by `manage.py write_api_examples`; a test fails when it is stale. -->

This reference lists every operation with a request and its response. For how the operations work
together, see [api.md](api.md).

Set these variables to run the examples in a shell:

```bash
MPS=http://127.0.0.1:8000   # base URL of MPS
MEMBER_TOKEN=mps.m…         # from `login`
TERMINAL_KEY=mps.t…         # from `manage.py create_merchant`, or the console
SERVICE_KEY=mps.s…          # from `manage.py create_service_key`
```

[errors.md](errors.md) describes the format of errors and each code. Every operation can return
these errors, which are not repeated below:

- `INVALID_REQUEST`, and `INVALID_AMOUNT` if there is an amount;
- with a body, `PAYLOAD_TOO_LARGE` and `UNSUPPORTED_MEDIA_TYPE`;
- with authentication, `NOT_AUTHENTICATED`; also for the wrong kind of key, and for a function,
  `PERMISSION_DENIED`;
- `NOT_ACCEPTABLE`, `METHOD_NOT_ALLOWED`, `RATE_LIMITED`, `UNAVAILABLE`;
- with an `Idempotency-Key`, `IDEMPOTENCY_KEY_REQUIRED` and `IDEMPOTENCY_KEY_REUSED`;
- with an object in the path, `NOT_FOUND`, and `CARD_NOT_FOUND` for a card.
"""
_TITLES = {
    "Members": "Members",
    "POS": "Tills",
    "Reports": "Reports",
    "RPC": "RPC",
}
_WHO = {
    "memberToken": ("a member", '-H "Authorization: Bearer $MEMBER_TOKEN"'),
    "terminalKey": ("a terminal", '-H "Authorization: Bearer $TERMINAL_KEY"'),
    "serviceKey": ("a trusted backend", '-H "Authorization: Bearer $SERVICE_KEY"'),
    "rpcKey": ("", '-H "apikey: $SERVICE_KEY"'),
}
_METHODS = ("get", "post", "put", "patch", "delete")
_QUERY_EXAMPLES = {
    "card_no": "PPD00000001",
    "date": "2025-09-29",
    "external_order_id": "WX20250929001",
    "start_date": "2025-09-01",
    "end_date": "2025-09-30",
}


class Command(WriteDocument):
    """Write the reference, or check that it is current."""

    help = f"Write every operation of the API with an example into {FILE}."
    file = FILE
    command = "write_api_examples"

    def render(self) -> str:
        """Return the document."""
        return render()


def render() -> str:
    """Return the document."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, method, operation in operations():
        found.setdefault(operation["tags"][0], []).append((path, method, operation))
    parts = [_INTRODUCTION]
    for tag in [*_TITLES, *sorted(found.keys() - _TITLES.keys())]:
        listed = found.get(tag, [])
        parts.append(f"## {_TITLES.get(tag, tag)}\n\n| operation | |\n|---|---|\n")
        parts += [
            f"| [{each['operationId']}](#{each['operationId']}) | `{method.upper()} {path}` |\n"
            for path, method, each in listed
        ]
        parts += [_operation(path, method, each) for path, method, each in listed]
    return "\n".join("".join(parts).replace("\n## ", "\n\n## ").splitlines()) + "\n"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of every operation, by path."""
    with override("en"):
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    name = operation["operationId"]
    who = _who(operation)
    text = operation.get("description", "").strip()
    summary = operation.get("summary", "").strip()
    parts = [f"\n### {name}\n", f"`{method.upper()} {path}`{f', by {who}' if who else ''}\n"]
    parts += [f"{each}\n" for each in (summary, text) if each]
    if query := _parameters(operation, "query"):
        parts.append("Query parameters: " + ", ".join(f"`{each['name']}`" for each in query) + "\n")
    parts += list(_requests(path, method, operation))
    parts += list(_answers(operation))
    if codes := refusals.by_operation().get(name):
        parts.append("Errors: " + ", ".join(f"`{code}`" for code in sorted(codes)) + "\n")
    return "\n".join(parts)


def _who(operation: dict[str, Any]) -> str:
    schemes = [scheme for each in operation.get("security", ()) for scheme in each]
    return " or ".join(_WHO[scheme][0] for scheme in schemes)


def _parameters(operation: dict[str, Any], place: str) -> list[dict[str, Any]]:
    return [each for each in operation.get("parameters", ()) if each["in"] == place]


def _requests(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield a call of curl for each example of the body, or one for none."""
    for each in _parameters(operation, "path"):
        path = path.replace(f"{{{each['name']}}}", str(each.get("example", f"<{each['name']}>")))
    required = {
        each["name"]: each.get("example") or _QUERY_EXAMPLES.get(each["name"], "…")
        for each in _parameters(operation, "query")
        if each.get("required")
    }
    address = f'"$MPS{path}{"?" if required else ""}{urlencode(required)}"'
    options = [_WHO[name][1] for scheme in operation.get("security", ()) for name in scheme][:1]
    if any(each["name"] == "Idempotency-Key" for each in _parameters(operation, "header")):
        options.append(f"-H 'Idempotency-Key: {operation['operationId']}-0001'")
    examples = list(_examples(operation.get("requestBody", {})))
    verb = "" if method == "get" or (method == "post" and examples) else f"-X {method.upper()} "
    for label, value in examples or [("", None)]:
        body = []
        if value is not None:
            shown = json.dumps(value, ensure_ascii=False).replace("'", "'\\''")
            body = ["-H 'Content-Type: application/json'", f"-d '{shown}'"]
        lines = " \\\n  ".join([f"curl -sS {verb}{address}", *options, *body])
        yield (f"{label}:\n\n" if label and len(examples) > 1 else "") + f"```bash\n{lines}\n```\n"


def _answers(operation: dict[str, Any]) -> Iterator[str]:
    """Yield what it answers when it succeeds."""
    for status, response in sorted(operation["responses"].items()):
        if int(status) >= HTTPStatus.MULTIPLE_CHOICES:
            continue
        kind = next(iter(response.get("content", {})), "")
        if not kind:
            yield f"{status}, no body.\n"
            continue
        is_json = kind == "application/json"
        headline = status if is_json else f"{status}, `{kind}`"
        # A picture's first bytes tell a reader nothing.
        examples = [] if kind.startswith("image/") else _examples(response)
        shown = [_shown(value) if is_json else str(value) for _label, value in examples]
        yield headline + (":\n" if shown else ".\n")
        for text in shown:
            yield f"```{'json' if is_json else 'text'}\n{text.rstrip()}\n```\n"


def _examples(message: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for media in message.get("content", {}).values():
        for each in media.get("examples", {}).values():
            yield each.get("summary", ""), each["value"]


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
