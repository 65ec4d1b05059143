"""Every operation of the OpenAPI, asked by whoever may not; a new operation joins by itself."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from cards import card_status
from cards.selectors import balances_of
from members import services as members
from merchants import services as merchants
from tests.hostile.operations import Operation, operations
from tests.hostile.test_input import report
from tests.hostile.world import World, make_world, snapshot
from tests.snapshots import execute, fetch

# What names one thing that is somebody's; another's looks like none.
NOBODYS = {
    "card_no": "PPD99999999",
    "member_no": "M99999999",
    "settlement_id": str(uuid4()),
    "session_id": str(uuid4()),
    "topup_id": str(uuid4()),
    "endpoint_id": str(uuid4()),
    "approval_id": str(uuid4()),
    "tx_no": "PAY9999999999",
}
# A till may reverse an order nobody has seen; whoever knows a card's password may join it.
OPEN_TO_OTHERS = {"reverse_order", "join_card"}
# Whoever is suspended reads; what moves money, makes codes or takes people in is refused.
STOPPED_WITH_THE_SHOP = {"charge", "refund", "top_up", "validate_code"}
STOPPED_WITH_THE_MEMBER = {"make_code", "invite_or_join", "start_top_up"}


@pytest.fixture(scope="module")
def worlds(module_database: str) -> tuple[World, World]:
    """Two of everything, with nothing in common."""
    return make_world(), make_world()


def guarded() -> Iterator[Operation]:
    return (each for each in operations() if each.schemes)


def ask(world: World, operation: Operation, key: str, **fields: Any) -> Any:
    body = world.body(operation) if operation.body is not None else None
    return world.send(operation, body, headers={"Authorization": f"Bearer {key}"}, **fields)


def refused(response: Any, *statuses: int) -> bool:
    return response.status_code in (statuses or (401, 403))


def test_who_shows_nothing_or_the_key_of_another_kind_is_refused(
    worlds: tuple[World, World],
) -> None:
    world, _ = worlds
    before, faults = snapshot(), []
    for operation in guarded():
        wrong = {
            "anonymous": "",
            "made up": f"mps.t{'0' * 32}.{'x' * 43}",
            **{
                name: key
                for name, key in world.keys.items()
                # The facade takes all three kinds of key and says itself who may call what.
                if name not in operation.schemes
                and name not in ("outsider", "leaver")
                and not operation.is_rpc
            },
        }
        if operation.schemes & {"serviceKey", "rpcKey"}:
            wrong = {
                name: key for name, key in wrong.items() if name not in ("serviceKey", "rpcKey")
            }
        for name, key in wrong.items():
            response = ask(world, operation, key)
            if not refused(response):
                faults.append(f"{operation} by {name}: {response.status_code}")
    report(faults)
    assert snapshot() == before


def test_what_belongs_to_others_looks_like_what_does_not_exist(
    worlds: tuple[World, World],
) -> None:
    world, other = worlds
    before, faults, looked = snapshot(), [], 0
    for operation in guarded():
        named = [name for name in operation.path_parameters if name in NOBODYS]
        if operation.is_rpc or not named or operation.id in OPEN_TO_OTHERS:
            continue
        (scheme,) = operation.schemes
        looked += 1
        theirs = ask(world, operation, world.keys[scheme], url=other.url(operation))
        nobodys = ask(
            world,
            operation,
            world.keys[scheme],
            url=world.url(operation, **{named[0]: NOBODYS[named[0]]}),
        )
        if not refused(theirs, 403, 404) or told(theirs) != told(nobodys):
            faults.append(
                f"{operation}: {theirs.status_code} {told(theirs)}"
                f" / {nobodys.status_code} {told(nobodys)}"
            )
    report(faults)
    assert looked > 20
    assert snapshot() == before


def told(response: Any) -> dict[str, Any]:
    document = json.loads(response.content) if response.content else {}
    return {
        name: value for name, value in document.items() if name not in ("instance", "request_id")
    }


def test_revoked_and_expired_keys_open_nothing(database: str) -> None:
    world = make_world()
    merchants.revoke_terminal(terminal_id=terminal_of(world), reason="lost")
    execute(
        "UPDATE members_membertoken SET expires_at = now() - interval '1 second'"
        " WHERE member_id = %s",
        [world.owner.id],
    )
    execute("UPDATE rpc_servicekey SET revoked_at = now()")
    before, faults = snapshot(), []
    for operation in guarded():
        for scheme in operation.schemes:
            response = ask(world, operation, world.keys[scheme])
            if not refused(response, 401):
                faults.append(f"{operation} by {scheme}: {response.status_code}")
    report(faults)
    assert snapshot() == before


def terminal_of(world: World) -> Any:
    return fetch("SELECT id FROM merchants_terminal WHERE merchant_id = %s", [world.merchant_id])


def test_the_suspended_move_nothing(database: str) -> None:
    world = make_world()
    members.suspend_member(member_id=world.owner.id, reason="risk")
    merchants.suspend_merchant(merchant_id=world.merchant_id, reason="risk")
    money = balance(world)
    stopped = 0
    for operation in guarded():
        if operation.is_rpc:
            continue
        (scheme,) = operation.schemes
        response = ask(world, operation, world.keys[scheme])
        if operation.id in STOPPED_WITH_THE_SHOP | STOPPED_WITH_THE_MEMBER:
            stopped += 1
            # 401: an operation before it has ended the session.
            assert refused(response), (operation.id, response.status_code)
        assert response.status_code < 500, (operation.id, response.content)
    assert stopped >= 4
    # A suspended shop's till still puts right what it did: the payment back, the cash top-up away.
    assert balance(world) - money in {0, 100, -50, 50}


def balance(world: World) -> Any:
    return balances_of(world.card)[0]


def test_what_is_not_asked_for_is_not_taken(database: str) -> None:
    """Balance, points, status, merchant and owner added to every write change nothing."""
    world = make_world()
    more = {
        "balance": "999.00",
        "points": 99999,
        "tier": "diamond",
        "status": "active",
        "merchant": world.merchant_id,
        "merchant_id": world.merchant_id,
        "owner": str(world.outsider.id),
        "owner_id": str(world.outsider.id),
        "member_id": str(world.outsider.id),
        "is_staff": True,
        "is_superuser": True,
        "fee_rate": "0",
        "final_amount": "0.01",
        "discount_rate": "0.01",
    }
    card_status.freeze_card(card_id=world.card.id, reason="so that nothing is paid")
    for operation in guarded():
        if operation.is_rpc or operation.body is None:
            continue
        (scheme,) = operation.schemes
        key = world.keys["outsider" if operation.id in ("join_card", "erase_me") else scheme]
        body = {
            **{k: v for k, v in more.items() if k not in operation.fields},
            **world.body(operation),
        }
        response = world.send(operation, body, headers={"Authorization": f"Bearer {key}"})
        assert response.status_code < 500
    assert fetch("SELECT status FROM cards_card WHERE id = %s", [world.card.id]) == "frozen"
    assert fetch("SELECT owner_id FROM cards_card WHERE id = %s", [world.card.id]) == world.owner.id
    assert fetch("SELECT count(*) FROM auth_user WHERE is_staff OR is_superuser") == 0
    assert (
        fetch(
            "SELECT points.balance FROM cards_card c JOIN ledger_account points"
            " ON points.id = c.points_account_id WHERE c.id = %s",
            [world.card.id],
        )
        <= 120
    )
    assert balance(world) <= 1000 + 50 + 20
