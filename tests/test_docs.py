"""What the documents say is so: commands that are shown work, tables are complete, links lead."""

import ast
import functools
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import include, path

from mps.base.core import jobs, refusals, schema
from mps.base.core.errors import every_error
from mps.base.core.management.commands import write_api_examples, write_error_docs
from mps.launcher import programs
from mps.product.demo import plan
from tests.conftest import url_for
from tests.servers import ROOT
from tests.servers_http import serve
from tests.sources import own_files

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_quick_start_works_as_pasted(database: str, settings, tmp_path: Path, monkeypatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _before, _marker, after = readme.partition("<!-- quick start")
    script = after.partition("```bash\n")[2].partition("```")[0]
    commands = [line for line in script.splitlines() if not line.startswith("#")]
    assert len(commands) <= 8
    # given a fresh `make run`
    data_dir = tmp_path / "a folder"
    settings.MPS_DEMO = True
    settings.DATA_DIR = data_dir
    monkeypatch.setattr(plan, "DAYS", 1)
    call_command("load_demo", stdout=StringIO(), stderr=StringIO())

    with serve(
        database, tmp_path / "web.log", MPS_DATA_DIR=str(data_dir), MPS_WEBHOOK_ALLOW_PRIVATE="1"
    ) as url:
        # then, in another terminal
        done = subprocess.run(
            ["bash", "-c", script],
            env={**os.environ, "MPS_DATA_DIR": str(data_dir), "MPS_PORT": url.rpartition(":")[2]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        told = _follow_the_webhooks(url, data_dir, tmp_path, settings)

    assert (done.returncode, done.stderr) == (0, "")
    assert [event["type"] for event in told] == ["ping"]
    paid, card, refund, history = [json.loads(line) for line in done.stdout.splitlines()]
    assert (paid["status"], paid["final_amount"]) == ("completed", "284.05")
    assert card["balance"] == paid["balance_after"]
    assert (refund["status"], refund["remaining"]) == ("completed", "234.05")
    assert [line["tx_no"] for line in history["results"]] == [refund["tx_no"], paid["tx_no"]]


def _follow_the_webhooks(url: str, data_dir: Path, folder: Path, settings) -> list[dict]:
    """Do what docs/api.md shows, with a listener as it shows; return what that printed."""
    guide = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listener = (
        guide.partition("python listen.py")[2].partition("```python\n")[2].partition("```")[0]
    )
    script = guide.partition("<!-- webhooks: ")[2].partition("```bash\n")[2].partition("```")[0]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (folder / "listen.py").write_text(listener.replace("9000", port), encoding="utf-8")
    place = {**os.environ, "MPS_DATA_DIR": str(data_dir), "MPS_PORT": url.rpartition(":")[2]}
    with subprocess.Popen(
        [sys.executable, "-u", "listen.py"],
        **{"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True},
    ) as listening:
        try:
            done = subprocess.run(
                ["bash", "-c", script.replace("9000", port)],
                **{"cwd": folder, "env": place, "capture_output": True, "text": True},
                check=False,
                timeout=60,
            )
            made, sent, deliveries = [json.loads(line) for line in done.stdout.splitlines()]
            assert (folder / "webhook-secret").read_text().strip() == made["secret"]
            assert [each["id"] for each in deliveries["results"]] == [sent["id"]]
            _wait_for_port(int(port))
            settings.MPS_WEBHOOK_ALLOW_PRIVATE = True
            call_command("deliver_webhooks", stdout=StringIO())
        finally:
            listening.terminate()
        assert listening.stdout is not None
        return [ast.literal_eval(line) for line in listening.stdout]


def _wait_for_port(port: int) -> None:
    for _attempt in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("the listener did not start")


def test_a_backup_is_taken_and_restored_as_described(
    database: str, superuser, tmp_path: Path
) -> None:
    from django.db import connections

    from mps.base.core import invariants
    from tests import factories

    member, _standard = factories.make_member()
    card = factories.make_prepaid(member, "1000.00")
    factories.charge(factories.make_till(), factories.make_code(card, member), "299.00")
    dump, copy = tmp_path / "mps.dump", f"{database}_copy"
    superuser.execute(f'GRANT CONNECT ON DATABASE "{database}" TO mps_backup')
    superuser.execute(f'CREATE DATABASE "{copy}" OWNER mps_owner TEMPLATE template0')
    try:
        backup = url_for(os.environ["DATABASE_BACKUP_URL"], database)
        _run(programs.binary("pg_dump"), "--format=custom", f"--file={dump}", backup)
        target = url_for(os.environ["DATABASE_OWNER_URL"], copy)
        _run(
            *(programs.binary("pg_restore"), "--no-owner", "--exit-on-error"),
            *(f"--dbname={target}", dump),
        )
        owner = connections["owner"]
        owner.close()
        owner.settings_dict["NAME"] = copy
        with owner.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM payments_transaction")
            assert cursor.fetchone() == (2,)
        assert invariants.check() == []
    finally:
        owner = connections["owner"]
        owner.close()
        owner.settings_dict["NAME"] = database
        superuser.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_error_table_is_current() -> None:
    said = StringIO()
    call_command("write_error_docs", "--check", stdout=said)
    assert "is current" in said.getvalue()


def test_a_stale_error_table_is_told_and_written_anew(settings, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path
    file = tmp_path / write_error_docs.FILE
    file.parent.mkdir()
    with pytest.raises(CommandError, match="is stale"):
        call_command("write_error_docs", "--check")
    file.write_text("old")
    with pytest.raises(CommandError, match="is stale"):
        call_command("write_error_docs", "--check")

    call_command("write_error_docs", stdout=StringIO())

    assert file.read_text(encoding="utf-8") == write_error_docs.render()
    rows = [line for line in write_error_docs.render().splitlines() if line.startswith("| `")]
    assert rows == sorted(set(rows))
    assert "| `INSUFFICIENT_BALANCE` | 402 |" in write_error_docs.render()


def test_api_reference_is_current() -> None:
    said = StringIO()
    call_command("write_api_examples", "--check", stdout=said)
    assert "is current" in said.getvalue()


def test_api_reference_shows_a_request_and_an_answer_of_every_operation() -> None:
    text = write_api_examples.render()
    operations = {
        each["operationId"]: each for _path, _method, each in write_api_examples.operations()
    }
    assert len(operations) > 90
    for name, operation in operations.items():
        _before, heading, rest = text.partition(f"\n### {name}\n")
        section = rest.partition("\n### ")[0].partition("\n## ")[0]
        assert heading
        assert "curl -sS " in section, name
        assert re.search(r"^20\d(:|, )", section, re.MULTILINE), name
        # What takes a body shows one; whoever has to be known shows a key.
        assert ("-d '" in section) >= bool(operation.get("requestBody")), name
        assert ("_TOKEN" in section or "_KEY" in section) == bool(operation.get("security")), name
        assert "api.example.org" not in section
        assert "<" not in section, name


def test_api_reference_names_only_what_there_is() -> None:
    operations = {
        each["operationId"]: each for _path, _method, each in write_api_examples.operations()
    }
    named = refusals.by_operation()
    assert named
    assert named.keys() <= operations.keys()
    status = {error.code: error.status for error in every_error()}
    for name, codes in named.items():
        for code in codes:
            documented = {int(each) for each in operations[name]["responses"]}
            # A function has fewer statuses than codes: `docs/api.md` says so.
            assert name.startswith("rpc_") or status[code] in documented, (name, code)


def test_every_variable_is_documented() -> None:
    sources = (ROOT / "mps").rglob("*.py")
    # Read by env.…("X"), os.environ.get("X"), _number("X", switch("X".
    pattern = re.compile(
        r"""(?:env\.\w+|environ\.get|_number|switch)\(\s*"([A-Z_]+)"|os\.environ\["([A-Z_]+)"\]"""
    )
    read = {
        first or second
        for source in sources
        for first, second in pattern.findall(source.read_text(encoding="utf-8"))
    } - {"DJANGO_SETTINGS_MODULE"}
    assert {"DATABASE_URL", "MPS_PORT", "MPS_CODE_KEYS", "MPS_DEMO"} <= read
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE))
    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    extra = {"DATABASE_REPORT_URL", "DATABASE_BACKUP_URL", "MPS_DATA_DIR", "NO_COLOR"}
    assert shown == read | extra
    assert {name for name in shown if f"`{name}`" not in table} == set()


def test_example_sets_nothing_when_copied_as_it_is() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        name, _hash, anchor = target.partition("#")
        file = (document.parent / name) if name else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file), target


@functools.cache
def anchors_of(document: Path) -> set[str]:
    """Return what may stand behind the `#` of a link to a document."""
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def test_what_is_referred_to_is_here() -> None:
    """Documents by their path, sections by their anchor, decisions by their number."""
    wrong = []
    for file in own_files():
        text = file.read_text(encoding="utf-8")
        for name, anchor in re.findall(r"(?<![\w/.-])([\w./-]*\w\.md)(?:#([\w-]+))?", text):
            found = find_document(file, name)
            if found is None or (anchor and anchor not in anchors_of(found)):
                wrong.append((file, name, anchor))
        named = re.findall(r"(?<![\w/.-])docs/[\w./-]*\w", text)
        named += [f"docs/adr/{int(number):04}-" for number in re.findall(r"\bADR (\d+)", text)]
        wrong += [(file, name, "") for name in named if not list(ROOT.glob(f"{name}*"))]
    assert wrong == []


def find_document(file: Path, name: str) -> Path | None:
    """Return the document a file means: beside it, or by its path from the root or from docs."""
    places = (file.parent, ROOT, ROOT / "docs", ROOT / "docs" / "adr")
    return next((each / name for each in places if (each / name).is_file()), None)


def test_nothing_refers_to_a_text_that_is_not_here() -> None:
    # Sections by their sign are always of some other text: ours are named by anchors.
    elsewhere = re.compile(r"D(?:ES)IGN|\u00a7")

    assert [each for each in own_files() if elsewhere.search(each.read_text("utf-8"))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = re.findall(
        r"`((?:mps|cards|members|merchants|payments|settlements|tests|benchmarks|docs)/[\w./-]+)`",
        document.read_text(encoding="utf-8"),
    )
    # The label of a signature looks like a path.
    assert {each for each in named if not (ROOT / each).exists()} <= {"mps/terminal-signature"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_functions_and_modules_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    apps = "core|ledger|audit|approvals|members|merchants|cards|payments|settlements|rpc|monitoring"
    known = set(re.findall(r"^function (\w+)\(", schema.FILE.read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(rf"`((?:{apps})_[a-z_]+)\(", text)) <= known

    modules = re.findall(r"\bmps\.(?:base|product)\.[a-z_.]*[a-z_]", text)
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module


def test_every_job_is_in_the_table_of_jobs() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| [^|]+ \| `(\w+\.\w+)` \|", text, re.MULTILINE)
    assert shown
    assert sorted(shown) == sorted(entry["task"] for entry in jobs.scheduled().values())


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "README.md").read_text(encoding="utf-8")
    for decision in (ROOT / "docs" / "adr").glob("*.md"):
        title = decision.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2]
        assert f"[{title}](docs/adr/{decision.name})" in listed


def test_operations_in_the_guide_exist() -> None:
    from django.urls import Resolver404, resolve

    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`(?:GET|POST|PATCH|DELETE)[^`]*? (/(?!rest/)[a-z][^`?, ]*)", text))
    paths |= {f"/{each}" for each in re.findall(r"^(?:GET|POST) /api/v1/(\S+)", text, re.MULTILINE)}
    assert len(paths) > 15
    missing = []
    for each in sorted(paths):
        concrete = re.sub(r"\{card_no\}", "PPD00000001", each)
        concrete = re.sub(r"\{\w+_id\}", "01a203df-035c-785c-b315-f36ee95e4ad1", concrete)
        concrete = re.sub(r"\{\w+\}", "x", concrete)
        try:
            resolve(f"/api/v1{concrete}")
        except Resolver404:
            missing.append(each)
    assert missing == []


# --- the page at / -------------------------------------------------------------------------------


def test_landing_page_leads_everywhere(settings) -> None:
    settings.MPS_DEMO = False
    settings.ROOT_URLCONF = __name__

    answer = Client().get("/")

    text = answer.content.decode()
    assert answer.status_code == 200
    pages = ("/admin/", "/wallet/", "/pos/", "/shop/", "/api/docs/", "/api/schema/", "/healthz")
    for target in pages:
        assert f'href="{target}"' in text
    assert plan.STAFF_PASSWORD not in text
    # No assets from anywhere else, no scripts.
    assert not re.search(r"""(src|href)="https?:|<script""", text)
    assert Client().post("/").status_code == 405


def test_landing_page_names_the_demonstrations_sign_ins(settings) -> None:
    settings.MPS_DEMO = True
    settings.ROOT_URLCONF = __name__

    text = Client().get("/").content.decode()

    assert plan.STAFF_PASSWORD in text
    assert plan.MANAGER_PASSWORD in text
    for name, phone in plan.PEOPLE:
        assert name in text
        assert phone in text
    # Keys stay in the file.
    assert "mps.t" not in text
    assert plan.CREDENTIALS_FILE in text


def _landing_urls() -> list:
    from mps.product.pages.landing import landing

    return [path("", landing), path("", include("mps.urls"))]


urlpatterns = _landing_urls()


def test_the_pictures_are_there_and_small() -> None:
    for readme in ("README.md", "README.zh-Hant.md"):
        shown = re.findall(r'src="(docs/pictures/[^"]+)"', (ROOT / readme).read_text("utf-8"))
        assert len(shown) == 3
        for name in shown:
            picture = (ROOT / name).read_bytes()
            assert picture.startswith(b"\x89PNG")
            assert len(picture) <= 200_000, name
