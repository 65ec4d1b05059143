"""`manage.py write_error_docs`: every error code in one table, `docs/errors.md`."""

import inspect
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import override

from mps.core.errors import MpsError

FILE = "docs/errors.md"
_INTRODUCTION = """\
# Error codes

<!-- Written by `manage.py write_error_docs`; a test fails when it is stale. -->

Every refusal is a problem document (RFC 9457) of type `application/problem+json`:

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

`code` is what a program looks at: it never changes and is never translated. `request_id` is also in
the answer's `X-Request-ID` and in the log. Where fields are wrong, `errors` maps each to what is
wrong with it. `instance` is empty in a refusal that is stored under an `Idempotency-Key`, to be
given again. 429 and 503 come with `Retry-After`.

The RPC facade answers the same codes in PostgREST's form: `{"code": "P0001", "message": "<code>",
"details": ..., "hint": ...}`.

| code | HTTP | title | meaning |
|---|---|---|---|
"""


class Command(BaseCommand):
    """Write the table, or check that it is current."""

    help = f"Write every error code with its status and title into {FILE}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to check only."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 if the file is stale"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        file: Path = settings.BASE_DIR / FILE
        text = render()
        if not options["check"]:
            file.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {FILE}.")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            raise CommandError(f"{FILE} is stale: run manage.py write_error_docs.")
        else:
            self.stdout.write(f"{FILE} is current.")


def render() -> str:
    """Return the document."""
    # With the endpoints comes everything they can raise; what has no endpoint has its module.
    autodiscover_modules("errors")
    import_module(settings.ROOT_URLCONF)
    rows = set()
    with override("en"):
        for error in _errors(MpsError):
            meaning = " ".join((inspect.getdoc(error) or "").split())
            rows.add(
                f"| `{error.code}` | {error.status} | {_cell(error.title)} | {_cell(meaning)} |"
            )
    return _INTRODUCTION + "\n".join(sorted(rows)) + "\n"


def _errors(base: type[MpsError]) -> list[type[MpsError]]:
    found = []
    for error in base.__subclasses__():
        found += [error, *_errors(error)]
    # Those of a test are no part of the product.
    return [error for error in found if not error.__module__.startswith("tests.")]


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")
