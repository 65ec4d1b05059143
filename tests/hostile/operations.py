"""The operations there are, read from the OpenAPI the code itself makes: a new one joins by
itself.
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

from drf_spectacular.generators import SchemaGenerator

MONEY_PATTERN = r"^[0-9]{1,12}\.[0-9]{2}$"


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return self.id

    @property
    def is_rpc(self) -> bool:
        return self.path.startswith("/rest/")

    @property
    def writes(self) -> bool:
        return self.method != "get"

    @property
    def schemes(self) -> set[str]:
        """How a caller shows who they are; empty: they need not."""
        return {name for each in self.described.get("security", ()) for name in each}

    @property
    def needs_key(self) -> bool:
        return any(each["name"] == "Idempotency-Key" for each in self.parameters("header"))

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def body(self) -> dict[str, Any] | None:
        """The media type object of the JSON body, if it takes one."""
        content = self.described.get("requestBody", {}).get("content", {})
        return content.get("application/json")

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """The schema of each member of the body."""
        return resolve(self.body["schema"]).get("properties", {}) if self.body else {}

    @property
    def example(self) -> dict[str, Any]:
        """The first example of a body."""
        examples = (self.body or {}).get("examples") or {"": {"value": {}}}
        return dict(next(iter(examples.values()))["value"])

    def parameters(self, where: str) -> list[dict[str, Any]]:
        return [each for each in self.described.get("parameters", ()) if each["in"] == where]


@functools.cache
def schema() -> dict[str, Any]:
    """The whole OpenAPI document."""
    return SchemaGenerator().get_schema(request=None, public=True)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to a component."""
    while "$ref" in node or len(node.get("allOf", ())) == 1:
        if "$ref" in node:
            node = schema()["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]
        else:
            node = node["allOf"][0]
    return node


@functools.cache
def operations() -> tuple[Operation, ...]:
    """Every operation of the API and of the facade."""
    return tuple(
        Operation(described["operationId"], method, path, described)
        for path, methods in schema()["paths"].items()
        for method, described in methods.items()
    )


def writes() -> tuple[Operation, ...]:
    return tuple(each for each in operations() if each.writes)


def with_body() -> tuple[Operation, ...]:
    return tuple(each for each in operations() if each.body is not None)


def reads() -> tuple[Operation, ...]:
    return tuple(each for each in operations() if not each.writes)
