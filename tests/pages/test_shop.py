"""A shop's people at `/shop/`: their own shop's data, and what managers may."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from merchants import merchant_users
from merchants.models import MerchantUser, Terminal
from merchants.selectors import Till, find_till_by_key
from merchants.webhooks.models import WebhookEndpoint
from mps.base.audit.models import Event
from mps.base.core import context
from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import NotFoundError
from mps.base.core.keys import parse_key
from settlements import services as settlements
from settlements.models import Settlement
from tests import factories

PASSWORD = "a shop's password 1"


def make_person(till: Till, role: str = "manager", **fields: Any) -> Any:
    """Make a user and let them be somebody at a shop."""
    with principal_scope("platform_admin"):
        user = get_user_model().objects.create_user(
            f"user-{uuid4().hex[:8]}", password=PASSWORD, **fields
        )
        MerchantUser.objects.create(merchant_id=till.merchant_id, user=user, role=role)
    return user


def sign_in(user: Any, password: str = PASSWORD) -> tuple[Client, Any]:
    """Sign somebody in as the page does."""
    client = Client()
    answer = client.post("/shop/sign-in/", {"name": user.get_username(), "password": password})
    return client, answer


def enter(till: Till, role: str = "manager") -> Client:
    """Return a client that is signed in at a shop."""
    client, answer = sign_in(make_person(till, role))
    assert answer.status_code == 302
    return client


def text_of(client: Client, path: str, status: int = 200) -> str:
    """Return a page."""
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def pay(till: Till, amount: str = "100.00") -> str:
    """Take a payment from a fresh card; return its number."""
    member, _standard = factories.make_member()
    card = factories.make_prepaid(member, "1000.00")
    number: str = factories.charge(till, factories.make_code(card, member), amount).body["tx_no"]
    return number


def settle(till: Till) -> Settlement:
    """Settle a shop until now."""
    now = datetime.now(UTC)
    return settlements.generate_settlement(
        merchant_id=till.merchant_id,
        mode="realtime",
        period_start=now - timedelta(hours=1),
        period_end=now,
    )


def events(action: str) -> list[Event]:
    """Return what was written down."""
    with principal_scope("platform_admin"):
        return list(Event.objects.filter(action=action))


@pytest.fixture
def shop(database: str) -> Till:
    """A shop."""
    return factories.make_till(name="Corner shop")


def test_people_see_their_own_shops_data_only(shop: Till) -> None:
    other = factories.make_till(name="Somebody else's")
    own, foreign = pay(shop, "123.45"), pay(other, "234.56")
    own_settlement, foreign_settlement = settle(shop), settle(other)
    client = enter(shop, "clerk")

    page = text_of(client, "/shop/")
    assert own in page
    assert foreign not in page
    assert "123.45" in text_of(client, "/shop/takings/")
    assert "234.56" not in text_of(client, "/shop/takings/")
    page = text_of(client, "/shop/settlements/")
    assert str(own_settlement.id) in page
    assert str(foreign_settlement.id) not in page
    answer = client.get(f"/shop/settlements/{own_settlement.id}.csv")
    assert answer.status_code == 200
    assert own in b"".join(answer.streaming_content).decode()
    text_of(client, f"/shop/settlements/{foreign_settlement.id}.csv", 404)
    text_of(client, f"/shop/settlements/{own_settlement.id}.pdf", 404)


def test_whoever_is_turned_away_comes_back_to_where_they_were(shop: Till) -> None:
    user = make_person(shop)
    client = Client()
    door = client.get(f"/shop/terminals/{uuid4()}/rotate")
    assert door.status_code == 405
    door = client.post(f"/shop/terminals/{uuid4()}/rotate")
    assert door["Location"] == "/shop/sign-in/?next=shop-terminals"
    assert "You are not signed in" in text_of(client, door["Location"])
    who = {"name": user.get_username(), "password": PASSWORD}

    assert client.post(door["Location"], who)["Location"] == "/shop/terminals/"
    elsewhere = Client().post("/shop/sign-in/?next=//example.org/", who)
    assert elsewhere["Location"] == "/shop/"


def test_transactions_are_filtered_and_paged(shop: Till, monkeypatch: Any) -> None:
    monkeypatch.setattr("mps.product.pages.shop.ROWS", 2)
    numbers = [pay(shop) for _ in range(3)]
    client = enter(shop, "clerk")

    first = text_of(client, "/shop/?type=payment")
    older = re.search(r'href="(\?[^"]*before=[^"]*)"', first)
    assert older
    second = text_of(client, f"/shop/{older[1].replace('&amp;', '&')}")
    assert [number in first for number in numbers] == [False, True, True]
    assert [number in second for number in numbers] == [True, False, False]
    assert numbers[0] not in text_of(client, "/shop/?type=refund")
    assert numbers[2] not in text_of(client, "/shop/?status=failed")
    assert numbers[2] not in text_of(client, "/shop/?day=2024-02-29")
    for wrong in ("type=x", "status=x", "day=x", "day=0001-01-01", "before=x"):
        text_of(client, f"/shop/?{wrong}", 400)


def test_a_manager_keeps_the_tills(shop: Till) -> None:
    client = enter(shop)

    page = client.post("/shop/terminals/", {"name": "Bar"}).content.decode()
    shown = re.search(r"mps\.t[\w.-]+", page)
    assert shown
    key = parse_key(shown[0])
    assert key
    found = find_till_by_key(key)
    assert found
    assert (found.merchant_id, found.terminal_name, found.can_top_up) == (
        shop.merchant_id,
        "Bar",
        False,
    )
    assert shown[0] not in text_of(client, "/shop/terminals/")
    page = client.post(f"/shop/terminals/{found.terminal_id}/rotate").content.decode()
    assert shown[0] not in page
    assert re.search(r"mps\.t[\w.-]+", page)
    assert client.post(f"/shop/terminals/{found.terminal_id}/revoke").status_code == 302
    assert find_till_by_key(key) is None
    (event,) = events("TERMINAL_REVOKED")
    assert event.actor_type == "merchant_user"
    assert event.actor.startswith(shop.merchant_code)
    assert client.post("/shop/terminals/", {"name": " "}).status_code == 400


def test_a_manager_keeps_the_webhook_endpoints(shop: Till) -> None:
    client = enter(shop)

    page = client.post(
        "/shop/webhooks/", {"url": "https://example.com/hook", "events": ["payment.completed"]}
    ).content.decode()
    assert "whsec_" in page
    with principal_scope("platform_admin"):
        endpoint = WebhookEndpoint.objects.get(merchant_id=shop.merchant_id)
    path = f"/shop/webhooks/{endpoint.id}/"
    assert "whsec_" not in text_of(client, "/shop/webhooks/")
    assert client.post(f"{path}test").status_code == 302
    assert "table" in text_of(client, path)
    assert "whsec_" in client.post(f"{path}rotate").content.decode()
    assert client.post(f"{path}disable").status_code == 302
    assert client.post(f"{path}test").status_code == 400
    assert client.post(f"{path}enable").status_code == 302
    assert client.post(f"{path}remove").status_code == 302
    assert client.post(f"{path}remove").status_code == 404
    assert client.post(f"{path}nothing").status_code == 404
    assert client.post("/shop/webhooks/", {"url": "x", "events": ["x"]}).status_code == 400


def test_a_refusal_says_in_words_what_is_wrong(shop: Till, settings: Any) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    client = enter(shop)

    page = client.post("/shop/webhooks/", {"url": "https://127.0.0.1/hook"}).content.decode()
    assert "<strong>URL</strong>" in page
    assert "This host is not on the public network." in page
    assert "url:" not in page
    assert 'href="/shop/webhooks/">Back' in page
    page = client.post("/shop/terminals/", {"name": " "}).content.decode()
    assert "<strong>Till name</strong>" in page
    assert 'href="/shop/terminals/">Back' in page
    client.cookies["django_language"] = "zh-hant"
    page = client.post("/shop/webhooks/", {"url": "ftp://x"}).content.decode()
    assert "<strong>網址</strong>" in page


def test_clerks_manage_nothing(shop: Till) -> None:
    client = enter(shop, "clerk")

    assert "/shop/terminals/" not in text_of(client, "/shop/")
    text_of(client, "/shop/terminals/", 403)
    text_of(client, "/shop/webhooks/", 403)
    text_of(client, f"/shop/webhooks/{uuid4()}/", 403)
    assert client.post("/shop/terminals/", {"name": "Bar"}).status_code == 403
    for act in ("rotate", "revoke"):
        path = f"/shop/terminals/{shop.terminal_id}/{act}"
        assert client.post(path).status_code == 403
    url = {"url": "https://example.com/hook"}
    assert client.post("/shop/webhooks/", url).status_code == 403

    with principal_scope("platform_admin"):
        (terminal,) = Terminal.objects.filter(merchant_id=shop.merchant_id)
        assert terminal.revoked_at is None
        assert not WebhookEndpoint.objects.exists()
    assert len(events("TERMINAL_MANAGE_REFUSED")) == 4
    assert len(events("WEBHOOK_ENDPOINT_REFUSED")) == 3


def test_another_shops_tills_and_endpoints_are_not_there(shop: Till) -> None:
    other = factories.make_till()
    theirs = enter(other)
    theirs.post("/shop/webhooks/", {"url": "https://example.com/hook"})
    with principal_scope("platform_admin"):
        endpoint = WebhookEndpoint.objects.get(merchant_id=other.merchant_id)
    client = enter(shop)

    for act in ("rotate", "revoke"):
        assert client.post(f"/shop/terminals/{other.terminal_id}/{act}").status_code == 404
    text_of(client, f"/shop/webhooks/{endpoint.id}/", 404)
    for act in ("rotate", "disable", "test", "remove"):
        assert client.post(f"/shop/webhooks/{endpoint.id}/{act}").status_code == 404

    with principal_scope("platform_admin"):
        assert Terminal.objects.get(id=other.terminal_id).revoked_at is None
        endpoint.refresh_from_db()
    assert endpoint.enabled
    assert endpoint.deleted_at is None


def test_staff_members_and_strangers_cannot_enter(shop: Till) -> None:
    staff = make_person(shop, is_staff=True)
    gone = make_person(shop, is_active=False)
    with principal_scope("platform_admin"):
        stranger = get_user_model().objects.create_user("stranger", password=PASSWORD)
    member, _card = factories.make_member(password=PASSWORD)
    for user in (staff, gone, stranger, member.user):
        client, answer = sign_in(user)
        assert answer.status_code == 401
        assert client.get("/shop/").status_code == 302
    assert len(events("SHOP_SIGN_IN_REFUSED")) == 4
    # Known by another door, and yet nobody here.
    client = Client()
    client.force_login(make_person(shop), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/shop/").status_code == 302


def test_people_of_a_shop_cannot_enter_the_console(shop: Till) -> None:
    client = enter(shop)

    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/payments/transaction/").status_code == 302


def test_wrong_passwords_are_counted(shop: Till) -> None:
    user = make_person(shop)
    for _ in range(5):
        assert sign_in(user, "wrong")[1].status_code == 401

    assert sign_in(user)[1].status_code == 429


def test_somebody_withdrawn_is_out_at_once(shop: Till) -> None:
    user = make_person(shop)
    client, _answer = sign_in(user)
    with principal_scope("platform_admin"):
        right = MerchantUser.objects.get(user=user)

    merchant_users.withdraw_user(merchant_user_id=right.id, reason="Left.")

    assert client.get("/shop/").status_code == 302
    assert len(events("MERCHANT_USER_WITHDRAWN")) == 1
    with pytest.raises(NotFoundError):
        merchant_users.withdraw_user(merchant_user_id=right.id)


def test_somebody_of_two_shops_chooses(shop: Till) -> None:
    second = factories.make_till()
    user = make_person(shop)
    with principal_scope("platform_admin"):
        MerchantUser.objects.create(merchant_id=second.merchant_id, user=user, role="clerk")
    client, _answer = sign_in(user)
    number = pay(second)

    assert number not in text_of(client, "/shop/")
    client.post("/shop/choose/", {"shop": second.merchant_code})
    assert number in text_of(client, "/shop/")
    text_of(client, "/shop/terminals/", 403)
    client.post("/shop/choose/", {"shop": factories.make_till().merchant_code})
    assert number not in text_of(client, "/shop/")
    assert client.post("/shop/sign-out/").status_code == 302
    assert client.get("/shop/").status_code == 302


def test_pages_are_strict_and_not_kept(shop: Till) -> None:
    client = enter(shop)

    answer = client.get("/shop/")

    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]
    assert context.current().actor_type == "system"
