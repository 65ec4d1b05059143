"""The chain's migration can be taken back, and made again."""

from django.core.management import call_command

from mps.base.audit import chain
from tests.audit.helpers import seal
from tests.snapshots import fetch


def test_seals_are_taken_back_and_their_events_wait_again(database: str) -> None:
    seal(2)

    call_command("migrate", "audit", "0001", database="owner", verbosity=0)
    assert fetch("SELECT count(*) FROM audit_unsealed") == 2
    call_command("migrate", "audit", database="owner", verbosity=0)

    assert chain.seal_events() == 2


def test_approvals_are_taken_back(database: str) -> None:
    call_command("migrate", "approvals", "zero", database="owner", verbosity=0)
    assert fetch("SELECT to_regclass('approvals_approval') IS NULL")
    call_command("migrate", "approvals", database="owner", verbosity=0)

    assert fetch("SELECT count(*) FROM approvals_approval") == 0
