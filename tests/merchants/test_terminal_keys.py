"""A till's keys: rotated with overlap, revoked at once, and requests signed with them."""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from cards import payment_codes
from merchants import services, signing
from mps.base.core import errors, throttle
from mps.base.core.keys import parse_key
from tests import factories
from tests.snapshots import execute, fetch

PATH = "/api/v1/pos/transactions?type=payment"


@pytest.fixture(params=["redis", "database"])
def store(request: Any, database: str, settings: Any, monkeypatch: Any) -> str:
    """Where nonces are remembered."""
    monkeypatch.setattr(throttle._Away, "until", 0.0)
    away = {"LOCATION": "redis://127.0.0.1:1/0"} if request.param == "database" else {}
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8), **away}
    }
    return str(request.param)


def status(key: str) -> int:
    """Return how a till that shows its key is answered."""
    answer = Client().get("/api/v1/pos/transactions", headers={"Authorization": f"Bearer {key}"})
    return int(answer.status_code)


def sign(key: str, method: str, path: str, body: bytes = b"", **changes: str) -> dict[str, str]:
    """Sign a request as docs/api.md tells tills to, without our own code."""
    name, _, secret = key.removeprefix("mps.").partition(".")
    timestamp = changes.get("timestamp", str(int(time.time())))
    nonce = changes.get("nonce", secrets.token_hex(8))
    signing_key = hmac.new(secret.encode(), b"mps/terminal-signature", "sha256").digest()
    idempotency_key = changes.get("idempotency_key", "")
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join(["mps1", method, path, timestamp, nonce, digest, idempotency_key])
    return {
        "Authorization": f"Signature {name}",
        "X-MPS-Timestamp": timestamp,
        "X-MPS-Nonce": nonce,
        "X-MPS-Signature": hmac.new(signing_key, text.encode(), "sha256").hexdigest(),
    }


def events(action: str) -> int:
    return int(fetch("SELECT count(*) FROM audit_event WHERE action = %s", [action]))


def test_a_new_key_and_the_old_one_work_side_by_side_for_a_while(database: str) -> None:
    till, old = factories.make_till_and_key()
    assert till.terminal_id is not None
    new = services.rotate_terminal_key(terminal_id=till.terminal_id, overlap_seconds=3600)

    assert (status(old), status(new)) == (200, 200)
    execute("UPDATE merchants_terminalkey SET expires_at = expires_at - interval '61 minutes'")
    assert (status(old), status(new)) == (401, 200)
    assert events("TERMINAL_KEY_ROTATED") == 1


def test_without_overlap_no_older_key_works(database: str) -> None:
    till, first = factories.make_till_and_key()
    assert till.terminal_id is not None
    second = services.rotate_terminal_key(terminal_id=till.terminal_id, overlap_seconds=86_400)
    third = services.rotate_terminal_key(terminal_id=till.terminal_id, overlap_seconds=0)

    assert [status(key) for key in (first, second, third)] == [401, 401, 200]


def test_a_revoked_till_is_out_at_once(database: str) -> None:
    till, old = factories.make_till_and_key()
    assert till.terminal_id is not None
    new = services.rotate_terminal_key(terminal_id=till.terminal_id)
    services.revoke_terminal(terminal_id=till.terminal_id, reason="stolen")

    assert (status(old), status(new)) == (401, 401)
    signed = Client().get(PATH, headers=sign(new, "GET", PATH))
    assert signed.status_code == 401
    for act in (
        lambda: services.rotate_terminal_key(terminal_id=till.terminal_id),
        lambda: services.revoke_terminal(terminal_id=till.terminal_id, reason="again"),
        lambda: services.require_signatures(terminal_id=till.terminal_id),
    ):
        with pytest.raises(errors.NotFoundError):
            act()
    assert events("TERMINAL_KEY_ROTATE_REFUSED") == 1
    assert events("TERMINAL_REVOKE_REFUSED") == 1
    assert events("TERMINAL_SIGNATURES_REQUIRED_REFUSED") == 1
    with pytest.raises(errors.InvalidRequestError):
        services.create_terminal(merchant_id=till.merchant_id, name="")
    assert events("TERMINAL_CREATE_REFUSED") == 1


def test_a_signed_request_is_taken_once(store: str) -> None:
    _till, key = factories.make_till_and_key()
    headers = sign(key, "GET", PATH)

    assert Client().get(PATH, headers=headers).status_code == 200
    again = Client().get(PATH, headers=headers)

    assert again.status_code == 401
    assert again.json()["code"] == "NOT_AUTHENTICATED"
    assert events("TERMINAL_REFUSED") == 1


def test_a_signed_charge_moves_money(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    till, key = factories.make_till_and_key()
    assert till.terminal_id is not None
    services.require_signatures(terminal_id=till.terminal_id, reason="policy")
    code = payment_codes.issue_code(card_id=card.id, member_id=member.id).code
    path, body = "/api/v1/pos/charges", json.dumps({"code": code, "amount": "10.00"}).encode()

    def send(headers: dict[str, str], sent: bytes = body, *, under: str = "a-key") -> int:
        answer = Client().post(
            path,
            data=sent,
            content_type="application/json",
            headers={**headers, "Idempotency-Key": under},
        )
        return int(answer.status_code)

    signed = sign(key, "POST", path, body, idempotency_key="a-key")

    # Its key alone opens nothing any more, here or at the facade; nor does a changed body, nor
    # another key, under which it would be another payment.
    assert send({"Authorization": f"Bearer {key}"}) == 401
    facade = Client().post(
        "/rest/v1/rpc/validate_qr_plain",
        data=json.dumps({"p_qr_plain": code}),
        content_type="application/json",
        headers={"apikey": key},
    )
    assert facade.status_code == 401
    assert send(signed, body.replace(b"10.00", b"90.00")) == 401
    assert send(signed, under="another") == 401
    assert events("TERMINAL_REFUSED") == 4
    assert send(signed) == 201
    services.allow_unsigned(terminal_id=till.terminal_id)
    assert status(key) == 200


@pytest.mark.parametrize(
    "change",
    [
        {"X-MPS-Signature": "0" * 64},
        {"X-MPS-Signature": ""},
        {"X-MPS-Signature": "é" * 64},
        {"X-MPS-Nonce": "another-nonce"},
        {"X-MPS-Nonce": "x" * 65},
        {"X-MPS-Timestamp": "1765432100"},
        {"X-MPS-Timestamp": "now"},
    ],
)
def test_anything_changed_is_refused(database: str, change: dict[str, str]) -> None:
    _till, key = factories.make_till_and_key()

    answer = Client().get(PATH, headers={**sign(key, "GET", PATH), **change})

    assert answer.status_code == 401
    assert events("TERMINAL_REFUSED") == 1


@pytest.mark.parametrize(("seconds", "code"), [(-295, 200), (295, 200), (-310, 401), (310, 401)])
def test_a_signature_holds_for_five_minutes(database: str, seconds: int, code: int) -> None:
    _till, key = factories.make_till_and_key()
    headers = sign(key, "GET", PATH, timestamp=str(int(time.time()) + seconds))

    assert Client().get(PATH, headers=headers).status_code == code


def test_method_and_query_are_signed_too(database: str) -> None:
    _till, key = factories.make_till_and_key()

    assert Client().get(PATH, headers=sign(key, "POST", PATH)).status_code == 401
    other = PATH.replace("payment", "refund")
    assert Client().get(other, headers=sign(key, "GET", PATH)).status_code == 401


def test_a_key_nobody_has_signs_nothing(database: str) -> None:
    _till, key = factories.make_till_and_key()
    unknown = f"mps.t{'0' * 32}.{key.rpartition('.')[2]}"

    assert Client().get(PATH, headers=sign(unknown, "GET", PATH)).status_code == 401
    for name in ("", "x", "t" + "0" * 31, key.removeprefix("mps.")):
        headers = {**sign(key, "GET", PATH), "Authorization": f"Signature {name}"}
        assert Client().get(PATH, headers=headers).status_code == 401
    assert events("TERMINAL_REFUSED") == 0


def test_who_has_the_database_alone_can_sign_nothing(database: str, settings: Any) -> None:
    _till, key = factories.make_till_and_key()
    presented = parse_key(key)
    assert presented is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secret_hash, sealed_signing_key FROM merchants_terminal_of_key(%s)",
            [presented.id],
        )
        kept = [bytes(each) for each in cursor.fetchone()]

    right = signing.signing_key(key.rpartition(".")[2])
    assert right not in kept
    assert hashlib.sha256(right).digest() not in kept
    # Nor does a server whose key is gone take anything.
    settings.MPS_WEBHOOK_KEYS = settings.MPS_WEBHOOK_KEYS.split(",")[1]
    assert Client().get(PATH, headers=sign(key, "GET", PATH)).status_code == 401
