"""What the API says of itself: complete, valid, and true of what it answers."""

import functools
import io
from collections import Counter
from typing import Any

import jsonschema
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import openapi
from schemathesis.checks import CHECKS as KNOWN
from schemathesis.checks import load_all_checks

from mps.wsgi import application
from tests.hostile import operations as api
from tests.hostile.operations import Operation
from tests.hostile.test_input import report
from tests.hostile.world import CODES, World, make_world

load_all_checks()
CHECKS = KNOWN.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    ]
)
EXAMPLES_EACH = 8


def test_the_schema_is_valid_and_without_a_warning() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=io.StringIO())


def test_every_operation_has_an_example() -> None:
    faults = []
    for operation in api.operations():
        described = operation.described
        places = []
        if operation.body is not None:
            places.append(("body", operation.body))
        for status, response in described["responses"].items():
            media = response.get("content", {}).get("application/json")
            if status.startswith("2") and media is not None:
                places.append((status, media))
        places += [("path", each) for each in operation.parameters("path")]
        faults += [
            f"{operation}: no example of its {where}"
            for where, place in places
            if not place.get("examples") and "example" not in place
        ]
    report(faults)


def test_every_example_is_what_its_schema_says() -> None:
    faults = []
    for operation in api.operations():
        responses = operation.described["responses"].values()
        medias = [media for response in responses for media in response.get("content", {}).values()]
        # A function takes numbers, too, where its schema has strings.
        if operation.body and not operation.is_rpc:
            medias.append(operation.body)
        for media in medias:
            for name, example in media.get("examples", {}).items():
                fault = fault_of_value(_shown(example)["value"], media["schema"])
                if fault:
                    faults.append(f"{operation} {name}: {fault}")
    report(faults)


def _shown(example: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to an example."""
    name = example.get("$ref", "").rpartition("/")[2]
    shown: dict[str, Any] = api.schema()["components"]["examples"][name] if name else example
    return shown


def test_every_refusal_has_an_example_of_its_own_status() -> None:
    faults = []
    for operation in api.operations():
        for status, response in operation.described["responses"].items():
            if status < "400":
                continue
            (media,) = response["content"].values()
            shown = [_shown(each)["value"] for each in media["examples"].values()]
            wrong = [each for each in shown if each.get("status", int(status)) != int(status)]
            if not shown or wrong:
                faults.append(f"{operation} {status}: {wrong or 'no example'}")
    report(faults)


def test_codes_headers_and_keys_are_described() -> None:
    document = api.schema()
    codes = set(document["components"]["schemas"]["ErrorCode"]["enum"])
    assert codes >= CODES
    assert document["servers"] == [{"url": "/", "description": "Where this document comes from"}]
    for operation in api.operations():
        for status, response in operation.described["responses"].items():
            assert "X-Request-ID" in response["headers"]
            assert ("Retry-After" in response["headers"]) == (status in {"429", "503"})
        for parameter in operation.parameters("header"):
            assert parameter["schema"]["maxLength"] == 255
            assert parameter["schema"]["minLength"] == 1
    charge = next(each for each in api.operations() if each.id == "charge")
    assert "Idempotent-Replayed" in charge.described["responses"]["201"]["headers"]
    pictures = [each for each in api.operations() if each.id.startswith("draw_")]
    for operation in pictures:
        (media,) = operation.described["responses"]["200"]["content"].values()
        assert media["examples"]


def test_what_is_not_described_is_seen_at_any_depth() -> None:
    schema = {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "nullable": True,
                    "properties": {"id": {"type": "string"}, "tag": {"type": "object"}},
                    "required": ["id"],
                },
            }
        },
    }

    assert fault_of_value({"rows": [{"id": "a", "tag": {"any": 1}}, None]}, schema) == ""
    assert fault_of_value({"rows": [{"id": "a", "more": 1}]}, schema)
    assert fault_of_value({"rows": [{"tag": {}}]}, schema)
    assert fault_of_value({"rows": [], "more": 1}, schema)


def test_every_success_is_what_its_schema_says(database: str) -> None:
    """The control of the other tests, too: what they break is refused for being broken."""
    faults = []
    one_for_reading, reads = make_world(), set(map(str, api.reads()))
    for operation in api.operations():
        world = one_for_reading if str(operation) in reads else make_world()
        query = f"?external_order_id={world.order}" if operation.id.endswith("_by_order") else ""

        response = world.send(
            operation, world.body(operation) if operation.body else None, query=query
        )

        fault = fault_of_success(operation, response)
        if fault:
            faults.append(f"{operation}: {response.status_code} {fault} {response.content[:300]!r}")
    report(faults)


def test_what_lists_hold_is_what_their_schema_says(database: str) -> None:
    """Where the others find a list empty: refunds, deliveries, failures."""
    world = make_world()
    named = {each.id: each for each in api.operations()}
    refund, ping, charge = (named[each] for each in ("refund", "test_webhook_endpoint", "charge"))
    assert world.send(refund, {"amount": "10.00", "reason": "damaged"}).status_code == 201
    assert world.send(ping).status_code == 201
    assert world.send(charge, {"code": world.code, "amount": "9000.00"}).status_code == 402

    for name, rows, query in (
        ("get_charge", "refunds", ""),
        ("find_charge_by_order", "refunds", f"?external_order_id={world.order}"),
        ("list_webhook_deliveries", "results", ""),
        ("report_failure_reasons", "lines", ""),
        ("list_shop_transactions", "results", "?status=failed"),
    ):
        response = world.send(named[name], query=query)

        assert response.json()[rows], name
        assert fault_of_success(named[name], response) == "", name


def fault_of_success(operation: Operation, response: Any) -> str:
    """Return in what an answer differs from what is documented of it."""
    documented = operation.described["responses"].get(str(response.status_code))
    if response.status_code >= 300 or documented is None:
        return "no documented success"
    if response.get("Content-Type", "").split(";")[0] not in documented.get("content", {"": None}):
        return f"another content type: {response['Content-Type']}"
    media = documented.get("content", {}).get("application/json")
    if media is None:
        return ""
    return fault_of_value(response.json(), media["schema"])


@functools.cache
def _components() -> dict[str, Any]:
    return _as_json_schema({"components": api.schema()["components"]})


def fault_of_value(value: Any, schema: dict[str, Any]) -> str:
    """Return in what a value differs from a schema of the document, at any depth.

    A member the schema does not name is a difference, too.
    """
    validator = jsonschema.Draft202012Validator({**_as_json_schema(schema), **_components()})
    return "; ".join(
        f"{error.message[:200]} at {error.json_path}" for error in validator.iter_errors(value)
    )


def _as_json_schema(node: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema says it, closed to members it does not name."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    done = {name: _as_json_schema(each) for name, each in node.items() if name != "nullable"}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        done.setdefault("additionalProperties", False)
    return {"anyOf": [done, {"type": "null"}]} if node.get("nullable") is True else done


def test_every_operation_documents_its_problems() -> None:
    for operation in api.operations():
        responses = operation.described["responses"]
        assert {"400", "503"} <= set(responses), operation
        assert not operation.schemes or {"401", "403", "404"} <= set(responses), operation
        if operation.is_rpc:
            continue
        assert not operation.needs_key or {"402", "422"} <= set(responses), operation
        for status, response in responses.items():
            if int(status) >= 400:
                ((kind, media),) = response["content"].items()
                assert kind == "application/problem+json"
                assert media["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_lists_show_how_they_page() -> None:
    lists = [each for each in api.reads() if each.id.startswith("list_")]
    paged = [
        each
        for each in lists
        if any(parameter["name"] == "cursor" for parameter in each.parameters("query"))
    ]
    assert len(paged) >= 3
    for operation in paged:
        media = operation.described["responses"]["200"]["content"]["application/json"]
        assert set(api.resolve(media["schema"])["properties"]) == {"results", "next", "previous"}


def test_money_moving_operations_document_their_key_and_who_may() -> None:
    keyed = {each.id for each in api.operations() if each.needs_key}
    assert {"charge", "refund", "top_up"} <= keyed
    schemes = api.schema()["components"]["securitySchemes"]
    assert {"terminalKey", "memberToken"} <= set(schemes)
    without = {each.id for each in api.operations() if not each.schemes}
    assert without == {
        "login",
        "login_by_code",
        "login_by_provider",
        "register",
        "request_login_code",
        "request_password_reset",
        "reset_password",
    }


def test_generated_requests_get_documented_answers(database: str) -> None:
    world = make_world()
    document = openapi.from_wsgi("/api/schema/", application)
    faults = []
    sent: Counter[str] = Counter()
    for operation in api.operations():
        # The others need the token.
        if operation.id != "logout":
            described = document[operation.path][operation.method.upper()]
            fault = fuzz(world, described, operation, sent)
            if fault:
                faults.append(f"{operation}: {fault}")
    report(faults)
    assert len(sent) == len(api.operations()) - 1


def fuzz(world: World, described: Any, operation: Operation, sent: Counter[str]) -> str:
    """Send generated requests; return what is wrong with an answer, if something is."""
    values = {"card_no": world.card.number, "member_no": world.friend.number, "provider": "line"}
    known = {name: values[name] for name in operation.path_parameters if name in values}

    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(path_parameters=known or None))
    def send(case: Any) -> None:
        sent[operation.id] += 1
        response = case.call(headers=world.headers(operation))
        case.validate_response(response, checks=CHECKS)

    try:
        send()
    except Exception as failure:  # every kind of it is to be reported
        return f"{type(failure).__name__}: {failure}"[:1500]
    return ""
