"""`manage.py write_error_docs`: write `docs/errors.md`, the table of error codes."""

import inspect
from importlib import import_module

from django.conf import settings
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import override

from mps.base.core.errors import every_error
from mps.base.core.generated_docs import WriteDocument

FILE = "docs/errors.md"
_INTRODUCTION = """\
# Error codes

<!-- Written by `manage.py write_error_docs`; a test fails when it is stale. -->

Every error is a problem document (RFC 9457) of type `application/problem+json`:

```json
{
  "type": "urn:mps:error:INSUFFICIENT_BALANCE",
  "title": "The card's balance does not suffice.",
  "status": 402,
  "detail": "The card's balance does not suffice.",
  "instance": "/api/v1/pos/charges",
  "code": "INSUFFICIENT_BALANCE",
  "request_id": "4f2d3c3e7a5b4c0f9d8e7f6a5b4c3d2e"
}
```

Programs should check `code`: it never changes and is never translated. `title` is for people, in
the language of `Accept-Language`: `en`, or `zh-hant` for Traditional Chinese. A replayed error is
also in the language of the new request. `request_id` is also in the `X-Request-ID` header and in
the log; replayed responses keep the original request ID. For invalid fields, `errors` maps each
field to its messages. 429 and 503 include `Retry-After`.

The RPC facade returns the same codes in PostgREST's format: `{"code": "P0001", "message": "<code>",
"details": ..., "hint": ...}`.

| code | HTTP | title | meaning |
|---|---|---|---|
"""


class Command(WriteDocument):
    """Write the table, or check that it is current."""

    help = f"Write every error code with its status and title into {FILE}."
    file = FILE
    command = "write_error_docs"

    def render(self) -> str:
        """Return the document."""
        return render()


def render() -> str:
    """Return the document."""
    # With the endpoints comes everything they can raise; what has no endpoint has its module.
    autodiscover_modules("errors")
    import_module(settings.ROOT_URLCONF)
    rows = set()
    with override("en"):
        for error in every_error():
            meaning = " ".join((inspect.getdoc(error) or "").split())
            rows.add(
                f"| `{error.code}` | {error.status} | {_cell(error.title)} | {_cell(meaning)} |"
            )
    return _INTRODUCTION + "\n".join(sorted(rows)) + "\n"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")
