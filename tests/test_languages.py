"""English and Traditional Chinese: all that is marked is translated, and pages speak both."""

import ast
import re
from io import StringIO

import celery
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils.translation import get_language_info, override
from django.utils.translation import gettext as _

from cards import card_status
from cards.models import Card
from members.tasks import send_code
from mps.base.core import errors, problems
from mps.base.core.management.commands import write_messages
from tests import factories
from tests.console.conftest import boss, console, world  # noqa: F401
from tests.console.helpers import act, texts
from tests.outbox import Outbox

CHINESE = {"Accept-Language": "zh-TW,zh;q=0.9,en;q=0.5"}
HAN = re.compile(r"[\u4e00-\u9fff]")
# In a template's text a percent sign is doubled.
PLACEHOLDER = re.compile(r"%%?\(\w+\)[sd]|\{\w*\}|%%|%[sd]|</?\w+[^>]*>")


@pytest.fixture(scope="module")
def catalogue():
    """What is written down, with what the sources say now."""
    return write_messages.merged()


def test_everything_marked_is_translated(catalogue) -> None:
    assert len(catalogue) > 1000
    missing = [each.id for each in catalogue if not write_messages.is_complete(each)]
    assert missing == [], "translate them in mps/locale, then run make messages"


def test_what_is_compiled_is_what_is_translated() -> None:
    written = write_messages.texts_of(write_messages.read())
    assert write_messages.texts_of(write_messages.read_compiled()) == written


def test_translations_keep_their_placeholders(catalogue) -> None:
    wrong = [
        each.id
        for each in catalogue
        if each.id
        and sorted(PLACEHOLDER.findall(write_messages.singular(each.id)))
        != sorted(PLACEHOLDER.findall(write_messages.singular(each.string)))
    ]
    assert wrong == []


def test_translations_are_written_as_in_taiwan(catalogue) -> None:
    text = "".join(write_messages.singular(each.string) or "" for each in catalogue if each.id)
    # Characters of the simplified script, and words that Taiwan has others for.
    assert not set("这为会员码额户们时间录设认证过请输") & set(text)
    for word in ("用戶", "賬", "二維碼", "默認", "信息", "短信", "登陸", "充值"):
        assert word not in text


def test_the_command_finds_what_is_missing(settings, tmp_path) -> None:
    folder = tmp_path / "zh_Hant" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    for name in ("django.po", "django.mo"):
        (folder / name).write_bytes(write_messages.source(name).read_bytes())
    settings.LOCALE_PATHS = [tmp_path]
    whole = (folder / "django.po").read_text(encoding="utf-8")

    # given a translation that was changed and not compiled
    (folder / "django.po").write_text(whole.replace('"餘額"', '"結餘"'), encoding="utf-8")
    with pytest.raises(CommandError, match="make messages"):
        call_command("write_messages", "--check", stdout=StringIO())
    # when it is compiled
    call_command("write_messages", stdout=StringIO())
    call_command("write_messages", "--check", stdout=StringIO())

    # given one that is missing
    (folder / "django.po").write_text(whole.replace('"餘額"', '""'), encoding="utf-8")
    with pytest.raises(CommandError, match="Not translated"):
        call_command("write_messages", "--check", stdout=StringIO())


@pytest.mark.parametrize(
    ("path", "text"),
    [("/", "會員支付系統"), ("/wallet/", "付款碼"), ("/pos/", "收銀機"), ("/admin/login/", "登入")],
)
def test_pages_come_in_the_readers_language(database: str, path: str, text: str) -> None:
    chinese = Client(headers=CHINESE).get(path).content.decode()
    english = Client().get(path).content.decode()
    assert text in chinese
    assert re.search('<html[^>]* lang="zh-[Hh]ant"', chinese)
    # what is not data is translated: nothing in English says so of itself, but for the switch
    assert not HAN.search(english.replace(get_language_info("zh-hant")["name_local"], ""))


def test_the_consoles_first_page_comes_in_chinese(console: Client) -> None:  # noqa: F811
    page = console.get("/admin/", headers=CHINESE).content.decode()
    for text in ("會員", "商家", "結算", "稽核紀錄", "今日"):
        assert text in page


def test_the_switch_is_remembered(database: str) -> None:
    client = Client()
    answer = client.post("/i18n/setlang/", {"language": "zh-hant", "next": "/wallet/"})
    assert (answer.status_code, answer["Location"]) == (302, "/wallet/")
    assert "錢包" in client.get("/wallet/").content.decode()


def test_a_refusals_title_is_the_readers_its_code_is_not(database: str) -> None:
    body = {"code": "", "amount": "1.00"}
    chinese = Client(headers=CHINESE).post("/api/v1/pos/charges", body, "application/json")
    english = Client().post("/api/v1/pos/charges", body, "application/json")
    assert chinese.status_code == english.status_code == 401
    assert chinese.json()["code"] == english.json()["code"] == "NOT_AUTHENTICATED"
    assert chinese.json()["title"] == chinese.json()["detail"] == "需要有效的憑證。"
    assert english.json()["title"] == "Valid credentials are required."
    assert chinese["Content-Language"] == "zh-hant"
    # nor are those of paths that nobody knows
    assert Client(headers=CHINESE).get("/api/v1/nowhere").json()["title"] == "查無資料。"


def test_a_stored_refusal_is_repeated_in_the_language_of_who_asks(database: str) -> None:
    member, _card = factories.make_member()
    _till, key = factories.make_till_and_key()
    code = factories.make_code(factories.make_prepaid(member, "1.00"), member)

    def charge(**headers: str):
        return Client(headers={"Authorization": f"Bearer {key}", **headers}).post(
            "/api/v1/pos/charges",
            {"code": code, "amount": "2.00"},
            "application/json",
            headers={"Idempotency-Key": "one"},
        )

    first, again, english = charge(**CHINESE), charge(**CHINESE), charge()

    assert first.status_code == again.status_code == english.status_code == 402
    assert first.json()["title"] == again.json()["title"] == "卡片餘額不足。"
    assert english.json()["title"] == "Insufficient balance."
    assert english["Idempotent-Replayed"] == "true"
    assert {**first.json(), "title": "", "detail": ""} == {
        **english.json(),
        "title": "",
        "detail": "",
    }


def test_a_code_is_sent_in_the_language_it_was_asked_for_in(
    database: str, settings, monkeypatch
) -> None:
    settings.MPS_SMS_BACKEND = Outbox.BACKEND
    Outbox.sent.clear()
    factories.make_member(phone="0912000777")
    tasks = []
    monkeypatch.setattr(
        celery.current_app, "send_task", lambda _name, args, **_options: tasks.append(args)
    )

    asked = Client(headers=CHINESE).post(
        "/api/v1/auth/code", {"identifier": "0912000777"}, "application/json"
    )
    send_code(*tasks[0])

    assert asked.status_code == 202
    assert "您的驗證碼" in Outbox.sent[0][1]


def test_a_detail_that_no_catalogue_knows_stays() -> None:
    with override("zh-hant"):
        document = problems.problem(errors.NotFoundError("No row 7."))
        assert problems.in_readers_language(document)["detail"] == "No row 7."
        assert problems.in_readers_language(document)["title"] == "查無資料。"
        assert problems.in_readers_language({"tx_no": "PAY1"}) == {"tx_no": "PAY1"}


def test_a_refusal_speaks_the_language_of_whoever_reads_it() -> None:
    with override("zh-hant"):
        error = errors.NotFoundError()
        assert str(error) == error.detail == _("Not found.") == "查無資料。"
    with override("en"):
        assert str(error) == "Not found."


def test_what_a_refusal_says_is_found_where_it_is_raised() -> None:
    source = """
raise NotFoundError("No row of this kind.", errors={"amount": ["Too much, said the row."]})
wrong["name"] = ["A name, please."]
raise KeyError("Of no interest.")
other["name"] = ["Not about a field."]
problem = errors.NotFoundError(f"Row {number}.")
"""
    assert set(write_messages.said_by_refusals(ast.parse(source))) == {
        "No row of this kind.",
        "Too much, said the row.",
        "A name, please.",
    }


def test_why_and_which_field_are_said_in_the_readers_language(database: str) -> None:
    member, _card = factories.make_member()
    card = factories.make_prepaid(member, "1.00")
    card_status.freeze_card(card_id=card.id, reason="fraud")
    client = factories.member_client(member)

    unlock = f"/api/v1/me/cards/{card.number}/unlock"
    why = client.post(unlock, {}, "application/json", headers=CHINESE).json()
    field = client.patch("/api/v1/me", {"phone": "12"}, "application/json", headers=CHINESE).json()

    assert why["detail"] == "這張卡片由平台員工凍結，請洽平台解除凍結。"
    assert field["errors"] == {"phone": ["請輸入 6 到 15 位數字，開頭可加 +。"]}
    with override("zh-hant"):
        stored = problems.problem(
            errors.InvalidRequestError(errors={"a": ["The PIN is incorrect."]})
        )
        assert stored["errors"] == {"a": ["The PIN is incorrect."]}
        assert problems.in_readers_language(stored)["errors"] == {"a": ["PIN 碼錯誤。"]}


def test_the_console_says_why_in_the_readers_language(console: Client, world) -> None:  # noqa: F811
    console.cookies["django_language"] = "zh-hant"

    refused = act(console, Card, "adjust-points", world.prepaid, delta_points="-500", reason="x")

    assert "卡片的點數不足。" in texts(refused)[0]
