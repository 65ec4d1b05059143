"""Who may call what, and by which key they are known."""

import json

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from mps.base.core.errors import NotFoundError
from mps.product.rpc import services
from mps.product.rpc.functions import FUNCTIONS
from tests import factories
from tests.rpc.conftest import Rpc, audited, read, send, token_of, world
from tests.rpc.table import CALLERS


def test_every_function_is_described_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]

    offered = {path: item for path, item in paths.items() if path.startswith("/rest/")}
    assert set(offered) == {f"/rest/v1/rpc/{name}" for name in FUNCTIONS}
    for path, item in offered.items():
        assert list(item) == ["post"], path
        assert item["post"]["requestBody"]["content"]["application/json"]["examples"], path
        assert item["post"]["responses"]["200"]["content"]["application/json"]["examples"], path
    assert "/rpc/" not in capsys.readouterr().err


def test_who_may_call(rpc: Rpc, service_key: str) -> None:
    member, _ = factories.make_member()
    keys = {
        "S": service_key,
        "T": factories.make_till_and_key()[1],
        "M": token_of(member),
    }
    before = world()

    for function, callers in CALLERS.items():
        for kind, key in keys.items():
            reply = rpc(key, function, no_argument_of_ours=1)
            # Whoever may call is told what is wrong.
            expected = (400, "INVALID_REQUEST") if kind in callers else (403, "PERMISSION_DENIED")
            assert reply.error == expected, (function, kind)

    refused = audited("CALL_REFUSED")
    assert len(refused) == sum(3 - len(callers) for callers in CALLERS.values())
    assert {event["error"] for event in refused} == {"PERMISSION_DENIED"}
    assert {event["actor_type"] for event in refused} == {"member", "terminal"}
    assert world() == before


def test_nobody_calls_without_a_key(database: str) -> None:
    client = Client()
    for function in CALLERS:
        assert send(client, "", function, "{}").error == (401, "NOT_AUTHENTICATED")
        wrong = send(client, "mps.s" + "0" * 32 + "." + "x" * 43, function, "{}")
        assert wrong.error == (401, "NOT_AUTHENTICATED")
        assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_authorization_comes_before_apikey(service_key: str) -> None:
    client = Client()
    member, _ = factories.make_member()
    token = token_of(member)
    body = json.dumps({"p_member_id": str(member.id), "p_reason": "x"})
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.abcdefgh"

    def suspend(**headers: str) -> int:
        return send(client, "", "admin_suspend_member", body, **headers).status

    assert suspend(apikey=service_key) == 200
    assert suspend(Authorization=f"Bearer {service_key}") == 200
    assert suspend(apikey=jwt, Authorization=f"bearer {service_key}") == 200
    # A token that is not ours says nothing about who calls.
    assert suspend(apikey=service_key, Authorization=f"Bearer {jwt}") == 200
    assert suspend(apikey=service_key, Authorization="Basic abc") == 200
    # A member stays a member, whatever apikey the client was made with.
    assert suspend(apikey=service_key, Authorization=f"Bearer {token}") == 403
    assert suspend(apikey=jwt, Authorization=f"Bearer {jwt}") == 401
    assert suspend(apikey="") == 401


def test_a_dead_key_is_not_replaced_by_the_other(service_key: str) -> None:
    dead, text = services.create_service_key(name="old")
    services.revoke_service_key(service_key_id=dead.id, reason="leaked")
    client = Client()

    refused = send(
        client, "", "freeze_card", "{}", apikey=service_key, Authorization=f"Bearer {text}"
    )

    assert refused.error == (401, "NOT_AUTHENTICATED")
    assert audited("SERVICE_KEY_REVOKED")[0]["reason"] == "leaked"
    with pytest.raises(NotFoundError):
        services.revoke_service_key(service_key_id=dead.id)
    assert audited("SERVICE_KEY_REVOKE_REFUSED")[0]["object_id"] == str(dead.id)
    assert len(audited("SERVICE_KEY_REVOKED")) == 1


def test_keys_leave_no_trace(rpc: Rpc, service_key: str) -> None:
    secret = service_key.rsplit(".", 1)[1]

    reply = rpc(service_key, "create_prepaid_card", owner_member_id=service_key)

    assert reply.error == (400, "INVALID_REQUEST")
    assert secret not in json.dumps(reply.body)
    assert secret not in json.dumps(audited("SERVICE_KEY_CREATED"))


def test_only_post_and_only_functions(service_key: str) -> None:
    client = Client()
    headers = {"apikey": service_key}

    for method in ("get", "put", "patch", "delete", "options"):
        response = getattr(client, method)("/rest/v1/rpc/freeze_card?p_card_id=1", headers=headers)
        assert response.status_code == 405, method
        assert read(response.content)["message"] == "METHOD_NOT_ALLOWED"
        assert response["Allow"] == "POST"
    assert send(client, service_key, "drop_tables", "{}").error == (404, "NOT_FOUND")
    assert send(client, service_key, "freeze%00card", "{}").error == (404, "NOT_FOUND")
    table = client.post("/rest/v1/members_member", "{}", "application/json", headers=headers)
    assert table.status_code == 404
    assert "functions" in read(table.content)["details"]


def test_refused_when_the_database_is_away(
    rpc: Rpc, service_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections

    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", "1")

    away = rpc(service_key, "freeze_card")

    assert away.error == (503, "UNAVAILABLE")
    assert away.headers["Retry-After"] == "1"
