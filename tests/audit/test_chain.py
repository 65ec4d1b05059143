"""Whoever alters the audit log, be it the superuser, is found."""

import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.test import Client
from django.urls import reverse

from mps.base.audit import chain, tasks
from mps.base.audit.models import Seal
from mps.base.core import invariants
from mps.base.core.db_scope import principal_scope
from tests.audit.helpers import seal, unguarded, write_events
from tests.concurrency.racing import run_together
from tests.console.conftest import enter
from tests.snapshots import execute, fetch

# The same chain once more, over the events as they are now: what a superuser would do to hide.
RECHAIN = """
    DO $$ DECLARE this audit_seal; before bytea := audit_genesis(); hashes bytea[]; BEGIN
        FOR this IN SELECT * FROM audit_seal ORDER BY number LOOP
            SELECT array_agg(audit_event_hash(event) ORDER BY event.id) INTO hashes
            FROM audit_event event WHERE event.id = ANY (this.event_ids);
            UPDATE audit_seal SET previous_digest = before, event_hashes = hashes,
                digest = audit_seal_digest(
                    before, this.number, this.sealed_at, this.event_ids, hashes)
            WHERE number = this.number RETURNING digest INTO before;
        END LOOP;
    END $$"""


def sealed_ids() -> list[UUID]:
    with principal_scope("platform_admin"):
        return [each for one in Seal.objects.order_by("number") for each in one.event_ids]


def breaches() -> list[str]:
    return [breach.invariant for breach in invariants.check()]


def head_file(tmp_path: Path) -> str:
    file = tmp_path / "head.json"
    call_command("export_audit_head", out=str(file))
    return str(file)


def verify(**options: Any) -> str:
    """Run the command; return what it says is wrong, or nothing."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("verify_audit", stdout=out, stderr=err, **options)
    except SystemExit as stopped:
        assert stopped.code == 1
        return err.getvalue().strip()
    assert out.getvalue() == "The audit chain verifies.\n"
    return ""


# --- sealing --------------------------------------------------------------------------------------


def test_the_job_seals_each_event_once(database: str, monkeypatch) -> None:
    monkeypatch.setattr(chain, "BATCH_EVENTS", 3)
    write_events(7)

    assert tasks.seal() == 7
    assert tasks.seal() == 0

    assert fetch("SELECT array_agg(count ORDER BY number) FROM audit_seal") == [3, 3, 1]
    assert len(set(sealed_ids())) == 7
    assert fetch("SELECT count(*) FROM audit_unsealed") == 0
    assert verify() == ""


def test_an_empty_chain_verifies(database: str, tmp_path: Path) -> None:
    assert chain.seal_events() == 0
    assert verify() == ""
    file = head_file(tmp_path)

    seal(2)

    assert verify(head=file) == ""


def test_an_event_that_commits_late_is_in_the_next_seal(database: str) -> None:
    with connections["owner"].copy().cursor() as late:
        late.execute("BEGIN")
        late.execute("SELECT audit_record('system', '', 'LATE', '', '', '{}', '', '')::text")
        late_id = UUID(late.fetchone()[0])
        seal(3)
        assert late_id < min(sealed_ids())
        assert late_id not in sealed_ids()
        assert verify() == ""

        late.execute("COMMIT")
        assert verify() == ""
        assert chain.seal_events() == 1

    assert sealed_ids()[-1] == late_id
    assert verify() == ""
    assert verify(from_number=2) == ""


def test_sealed_by_many_at_once_each_event_is_sealed_once(database: str, monkeypatch) -> None:
    monkeypatch.setattr(chain, "BATCH_EVENTS", 7)
    write_events(50)

    assert sum(run_together([chain.seal_events] * 4)) == 50

    assert len(sealed_ids()) == len(set(sealed_ids())) == 50
    assert verify() == ""


def test_a_sealer_killed_half_way_leaves_nothing_behind(database: str) -> None:
    seal(2)
    write_events(3)
    with connections["owner"].copy().cursor() as killed:
        killed.execute("BEGIN")
        killed.execute("SELECT audit_seal_events(100), pg_backend_pid()")
        assert killed.fetchone()[0] == 3
        execute("SELECT pg_terminate_backend(%s)", [killed.connection.info.backend_pid])

    assert chain.seal_events() == 3
    assert verify() == ""


def test_the_command_seals_too(database: str) -> None:
    write_events(2)
    out = io.StringIO()

    call_command("seal_audit", stdout=out)

    assert out.getvalue() == "2 events sealed.\n"


@pytest.mark.parametrize(
    "sql", ["UPDATE audit_seal SET count = count", "DELETE FROM audit_seal", "TRUNCATE audit_seal"]
)
def test_nobody_changes_a_seal(database: str, sql: str) -> None:
    seal(1)

    with pytest.raises(DatabaseError) as refused:
        execute(sql)
    with pytest.raises(DatabaseError, match="permission denied"), principal_scope("platform_admin"):
        with connections["default"].cursor() as cursor:
            cursor.execute(sql)

    assert getattr(refused.value.__cause__, "sqlstate", "") == "MPS02"
    assert verify() == ""


@pytest.mark.parametrize("role", ["", "merchant_api", "member_app"])
def test_only_the_platform_seals(database: str, role: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        if role:
            cursor.execute("SELECT set_config('role', %s, true)", [role])
        with pytest.raises(DatabaseError, match="permission denied"):
            cursor.execute("SELECT audit_seal_events(1)")
        cursor.execute("ROLLBACK")


# --- what is altered is found ---------------------------------------------------------------------

CHANGES = {
    "id": "uuidv7()",
    "happened_at": "happened_at + interval '1 microsecond'",
    "actor_type": "'staff'",
    "actor": "'nobody'",
    "action": "'CARD_CLOSED'",
    "object_type": "'member'",
    "object_id": "'7'",
    "context": 'context || \'{"reason": "Lost £1.0"}\'',
    "request_id": "'x'",
    "address": "'192.0.2.1'",
}


def test_every_column_is_sealed(unchecked_database: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = 'audit_event'"
        )
        assert {row[0] for row in cursor.fetchall()} == set(CHANGES)


@pytest.mark.parametrize("column", CHANGES)
def test_an_edited_event_is_found(unchecked_database: str, column: str) -> None:
    seal(2, 3)
    victim = sealed_ids()[3]

    with unguarded(unchecked_database) as session:
        session.execute(
            f"UPDATE audit_event SET {column} = {CHANGES[column]} WHERE id = %s", [victim]
        )

    wrong = "the event is missing" if column == "id" else "the event was changed"
    assert verify() == f"seal 2: event {victim}: {wrong}"
    assert breaches() == ["the audit chain verifies"]


def test_a_deleted_event_is_found(unchecked_database: str) -> None:
    seal(2, 3)
    victim = sealed_ids()[1]

    with unguarded(unchecked_database) as session:
        session.execute("DELETE FROM audit_event WHERE id = %s", [victim])

    assert verify() == f"seal 1: event {victim}: the event is missing"


def test_two_events_swapped_are_found(unchecked_database: str) -> None:
    seal(3)
    one, other = sealed_ids()[:2]

    with unguarded(unchecked_database) as session:
        session.execute(
            "UPDATE audit_event a SET object_id = b.object_id, happened_at = b.happened_at"
            " FROM audit_event b"
            " WHERE (a.id, b.id) IN ((%(one)s, %(other)s), (%(other)s, %(one)s))",
            {"one": one, "other": other},
        )

    assert verify() == f"seal 1: event {one}: the event was changed"


def test_an_event_put_in_is_found(unchecked_database: str) -> None:
    seal(3)

    with unguarded(unchecked_database) as session:
        row = session.execute(
            "INSERT INTO audit_event (happened_at, actor_type, actor, action, object_type,"
            " object_id, context, request_id, address)"
            " VALUES (now(), 'staff', 'boss', 'CARD_FROZEN', 'card', '1', '{}', '', '')"
            " RETURNING id"
        ).fetchone()

    assert row is not None
    assert verify() == f"event {row[0]}: the event is in no seal, and does not wait for one"


def test_an_event_deleted_before_it_was_sealed_is_found(unchecked_database: str) -> None:
    write_events(2)
    victim = fetch("SELECT id FROM audit_event ORDER BY id LIMIT 1")

    with unguarded(unchecked_database) as session:
        session.execute("DELETE FROM audit_event WHERE id = %s", [victim])

    assert verify() == f"event {victim}: the event is missing"
    assert chain.seal_events() == 1
    assert verify() == f"event {victim}: the event is missing"


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("DELETE FROM audit_seal WHERE number = 2", "seal 3: the seal before it is missing"),
        (
            "UPDATE audit_seal SET sealed_at = now() WHERE number = 2",
            "seal 2: the seal was changed",
        ),
        (
            "UPDATE audit_seal SET last_event_id = uuidv7() WHERE number = 1",
            "seal 1: the seal was changed",
        ),
        (
            "UPDATE audit_seal SET number = 5 - number WHERE number IN (2, 3)",
            "seal 2: it does not follow the seal before it",
        ),
    ],
)
def test_an_altered_seal_is_found(unchecked_database: str, sql: str, wrong: str) -> None:
    seal(1, 1, 1)

    with unguarded(unchecked_database) as session:
        if "5 - number" in sql:
            session.execute("UPDATE audit_seal SET number = number + 10 WHERE number IN (2, 3)")
            sql = "UPDATE audit_seal SET number = 15 - number WHERE number > 10"
        session.execute(sql)

    assert verify() == wrong
    assert breaches() == ["the audit chain verifies"]


def test_a_chain_made_anew_is_found_by_a_head(unchecked_database: str, tmp_path: Path) -> None:
    seal(2, 2)
    head = head_file(tmp_path)
    seal(2)

    with unguarded(unchecked_database) as session:
        session.execute("UPDATE audit_event SET actor = 'me' WHERE id = %s", [sealed_ids()[0]])
        session.execute(RECHAIN)

    # The chain is sound in itself: only who kept a head knows better.
    assert verify() == ""
    assert verify(head=head) == "seal 2: it is not the head's seal: the chain was rewritten"


@pytest.mark.parametrize("truncated", [False, True])
def test_a_tail_cut_off_is_found_by_a_head(
    unchecked_database: str, tmp_path: Path, truncated: bool
) -> None:
    seal(2, 2, 2)
    head = head_file(tmp_path)

    with unguarded(unchecked_database) as session:
        if truncated:
            session.execute("TRUNCATE audit_event, audit_seal, audit_unsealed")
        else:
            session.execute(
                "DELETE FROM audit_event WHERE id IN"
                " (SELECT unnest(event_ids) FROM audit_seal WHERE number > 1)"
            )
            session.execute("DELETE FROM audit_seal WHERE number > 1")

    assert verify() == ""
    assert verify(head=head) == "seal 3: the head's seal is missing: the chain was cut off"


def test_seals_cut_off_without_their_events_are_found_without_a_head(
    unchecked_database: str,
) -> None:
    seal(2, 2)
    orphan = sealed_ids()[2]

    with unguarded(unchecked_database) as session:
        session.execute("DELETE FROM audit_seal WHERE number = 2")

    assert verify() == f"event {orphan}: the event is in no seal, and does not wait for one"


def test_from_a_seal_on_those_before_are_believed(unchecked_database: str) -> None:
    seal(2, 2, 2)

    with unguarded(unchecked_database) as session:
        session.execute("UPDATE audit_event SET actor = 'me' WHERE id = %s", [sealed_ids()[0]])

    assert verify(from_number=2) == ""
    assert verify(from_number=1).startswith("seal 1")
    assert verify(from_number=9) == "seal 9: the seal is missing"


# --- heads ----------------------------------------------------------------------------------------


def test_a_head_says_where_the_chain_is(database: str) -> None:
    seal(2, 3)
    out = io.StringIO()

    call_command("export_audit_head", stdout=out)

    head = json.loads(out.getvalue())
    assert (head["number"], head["events"]) == (2, 5)
    assert head["digest"] == fetch("SELECT encode(digest, 'hex') FROM audit_seal WHERE number = 2")


def test_a_forged_head_is_refused(database: str, tmp_path: Path, settings) -> None:
    seal(1)
    file = Path(head_file(tmp_path))
    head = json.loads(file.read_text())
    for forged in ({**head, "number": 0}, {**head, "signature": ""}, {**head, "more": 1}, {}, []):
        file.write_text(json.dumps(forged))
        with pytest.raises(CommandError, match="no head"):
            verify(head=str(file))
    file.write_text("nothing")
    with pytest.raises(CommandError, match="no JSON"):
        verify(head=str(file))
    with pytest.raises(CommandError, match="No such file"):
        verify(head=str(tmp_path / "none"))
    settings.MPS_AUDIT_KEY = ""
    with pytest.raises(CommandError, match="MPS_AUDIT_KEY"):
        call_command("export_audit_head")


def test_a_head_that_cannot_be_written(database: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("export_audit_head", out=str(tmp_path))


def test_verify_tells_how_far_it_is(database: str, monkeypatch) -> None:
    monkeypatch.setattr(chain, "BATCH_EVENTS", 2)
    write_events(5)
    chain.seal_events()
    seen: list[tuple[int, int]] = []

    assert chain.verify(on_progress=lambda done, total: seen.append((done, total))) is None

    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_the_canonical_form_does_not_depend_on_the_session(database: str) -> None:
    write_events(1)
    hashes = set()
    for zone, style in (("UTC", "ISO"), ("Asia/Taipei", "German")):
        with connections["owner"].copy().cursor() as cursor:
            cursor.execute(f"SET timezone = '{zone}'")
            cursor.execute(f"SET datestyle = '{style}'")
            cursor.execute("SELECT audit_event_hash(e) FROM audit_event e")
            hashes.add(bytes(cursor.fetchone()[0]))
    assert len(hashes) == 1


def test_the_console_shows_how_far_it_is_sealed(database: str) -> None:
    client = Client()
    enter(client, User.objects.create_superuser("boss", password="a-long-password-1"))
    url = reverse("admin:audit_event_changelist")
    assert "Nothing is sealed yet." in client.get(url).content.decode()

    seal(2)
    write_events(1)

    page = client.get(url).content.decode()
    assert "Sealed up to seal 1" in page
    assert "1 event waits for the next seal." in page
