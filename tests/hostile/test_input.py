"""Bad bodies, fields, parameters and headers, over every operation there is: always refused with a
problem, and nothing moves.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cards.selectors import balances_of
from tests import factories
from tests.hostile import operations as api
from tests.hostile.operations import Operation
from tests.hostile.world import World, escape, fault_of_refusal, make_world, snapshot
from tests.matrix import by_thirds, of_third

AMOUNTS = [
    *("NaN", "1e400", "-0.00", "0.001", "0", "0.00", "１２.３４", "1_000", " 10 ", "1E+2", "+5"),
    *("-5", "Infinity", "", "1.", ".5", "0x10", "1,000.00", "9" * 13, "10.00\n", "٣", "1" * 5000),
    *(True, False, None, [], {}, ["1.00"], {"amount": "1.00"}),
]
RAW_NUMBERS = [
    *("1e400", "-0.00", "0.001", "0", "1e2", "10.005", "-5", "9" * 13, "9" * 4000, "1E+2"),
    *("NaN", "Infinity", "-Infinity", "1_000", "+5", "01", "0x10"),
]
TEXTS = [
    *("a\x00b", "\ud800", "x\udfff", "a\x07b", "line\nbreak", "\u2028", "\x7f", "é\x85"),
    "x" * 20_000,
]
OF_OTHER_TYPES: dict[str, list[Any]] = {
    "string": [0, 1.5, True, False, [], {}, ["a"], {"a": "b"}],
    "integer": ["1", 1.5, True, [], {}, 10**30, "one"],
    "number": [True, [], {}, "many", "NaN"],
    "boolean": ["true", 1, 0, [], {}],
    "object": ["text", 1, True, [], ["a"]],
    "array": ["text", 1, True, {}, [1], ["no such"], [None], [[]]],
}
TAGS: list[Any] = [
    {"a": "\x00"},
    {"a\x00": 1},
    {"\ud800": 1},
    {"a": ["\udfff"]},
    {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}},
    {"a": "x" * 5_000},
]


@pytest.fixture
def world(database: str) -> World:
    return make_world()


def report(faults: list[str]) -> None:
    """Fail with all of them, one a line."""
    if faults:
        pytest.fail(f"{len(faults)} faults:\n" + "\n".join(faults[:40]), pytrace=False)


def hostile_values(operation: Operation, name: str, schema: dict[str, Any]) -> Iterator[Any]:
    """What a field of this schema must refuse."""
    schema = api.resolve(schema)
    if schema.get("pattern") == api.MONEY_PATTERN:
        # An optional limit may be none.
        yield from (each for each in AMOUNTS if each is not None or not schema.get("nullable"))
        return
    kind = schema.get("type", "object")
    others = OF_OTHER_TYPES[kind]
    if schema.get("format") == "decimal":
        # A rate may be a number, too.
        others = [value for value in others if not isinstance(value, int) or value is True]
    yield from others
    if kind == "string":
        yield from TEXTS
    if kind == "object":
        yield from TAGS
    if not schema.get("nullable") and not operation.is_rpc:
        yield None


def raw(body: dict[str, Any], name: str, number: str) -> bytes:
    """Return a body with a number as it is written here, valid JSON or not."""
    text = json.dumps({**body, name: "@@"})
    return text.replace('"@@"', number).encode()


def _named(name: str) -> Operation:
    return next(each for each in api.operations() if each.id == name)


@by_thirds
def test_fields_of_the_wrong_kind_are_refused(world: World, third: int) -> None:
    before = snapshot()
    faults = []
    cells = [
        (operation, name, value)
        for operation in api.with_body()
        for name, schema in operation.fields.items()
        for value in hostile_values(operation, name, schema)
        if value is not None or not operation.is_rpc
    ]
    assert len(cells) > 500
    for operation, name, value in of_third(third, cells):
        response = world.send(operation, {**world.body(operation), name: value})

        fault = fault_of_refusal(response, rpc=operation.is_rpc)
        if fault:
            faults.append(f"{operation} {name}={value!r:.80}: {fault}")
    report(faults)
    assert snapshot() == before


def test_numbers_are_taken_as_written_or_refused(world: World) -> None:
    before = snapshot()
    faults = []
    for operation in api.with_body():
        body = world.body(operation)
        for name, schema in operation.fields.items():
            if api.resolve(schema).get("pattern") != api.MONEY_PATTERN:
                continue
            for number in RAW_NUMBERS:
                response = world.send(operation, raw(body, name, number))

                fault = fault_of_refusal(response, rpc=operation.is_rpc)
                if fault:
                    faults.append(f"{operation} {name}={number:.40}: {fault}")
    report(faults)
    assert snapshot() == before


def test_numbers_in_a_tag_are_kept_or_refused(world: World) -> None:
    before = snapshot()
    charge = _named("charge")
    for number in ("1e400", "-1e999", "NaN"):
        body = raw(world.body(charge), "tag", f'{{"a": [{number}]}}')
        assert fault_of_refusal(world.send(charge, body), status=400) == "", number
    assert snapshot() == before


def broken_bodies(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """What is no body: each with what is wrong."""
    good = json.dumps(body)
    name, value = next(iter(body.items()), ("a", 1))
    again = json.dumps({name: value})[1:-1]
    yield "duplicate key", f"{{{again}, {good[1:]}".encode() if body else b'{"a": 1, "a": 1}'
    yield "duplicate key, escaped", b'{"a": 1, "\\u0061": 2}'
    yield "duplicate key inside", b'{"tag": {"a": 1, "a": 2}}'
    yield "100,000 levels of lists", b"[" * 100_000 + b"]" * 100_000
    yield "100,000 levels unclosed", b"[" * 100_000
    yield "30,000 levels of objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield "100 levels", b'{"tag":' * 100 + b"1" + b"}" * 100
    yield "10 MB", b'{"name": "' + b"x" * 10_000_000 + b'"}'
    yield "100,000 characters", json.dumps({**body, name: "x" * 100_000}).encode()
    yield "truncated", good[:-1].encode()
    yield "truncated in a string", b'{"code": "123'
    yield "byte order mark", b"\xef\xbb\xbf" + good.encode()
    yield "UTF-16", good.encode("utf-16")
    yield "invalid UTF-8", b'{"name": "\xff\xfe"}'
    yield "surrogates as bytes", b'{"name": "\xed\xa0\x80"}'
    yield "surrogate escape", b'{"name": "\\ud800"}'
    yield "surrogate key", b'{"\\udc00": 1}'
    yield "NUL escape", b'{"name": "\\u0000"}'
    yield "raw NUL", b'{"name": "\x00"}'
    yield "raw control character", b'{"name": "\x07"}'
    yield "constants", b'{"amount": NaN}'
    yield "list", b"[]"
    yield "list of bodies", f"[{good}]".encode()
    yield "string", b'"text"'
    yield "number", b"1"
    yield "null", b"null"
    yield "true", b"true"
    yield "two bodies", (good + good).encode()
    yield "comment", b"{/* */}"
    yield "trailing comma", b'{"a": 1,}'
    yield "single quotes", b"{'a': 1}"
    yield "only spaces", b"   "
    yield "form", b"code=1&amount=1.00"


def test_broken_bodies_are_refused(world: World) -> None:
    before = snapshot()
    faults = []
    for operation in api.with_body():
        for what, body in broken_bodies(world.body(operation)):
            response = world.send(operation, body)

            fault = fault_of_refusal(response, rpc=operation.is_rpc)
            if fault:
                faults.append(f"{operation}, {what}: {fault}")
    report(faults)
    assert snapshot() == before


def test_an_empty_body_is_an_empty_object(world: World) -> None:
    before = snapshot()
    faults = []
    for operation in api.with_body():
        if api.resolve(operation.body["schema"]).get("required"):
            for body in (b"", b"{}"):
                fault = fault_of_refusal(world.send(operation, body), rpc=operation.is_rpc)
                if fault:
                    faults.append(f"{operation}: {fault}")
    report(faults)
    assert snapshot() == before


def test_junk_bodies_where_none_is_taken_break_nothing(world: World) -> None:
    faults = []
    without = [each for each in api.operations() if each.body is None and each.id != "logout"]
    for operation in without:
        for body in (b"{", b"\xff", b"[" * 100_000, b"x" * 3_000_000):
            response = world.send(operation, body)

            if response.status_code >= 500:
                faults.append(f"{operation}: {response.status_code} {response.content[:200]!r}")
    report(faults)


OTHER_CONTENT_TYPES = [
    *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"),
    *("multipart/form-data; boundary=x", "application/xml", "application/jsonx", "json"),
    *("application/json; charset=latin-1", "application/json; charset=utf-16", "*/*", ";"),
    *("application/json; charset=no-such-charset", "application/json, text/plain"),
    "application/vnd.mps+json",
]


def test_other_content_types_are_refused(world: World) -> None:
    before = snapshot()
    faults = []
    for operation in api.with_body():
        body = world.body(operation) or {"a": 1}
        for content_type in OTHER_CONTENT_TYPES:
            response = world.send(operation, body, content_type=content_type)

            status = 400 if operation.is_rpc else 415
            fault = fault_of_refusal(response, rpc=operation.is_rpc, status=status)
            if fault:
                faults.append(f"{operation} {content_type}: {fault}")
    report(faults)
    assert snapshot() == before


def test_json_in_utf_8_is_taken_however_it_is_named(world: World) -> None:
    charge = _named("charge")
    for named in ("", "; charset=utf-8", '; Charset="UTF-8"', ";charset=utf8"):
        world.code = factories.make_code(world.card, world.owner)
        response = world.send(charge, world.body(charge), content_type=f"application/json{named}")
        assert response.status_code == 201, response.content


def junk_queries(operation: Operation) -> Iterator[str]:
    """What an operation must refuse behind its address."""
    yield from ("?no_such=1", "?=1", "?%00=1", "?a%00b", "?%ff=%ff", "?x[]=1", f"?{'y' * 3000}=1")
    yield from ("?no_such=1&no_such=2", "?" + "&".join(f"p{each}=1" for each in range(900)))
    for parameter in operation.parameters("query"):
        name, schema = parameter["name"], parameter["schema"]
        for value in ("%00", "%ff%fe", "%ED%A0%80", "%0a", "x" * 600, "1&" + name + "=2"):
            yield f"?{name}={value}"
        if schema["type"] != "string" or "enum" in schema or "format" in schema:
            for value in ("", "1e3", "%EF%BC%91", "-1", "9" * 30, "_"):
                yield f"?{name}={value}"


@by_thirds
def test_junk_query_parameters_are_refused(world: World, third: int) -> None:
    before = snapshot()
    faults = []
    cells = [(each, query) for each in api.operations() for query in junk_queries(each)]
    for operation, query in of_third(third, cells):
        by_order = operation.id == "find_charge_by_order"
        order = f"&external_order_id={world.order}" if by_order else ""
        body = world.body(operation) if operation.body else None

        response = world.send(operation, body, query=query + order)

        fault = fault_of_refusal(response, rpc=operation.is_rpc)
        if fault:
            faults.append(f"{operation} {query[:80]}: {fault}")
    report(faults)
    assert snapshot() == before


CURSORS = [
    *("x", "%00", "cD0x", "%F0%9F%92%B3", "A" * 400, "=", "....", "bz0tMQ=="),
    *("cD0wMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA", "cD0lMDA%3D", "", "--", "%25"),
]
# In the form of ours, though never given out: an offset, and the end of a list.
STRANGE_CURSORS = ("bz05OTk5OTk5", "cj0x")


def test_junk_cursors_are_refused_by_every_list(world: World) -> None:
    lists = [
        each
        for each in api.reads()
        if any(parameter["name"] == "cursor" for parameter in each.parameters("query"))
    ]
    assert lists
    faults = []
    for operation in lists:
        for cursor in CURSORS:
            response = world.send(operation, query=f"?cursor={cursor}")

            fault = fault_of_refusal(response)
            if fault or response.status_code != 400:
                faults.append(f"{operation} {cursor[:40]}: {response.status_code} {fault}")
        for cursor in STRANGE_CURSORS:
            response = world.send(operation, query=f"?cursor={cursor}")
            if response.status_code != 200 or "results" not in response.json():
                faults.append(f"{operation} {cursor}: {response.status_code}")
    report(faults)


JUNK_IN_PATHS = [
    *(
        "%00",
        "a%00b",
        "x" * 3000,
        "%E2%98%83",
        "%ff",
        "%ED%A0%80",
        "..%2F..%2Fetc",
        "%2e%2e",
        "%0d%0a",
    ),
    *("'%3B--", "%7B%7D", "%25", "%EF%BC%91%EF%BC%92", "-1", "NaN", "null", "%20", "%F0%9F%92%B3"),
    *("PAY9999999999", "PPD99999999", "M99999999", "pay0000000001", "PAY0000000001%20"),
]


# A shop may call its orders so.
ORDERS = {"-1", "NaN", "null", "%2e%2e", *JUNK_IN_PATHS[-5:-1]}


@by_thirds
def test_junk_in_paths_is_refused(world: World, third: int) -> None:
    before = snapshot()
    faults = []
    cells = [
        (operation, name, junk)
        for operation in api.operations()
        for name in operation.path_parameters
        for junk in JUNK_IN_PATHS
        if operation.id != "reverse_order" or junk not in ORDERS
    ]
    for operation, name, junk in of_third(third, cells):
        response = world.send(
            operation,
            world.body(operation) if operation.body else None,
            url=world.url(operation, **{name: junk}),
            query="?external_order_id=x" if operation.id.endswith("by_order") else "",
        )

        fault = fault_of_refusal(response)
        if fault:
            faults.append(f"{operation} {name}={junk[:40]}: {fault}")
    report(faults)
    assert snapshot() == before


UNKNOWN_PATHS = [
    *("/api/", "/api/v1/", "/api/v2/pos/charges", "/api/v1/pos/charges/", "/api/v1//me"),
    *("/api/%00", "/api/v1/%ff", "/api/v1/" + "x" * 5000, "/api/v1/me/../me", "/api/v1/ME"),
    "/api/v1/" + escape("卡"),
]


def test_unknown_paths_are_problems(database: str, client: Any) -> None:
    for path in UNKNOWN_PATHS:
        for method in ("get", "post", "delete", "options"):
            response = getattr(client, method)(path)
            assert fault_of_refusal(response, status=404) == "", path
            assert response.json()["code"] == "NOT_FOUND"


def test_unknown_functions_and_tables_are_problems(world: World) -> None:
    operation = _named("rpc_get_card_detail")
    for path in ("/rest/v1/rpc/no_such", "/rest/v1/rpc/%00", "/rest/v1/cards", "/rest/v1/a/b"):
        response = world.send(operation, {}, url=path)
        assert fault_of_refusal(response, rpc=True, status=404) == "", path
    for path in ("/rest/", "/rest/v1/", "/rest/v2/rpc/x"):
        assert fault_of_refusal(world.send(operation, {}, url=path), status=404) == "", path


METHODS = ["get", "post", "put", "patch", "delete", "options", "head", "trace", "connect", "brew"]


def test_other_methods_are_refused(world: World) -> None:
    before = snapshot()
    faults = []
    offered: dict[str, set[str]] = {}
    for operation in api.operations():
        offered.setdefault(operation.path, set()).add(operation.method)
    for operation in api.operations():
        for method in METHODS:
            if method in offered[operation.path]:
                continue
            response = world.send(operation, {}, method=method)

            if method == "head" and "get" in offered[operation.path]:
                fault = "" if response.status_code < 500 else "HEAD"
            elif method == "head":
                fault = "" if response.status_code in {400, 405} else str(response.status_code)
            elif method == "options" and not operation.is_rpc:
                fault = "" if response.status_code == 200 else str(response.status_code)
            else:
                fault = fault_of_refusal(response, rpc=operation.is_rpc, status=405)
                allowed = set(response.get("Allow", "").lower().split(", "))
                fault = fault or ("" if offered[operation.path] <= allowed else "no Allow")
            if fault:
                faults.append(f"{operation} {method}: {fault}")
    report(faults)
    assert snapshot() == before


def test_junk_idempotency_keys_are_refused(world: World) -> None:
    before = snapshot()
    needing = [each for each in api.operations() if each.needs_key]
    assert len(needing) >= 3
    for operation in needing:
        for key in ("", " ", "x" * 256, "ключ", "\xe9", "a\x07b", "a\x00b", "a\tb"):
            response = world.send(
                operation, world.body(operation), headers={"Idempotency-Key": key}
            )

            assert fault_of_refusal(response, status=400) == "", (operation, key)
            assert response.json()["code"] == "IDEMPOTENCY_KEY_REQUIRED", (operation, key)
    assert snapshot() == before


def test_the_longest_idempotency_key_is_taken(world: World) -> None:
    charge = _named("charge")
    response = world.send(charge, world.body(charge), headers={"Idempotency-Key": "k" * 255})
    assert response.status_code == 201, response.content


JUNK_AUTHORIZATIONS = [
    *(
        "x",
        "Bearer",
        "Bearer ",
        "Bearer  x",
        "Basic YTpi",
        "Bearer \xff",
        "Bearer ключ",
        "Bearer a b",
    ),
    *("Bearer " + "x" * 100_000, "\x00", "Bearer mps.t.x", "Bearer mps.t" + "0" * 32 + ".x"),
    *("Bearer mps.t" + "0" * 32 + "." + "A" * 43, "Bearer mps.m" + "0" * 32 + "." + "A" * 43),
    *("Bearer mps.s" + "0" * 32 + "." + "A" * 43, "bearer\tx", "Bearer mps.t" + "é" * 32 + ".x"),
]


def test_junk_credentials_are_refused(world: World) -> None:
    before = snapshot()
    faults = []
    for operation in api.operations():
        if not operation.schemes:
            continue
        others = {"terminalKey", "memberToken"} - operation.schemes
        wrong = [*JUNK_AUTHORIZATIONS, *(f"Bearer {world.keys[each]}" for each in others)]
        for header in wrong[: -len(others)] if operation.is_rpc else wrong:
            response = world.send(
                operation,
                world.body(operation) if operation.body else None,
                headers={"Authorization": header},
            )

            fault = fault_of_refusal(response, rpc=operation.is_rpc, status=401)
            if not fault and not response.has_header("WWW-Authenticate"):
                fault = "no challenge"
            if fault:
                faults.append(f"{operation} {header[:40]!r}: {fault}")
    report(faults)
    assert snapshot() == before


def test_junk_request_ids_are_replaced(database: str, client: Any) -> None:
    for offered in (
        "",
        "short",
        "x" * 65,
        "a b c d e f",
        "é" * 10,
        "id\x00id\x00id",
        "id\nid-id-id",
    ):
        response = client.get("/api/v1/me", headers={"X-Request-ID": offered})
        assert fault_of_refusal(response, status=401) == ""
        assert response["X-Request-ID"] != offered
        assert len(response["X-Request-ID"]) == 32


def test_a_sane_request_id_is_kept(database: str, client: Any) -> None:
    response = client.get("/api/v1/me", headers={"X-Request-ID": "till-7.0001"})
    assert response.json()["request_id"] == response["X-Request-ID"] == "till-7.0001"


def test_what_nobody_can_write_is_not_acceptable(world: World) -> None:
    before = snapshot()
    for name in ("get_me", "charge", "list_shop_transactions", "rpc_merchant_charge_by_qr"):
        operation = _named(name)
        for accept in ("text/html", "application/xml", "image/png;q=x", "\xff", "a/b/c"):
            response = world.send(
                operation,
                world.body(operation) if operation.body else None,
                headers={"Accept": accept},
            )
            status = 400 if operation.is_rpc else 406
            assert fault_of_refusal(response, rpc=operation.is_rpc, status=status) == "", accept
    assert snapshot() == before


def test_after_all_that_the_code_still_pays(world: World) -> None:
    charge = _named("charge")
    for value in AMOUNTS:
        world.send(charge, {**world.body(charge), "amount": value})

    paid = world.send(charge, {**world.body(charge), "amount": 100.5})

    assert paid.status_code == 201, paid.content
    assert paid.json()["amount"] == "100.50"
    assert str(balances_of(world.card)[0]) == "849.50"
