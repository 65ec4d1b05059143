"""The commands that print a key: one JSON line, or one sentence."""

import json
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from merchants.models import Merchant, Terminal
from mps.base.core.keys import parse_key
from mps.product.rpc import selectors
from mps.product.rpc.models import ServiceKey
from tests.conftest import url_for
from tests.rpc.conftest import Rpc, audited, world
from tests.servers import ROOT


def test_create_service_key_prints_one_json_line(
    rpc: Rpc, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_service_key", name="shop-backend")

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    line = json.loads(out)
    assert list(line) == ["service_key_id", "name", "key"]
    assert line["name"] == "shop-backend"
    presented = parse_key(line["key"])
    assert presented is not None
    caller = selectors.find_service_by_key(presented)
    assert caller is not None
    assert str(caller.service_key_id) == line["service_key_id"]
    assert rpc(line["key"], "create_member_profile", name="A").status == 200
    assert audited("SERVICE_KEY_CREATED")[0]["actor"] == "mps"


def test_create_merchant_prints_the_first_tills_key(
    rpc: Rpc, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(
        "create_merchant",
        *("--code", "SHOP001", "--name", "Corner", "--fee-rate", "0.02", "--contact", "02-1"),
        *("--settlement-mode", "monthly", "--time-zone", "Asia/Tokyo", "--terminal", "Front"),
    )

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    line = json.loads(out)
    assert list(line) == ["merchant_id", "merchant_code", "terminal_id", "key"]
    with selectors.db_scope.principal_scope("platform_admin"):
        merchant = Merchant.objects.get()
        terminal = Terminal.objects.get()
    assert (str(merchant.id), merchant.code) == (line["merchant_id"], line["merchant_code"])
    assert (str(merchant.fee_rate), merchant.settlement_mode) == ("0.0200", "monthly")
    assert (merchant.time_zone, merchant.contact) == ("Asia/Tokyo", "02-1")
    assert (str(terminal.id), terminal.name) == (line["terminal_id"], "Front")
    assert terminal.can_top_up
    history = rpc(line["key"], "get_merchant_transactions", merchant_id=line["merchant_id"])
    assert history.body == []


@pytest.mark.parametrize(
    ("option", "rights"),
    [
        ("--can-top-up", (True, False)),
        ("--no-can-top-up", (False, False)),
        ("--can-manage-webhooks", (True, True)),
    ],
)
def test_the_first_tills_rights_are_said(
    database: str, option: str, rights: tuple[bool, bool]
) -> None:
    call_command("create_merchant", "--code", "SHOP001", "--name", "Corner", option)

    with selectors.db_scope.principal_scope("platform_admin"):
        till = Terminal.objects.get()
    assert (till.can_top_up, till.can_manage_webhooks) == rights
    (created,) = audited("TERMINAL_CREATED")
    assert (created["can_top_up"], created["can_manage_webhooks"]) == rights


REFUSED: list[tuple[list[str], str]] = [
    (["--code", "shop"], "code: Must be 1 to 32 characters: A-Z 0-9 _ -"),
    (["--name", " "], "name: Must be 1 to 80"),
    (["--name", "\udcff"], "name: Must be 1 to 80"),
    (["--fee-rate", "2"], "fee_rate: Must be from 0 to 1"),
    (["--fee-rate", "two"], "fee_rate: Must be from 0 to 1"),
    (["--fee-rate", "NaN"], "fee_rate: Must be from 0 to 1"),
    (["--fee-rate", "0.00001"], "fee_rate: Must be from 0 to 1"),
    (["--settlement-mode", "never"], "settlement_mode: Must be one of"),
    (["--time-zone", "Mars/Base"], "time_zone: Must be an IANA time zone"),
    (["--terminal", "x" * 81], "name: Must be 1 to 80"),
    (["--contact", "x" * 201], "contact: Must be at most 200"),
]


def test_create_merchant_refuses_in_one_sentence(database: str) -> None:
    before = world()
    for arguments, sentence in REFUSED:
        with pytest.raises(CommandError, match=sentence) as refused:
            call_command("create_merchant", "--code", "SHOP001", "--name", "Corner", *arguments)
        assert "\n" not in str(refused.value)

    assert world() == before
    with selectors.db_scope.principal_scope("platform_admin"):
        assert not Merchant.objects.exists()


def test_a_taken_code_is_refused_whole(database: str) -> None:
    call_command("create_merchant", "--code", "SHOP001", "--name", "Corner")
    before = world()

    with pytest.raises(CommandError, match=r"A merchant with this code already exists\."):
        call_command("create_merchant", "--code", "SHOP001", "--name", "Corner")

    assert world() == before


def test_create_service_key_refuses_in_one_sentence(database: str) -> None:
    for name in ("", " ", "x" * 81, "a\nb", "\udcff"):
        with pytest.raises(CommandError, match=r"^name: Must be 1 to 80 printable characters\.$"):
            call_command("create_service_key", "--name", name)

    with selectors.db_scope.principal_scope("platform_admin"):
        assert not ServiceKey.objects.exists()


def test_a_refusal_ends_with_status_1(database: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "create_service_key", "--name", " "],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url_for(os.environ["DATABASE_URL"], database)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.splitlines()[-1] == "CommandError: name: Must be 1 to 80 printable characters."
    )
