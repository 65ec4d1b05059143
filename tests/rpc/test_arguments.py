"""Whatever is sent: an answer or a refusal, never a defect; and refusals move nothing."""

import json
import uuid
from typing import Any

from django.test import Client

from mps.product.rpc.functions import FUNCTIONS
from tests import factories
from tests.matrix import by_thirds, of_third
from tests.rpc.conftest import Rpc, send, world

# As they stand in the body.
HOSTILE = [
    *("true", "false", "[]", "{}", "[null]", '{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}'),
    *("0", "-1", "-0.00", "0.001", "1e400", "1E+2", "-1e-400", "9" * 400, "1.5", "NaN", "Infinity"),
    *('""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\n"', '"\\u2028"', '"%s"', '"\'"'),
    *('"１２.３４"', '"1_000"', '" 10 "', '"1E+2"', '"1234567890123"', '"0x10"', '"+1"', '"NaN"'),
    *(json.dumps("x" * 5000), json.dumps("{" * 100), '"00000000000000000000000000000000"'),
]


@by_thirds
def test_no_argument_breaks_a_function(service_key: str, third: int) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member)
    real = {
        "p_card_id": card.id,
        "p_member_id": member.id,
        "p_owner_member_id": member.id,
        "p_merchant_id": till.merchant_id,
        "p_merchant_code": till.merchant_code,
    }
    client = Client()

    cells = [
        (function, argument, value)
        for function, known in FUNCTIONS.items()
        for argument in known.arguments().fields
        for value in HOSTILE
    ]
    for function, argument, value in of_third(third, cells):
        others = {
            name: str(real.get(name, value))
            for name, value in FUNCTIONS[function].example.items()
            if name != argument
        }
        prefix = json.dumps(others)[:-1] + (", " if others else "")

        reply = send(client, service_key, function, f'{prefix}"{argument}": {value}}}')

        assert reply.status < 500, (function, argument, value)
        if reply.status != 200:
            assert reply.error


def test_arguments_have_names_we_know(rpc: Rpc, service_key: str) -> None:
    unknown = rpc(service_key, "freeze_card", card_id=str(uuid.uuid4()), cardid=1, **{"\u202e": 1})
    absent = rpc(service_key, "freeze_card", card_id=None)
    null = rpc(service_key, "freeze_card", card_id=str(uuid.uuid4()), reason=None, typo=None)
    bare = Client().post(
        "/rest/v1/rpc/freeze_card",
        {"card_id": "1"},
        "application/json",
        headers={"apikey": service_key},
    )
    provider = rpc(
        service_key,
        "create_member_profile",
        name="A",
        binding_user_org="We Chat",
        binding_org_id="1",
    )

    assert unknown.error == (400, "INVALID_REQUEST")
    assert unknown.body["hint"] == "p_cardid: Unknown argument.; p_?: Unknown argument."
    assert absent.error == (400, "INVALID_REQUEST")
    assert absent.body["hint"] == "p_card_id: This field is required."
    assert null.error == (404, "CARD_NOT_FOUND")
    assert bare.json()["hint"] == "p_card_id: It was sent as card_id."
    assert provider.body["hint"].startswith("p_binding_user_org: ")


AMOUNTS = [
    *("NaN", "1e400", "-0.00", "0.001", "0", "0.00", "true", '"１２.３４"', '"1_000"', '" 10 "'),
    *('"1E+2"', "1E+2", "1234567890123", '"-1"', "-1", '"+1"', '"0x1"', '""', "[]", "{}", "10."),
]


def test_no_such_amount_moves_anything(service_key: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00").body["tx_no"]
    code = factories.make_code(card, member)
    shop = f'"p_merchant_code": "{till.merchant_code}"'
    before = world()
    client = Client()

    for amount in AMOUNTS:
        for function, name, arguments in (
            ("merchant_charge_by_qr", "raw_amount", f'{shop}, "p_qr_plain": "{code}"'),
            ("merchant_refund_tx", "refund_amount", f'{shop}, "p_original_tx_no": "{paid}"'),
            ("user_recharge_card", "amount", f'"p_card_id": "{card.id}"'),
        ):
            body = f'{{{arguments}, "p_{name}": {amount}}}'
            reply = send(client, service_key, function, body)
            assert reply.error[0] == 400, body
            assert reply.error[1] in {"INVALID_AMOUNT", "INVALID_REQUEST"}, body

    assert world() == before
    # The code was not touched.
    assert factories.charge(till, code, "1.00").status == 201


BODIES: list[tuple[Any, str]] = [
    (b'{"p_card_id": "a", "p_card_id": "b"}', "INVALID_REQUEST"),
    (b"[" * 100_000, "PAYLOAD_TOO_LARGE"),
    (b"[" * 60_000, "INVALID_REQUEST"),
    (b'{"p_reason":' * 100_000, "PAYLOAD_TOO_LARGE"),
    (b'{"p_reason": "' + b"x" * 10_000_000 + b'"}', "PAYLOAD_TOO_LARGE"),
    (b"", "INVALID_REQUEST"),
    (b"null", "INVALID_REQUEST"),
    (b"[]", "INVALID_REQUEST"),
    (b'"text"', "INVALID_REQUEST"),
    (b"{", "INVALID_REQUEST"),
    (b"\xff\xfe", "INVALID_REQUEST"),
    (b'{"p_reason": "\xed\xa0\x80"}', "INVALID_REQUEST"),
]


def test_bodies_that_are_none(service_key: str) -> None:
    for body, code in BODIES:
        reply = send(Client(), service_key, "freeze_card", body)

        assert reply.error == (400, code), body[:40]


def test_other_content_types_and_queries(service_key: str) -> None:
    client = Client()
    headers = {"apikey": service_key}

    form = client.post("/rest/v1/rpc/freeze_card", {"p_card_id": "1"}, headers=headers)
    query = client.post(
        "/rest/v1/rpc/freeze_card?select=*", "{}", "application/json", headers=headers
    )
    csv = client.post(
        "/rest/v1/rpc/freeze_card",
        "{}",
        "application/json",
        headers={**headers, "Accept": "text/csv"},
    )

    assert (form.status_code, form.json()["message"]) == (400, "UNSUPPORTED_MEDIA_TYPE")
    assert (query.status_code, query.json()["message"]) == (400, "INVALID_REQUEST")
    assert (csv.status_code, csv.json()["message"]) == (400, "NOT_ACCEPTABLE")
