"""Every list, page and form of the console answers, in few queries, and shows no secret."""

import gzip
import re
from itertools import product
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.template import Engine
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cards.models import Card, CodeHistory, PaymentCode
from members.models import Member
from merchants.models import Merchant, TerminalKey
from mps.base import console
from mps.base.audit.models import Event
from mps.base.console import template_loader
from mps.base.core.db_scope import principal_scope
from mps.base.ledger.models import Account, Entry, Posting
from mps.product.rpc.models import ServiceKey
from payments.models import TopUp, Transaction
from settlements.models import Settlement
from tests import factories
from tests.console.conftest import staff_client
from tests.console.helpers import list_url, page_url
from tests.matrix import by_thirds, of_third

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = [
    model
    for model in MODELS
    if model._meta.app_label
    not in {"auth", "core", "django_celery_beat", "settlements", "monitoring"}
]
ADDABLE = {
    "auth.User",
    "auth.Group",
    "cards.Tier",
    "merchants.MerchantUser",
    *(model._meta.label for model in MODELS if model._meta.app_label == "django_celery_beat"),
}


CONSOLE_FILES = Path(console.__file__).parent / "static" / "mps" / "console"
ICON = re.compile(r"material-symbols-outlined[^<]*?>\s*([a-z_0-9]+)\s*<")
JUNK = ("?q=%00", "?p=x", "?o=99.-99", "?e=1", "?status__exact=%00", "?created_at_from=%00")


def objects_of(model):
    with principal_scope("platform_admin"):
        return list(model._base_manager.all()[:5])


def test_every_page_answers_without_a_secret_or_an_unknown_icon(console: Client, world) -> None:
    known = set((CONSOLE_FILES / "icons.txt").read_text(encoding="utf-8").split())
    secrets = secrets_of(world)
    pages = [reverse("admin:index")]
    of_others = set()
    for model in MODELS:
        pages += [list_url(model), f"{list_url(model)}?q=x"]
        for obj in objects_of(model):
            pages += [page_url(obj), page_url(obj, "history")]
            # Members sign in by these, too: they are no staff, and not found.
            if model._meta.label == "auth.User" and obj.username != "boss":
                of_others |= set(pages[-2:])

    for page in pages:
        answer = console.get(page)
        assert answer.status_code == 200 or page in of_others, page
        shown = answer.content.decode()
        assert not [text for text in secrets if text in shown], page
        assert set(ICON.findall(shown)) <= known, page
    with principal_scope("platform_admin"):
        assert Card.objects.get(number=world.prepaid.number).binding_password == ""


def secrets_of(world) -> set[str]:
    """Return what nobody may read, as it might be written."""
    with principal_scope("platform_admin"):
        code = PaymentCode.objects.get()
        hashes = {
            bytes(code.code_hash),
            bytes(code.nonce),
            bytes(CodeHistory.objects.first().code_hash),
            bytes(TerminalKey.objects.first().secret_hash),
            bytes(ServiceKey.objects.get().secret_hash),
        }
    texts = {each.hex() for each in hashes} | {repr(each)[2:-1] for each in hashes}
    return texts | {world.code, world.key.split(".")[2], world.service_text.split(".")[2], "bcrypt"}


def test_every_model_of_ours_has_rows_here(console: Client, world) -> None:
    empty = {model._meta.label for model in OURS if not objects_of(model)}

    # A member signs in, a person is given a shop and approvals are asked for elsewhere.
    assert empty == {"approvals.Approval", "members.MemberToken", "merchants.MerchantUser"}


def test_plain_forms_add_only_what_they_may(console: Client) -> None:
    for model in MODELS:
        expected = 200 if model._meta.label in ADDABLE else 403
        assert console.get(list_url(model, "add")).status_code == expected, model
        assert console.post(list_url(model, "add"), {}).status_code == expected, model


def test_nothing_is_deleted(console: Client, world) -> None:
    for model in MODELS:
        for obj in objects_of(model)[:1]:
            if model._meta.label == "auth.User" and obj.username != "boss":
                continue
            before = len(objects_of(model))
            assert console.get(page_url(obj, "delete")).status_code == 403, model
            assert console.post(page_url(obj, "delete"), {"post": "yes"}).status_code == 403, model
            console.post(
                list_url(model),
                {"action": "delete_selected", "_selected_action": [str(obj.pk)], "post": "yes"},
            )
            assert len(objects_of(model)) == before, model


def test_read_only_models_take_no_change(console: Client, world) -> None:
    for model in (Transaction, Account, Posting, Entry, Event, Member, PaymentCode, ServiceKey):
        with principal_scope("platform_admin"):
            before = model.objects.order_by("pk").values().first()

        answer = console.post(
            page_url(model(pk=before["id"])),
            {"amount": "1", "status": "failed", "balance": "9", "name": "x", "action": "X"},
        )

        assert answer.status_code == 403, model
        with principal_scope("platform_admin"):
            assert model.objects.order_by("pk").values().first() == before, model


def test_lists_take_few_queries(console: Client, world) -> None:
    members = [factories.make_member()[0] for _ in range(30)]
    for member in members:
        card = factories.make_prepaid(member, "100.00")
        factories.charge(world.till, factories.make_code(card, member), "1.00")
        factories.make_code(card, member)
        factories.make_till()

    for model in MODELS:
        with CaptureQueriesContext(connection) as queries:
            assert console.get(list_url(model)).status_code == 200
        assert len(queries) <= 15, (model, len(queries))


def test_search_finds_by_number(console: Client, world) -> None:
    other, _ = factories.make_member()
    for model, term, count in (
        (Member, world.member.number, 1),
        (Member, "ada@EXAMPLE.com", 1),
        (Member, "Ada", 1),
        (Card, world.prepaid.number, 1),
        (Card, world.member.number, 4),
        (Transaction, world.paid.body["tx_no"], 1),
        (Transaction, world.prepaid.number, 3),
        (Transaction, world.member.number, 3),
        (Transaction, other.number, 0),
        (Transaction, "ORDER-1", 1),
        (Transaction, world.till.merchant_code, 2),
        (Merchant, world.till.merchant_code, 1),
        (Event, "CARD_ISSUED", 3),
        (Event, world.member.number, 1),
        (PaymentCode, world.prepaid.number, 1),
        (CodeHistory, world.member.number, 1),
    ):
        found = console.get(list_url(model), {"q": term})
        assert len(found.context["cl"].result_list) == count, (model, term)


def test_date_filter_bounds_days(console: Client, world) -> None:
    today = timezone.localdate().isoformat()
    for model, field in (
        (Transaction, "created_at"),
        (Event, "happened_at"),
        (Entry, "posting__posted_at"),
        (Member, "created_at"),
    ):
        url = list_url(model)
        for day, count in ((today, True), ("2001-01-01", False)):
            found = console.get(url, {f"{field}_from": day, f"{field}_to": day})
            assert bool(found.context["cl"].result_list) is count, (model, day)
        for junk in ("yesterday", "0001-01-01", "9999-12-31", "2025-02-30"):
            assert console.get(url, {f"{field}_from": junk, f"{field}_to": junk}).status_code == 200


@by_thirds
def test_junk_in_the_address_is_no_defect(console: Client, world, third: int) -> None:
    for model, junk in of_third(third, product(MODELS, JUNK)):
        answer = console.get(list_url(model) + junk, follow=True)
        assert answer.status_code in {200, 400}, (model, junk)


def test_keys_of_nothing_lead_home(console: Client, world) -> None:
    for model in MODELS:
        url = list_url(model)
        for key in ("x", "%00", "00000000-0000-0000-0000-000000000000", "1"):
            answer = console.get(f"{url}{key}/change/")
            # What is not there leads home, with a message.
            assert answer.status_code in {200, 302, 400, 404}, (model, key)


def test_pages_escape_what_members_write(console: Client, world) -> None:
    for url in (
        page_url(world.member),
        page_url(world.prepaid),
        list_url(Card),
        reverse("admin:index"),
    ):
        assert "Ada <b>" not in console.get(url).content.decode()


def test_first_page_shows_today(console: Client, world) -> None:
    page = console.get(reverse("admin:index")).content.decode()

    assert "TWD 100.00" in page
    assert "TWD 10.00" in page
    assert "TWD 1,000.00" in page
    assert world.paid.body["tx_no"] in page


def test_card_page_shows_what_is_on_it(console: Client, world) -> None:
    page = console.get(page_url(world.prepaid)).content.decode()

    assert "910.00" in page
    assert "90" in page
    assert world.paid.body["tx_no"] in page
    assert world.member.number in page


def test_payment_page_shows_entries_and_refunds(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        payment = Transaction.objects.get(tx_no=world.paid.body["tx_no"])

    page = console.get(page_url(payment)).content.decode()

    assert "money on a card" in page
    assert "-100.00" in page
    assert world.refund.body["tx_no"] in page
    assert "ORDER-1" in page


def test_member_page_shows_cards_and_identities(console: Client, world) -> None:
    page = console.get(page_url(world.member)).content.decode()

    for card in (world.standard, world.prepaid, world.corporate, world.voucher):
        assert card.number in page
    assert "openid-1" in page


def test_autocomplete_reads_in_scope(console: Client, world) -> None:
    answer = console.get(
        reverse("admin:autocomplete"),
        {
            "app_label": "merchants",
            "model_name": "merchantuser",
            "field_name": "merchant",
            "term": world.till.merchant_code,
        },
    )

    assert answer.json()["results"][0]["text"].startswith(world.till.merchant_code)


def test_export_takes_the_filtered_list_along(console: Client, world) -> None:
    answer = console.post(
        list_url(Transaction, "export") + f"?q={world.paid.body['tx_no']}",
        {"resource": "0", "format": "0"},
    )

    lines = answer.content.decode().splitlines()
    assert len(lines) == 2
    assert world.paid.body["tx_no"] in lines[1]
    assert world.prepaid.number in lines[1]
    with principal_scope("platform_admin"):
        event = Event.objects.get(action="DATA_EXPORTED")
    assert (event.actor, event.object_type, event.context) == ("boss", "transaction", {"rows": 1})


def test_every_export_works_and_holds_no_formula(console: Client, world) -> None:
    factories.make_member(name="=HYPERLINK(1)", phone="+886912345678")
    for model in (Member, Card, Transaction, TopUp, Merchant, Settlement, Entry, Event):
        assert console.get(list_url(model, "export")).status_code == 200
        for number in ("0", "1"):
            answer = console.post(list_url(model, "export"), {"resource": "0", "format": number})
            assert answer["Content-Disposition"].startswith("attachment"), model
    text = console.post(list_url(Member, "export"), {"resource": "0", "format": "0"})
    assert ",'=HYPERLINK(1),+886912345678," in text.content.decode()


def test_exports_are_bounded(console: Client, world, monkeypatch) -> None:
    monkeypatch.setattr("mps.base.console.exports.MAX_EXPORT", 2)

    answer = console.post(list_url(Transaction, "export"), {"resource": "0", "format": "0"})

    assert answer.status_code == 200
    assert "More than 2 rows" in answer.content.decode()
    with principal_scope("platform_admin"):
        assert not Event.objects.filter(action="DATA_EXPORTED").exists()


def test_exports_need_the_right_to_look(world) -> None:
    client = staff_client("members.view_member")

    assert client.get(list_url(Member, "export")).status_code == 200
    assert client.get(list_url(Transaction, "export")).status_code == 403
    assert (
        client.post(list_url(Card, "export"), {"resource": "0", "format": "0"}).status_code == 403
    )


def test_files_come_compressed_to_who_takes_that() -> None:
    url = "/static/unfold/css/styles.css"

    plain = Client().get(url)
    small = Client(headers={"Accept-Encoding": "gzip, br"}).get(url)
    again = Client(
        headers={"Accept-Encoding": "gzip", "If-Modified-Since": small["Last-Modified"]}
    ).get(url)
    font = Client(headers={"Accept-Encoding": "gzip"}).get("/static/mps/console/icons.woff2")

    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert small["Vary"] == plain["Vary"] == "Accept-Encoding"
    whole = b"".join(plain.streaming_content)  # type: ignore[attr-defined]
    assert gzip.decompress(small.content) == whole
    assert len(small.content) == int(small["Content-Length"]) < len(whole) / 5
    assert again.status_code == 304
    assert "Content-Encoding" not in font
    plain.close()
    font.close()


def test_another_frame_of_the_library_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = template_loader.LighterFrameLoader(Engine.get_default())
    sources = loader.get_template_sources("unfold/layouts/skeleton.html")
    origin = next(each for each in sources if Path(each.name).exists())
    assert "mps/console/console.css" in loader.get_contents(origin)
    monkeypatch.setitem(template_loader._INSTEAD, "<script src='of another version'>", "")

    with pytest.raises(ImproperlyConfigured, match="of another version"):
        loader.get_contents(origin)
