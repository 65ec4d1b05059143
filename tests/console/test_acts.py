"""Each act calls its service once, leaves one audit event by staff, and a refusal moves nothing."""

import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from cards import sharing
from cards.models import Binding, Card, Tier, Voucher
from cards.selectors import balances_of
from members.backends import MemberBackend
from members.models import ExternalIdentity, Member
from merchants import selectors as merchant_selectors
from merchants.models import Merchant, MerchantUser, Terminal, TerminalKey
from mps.base.core.db_scope import principal_scope
from mps.base.core.keys import parse_key
from mps.product.rpc.models import ServiceKey
from payments.models import Transaction
from tests import factories
from tests.console.conftest import PASSWORD, staff_client
from tests.console.helpers import (
    act,
    act_url,
    count_events,
    count_postings,
    events,
    fresh,
    list_url,
    page_url,
    texts,
    token_of,
)

KEY = re.compile(r"mps\.[ts][0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


def assert_audited_once(action: str) -> None:
    found = events(action)
    assert len(found) == 1
    assert (found[0].actor_type, found[0].actor) == ("staff", "boss")
    assert found[0].request_id


# --- cards ---------------------------------------------------------------------------------------


def test_freeze_and_unfreeze(console: Client, world) -> None:
    done = act(console, Card, "freeze", world.prepaid, reason="lost phone")

    assert fresh(world.prepaid).status == "frozen"
    assert texts(done) == [f"{world.prepaid} was frozen."]
    assert_audited_once("CARD_FROZEN")
    assert events("CARD_FROZEN")[0].context["reason"] == "lost phone"
    act(console, Card, "unfreeze", world.prepaid, reason="found")
    assert fresh(world.prepaid).status == "active"
    assert_audited_once("CARD_UNFROZEN")


def test_freezing_many_at_once(console: Client, world) -> None:
    chosen = [world.prepaid, world.corporate]
    asked = console.post(
        list_url(Card), {"action": "freeze", "_selected_action": [str(each.pk) for each in chosen]}
    )
    assert asked.status_code == 200
    assert all(fresh(each).status == "active" for each in chosen)

    done = console.post(
        act_url(Card, "freeze"),
        {"token": token_of(asked), "id": [str(each.pk) for each in chosen], "reason": "audit"},
        follow=True,
    )

    assert len(texts(done)) == 2
    assert all(fresh(each).status == "frozen" for each in chosen)
    assert len(events("CARD_FROZEN")) == 2


def test_freezing_many_names_what_is_refused(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        Card.objects.filter(pk=world.corporate.pk).update(status="lost")
    asked = console.post(
        list_url(Card),
        {"action": "freeze", "_selected_action": [str(world.prepaid.pk), str(world.corporate.pk)]},
    )

    done = console.post(
        act_url(Card, "freeze"),
        {
            "token": token_of(asked),
            "id": [str(world.prepaid.pk), str(world.corporate.pk)],
            "reason": "audit",
        },
        follow=True,
    )

    assert f"{world.corporate}: The card is not active." in texts(done)
    assert fresh(world.prepaid).status == "frozen"
    assert fresh(world.corporate).status == "lost"
    assert_audited_once("CARD_FROZEN")
    assert_audited_once("CARD_FROZEN_REFUSED")


def test_freeze_refused_shows_a_sentence(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        Card.objects.filter(pk=world.prepaid.pk).update(status="lost")

    refused = act(console, Card, "freeze", world.prepaid, reason="x")

    assert refused.status_code == 409
    assert texts(refused) == ["The card is not active."]
    assert fresh(world.prepaid).status == "lost"
    assert_audited_once("CARD_FROZEN_REFUSED")


def test_acts_need_a_reason(console: Client, world) -> None:
    before = count_events()

    asked = act(console, Card, "freeze", world.prepaid, reason=" ")

    assert asked.status_code == 200
    assert asked.context["form"].errors["reason"]
    assert fresh(world.prepaid).status == "active"
    assert count_events() == before


def test_lost_suspended_and_active_again(console: Client, world) -> None:
    for name, status, action in (
        ("suspend", "suspended", "CARD_SUSPENDED"),
        ("lost", "lost", "CARD_MARKED_LOST"),
        ("activate", "active", "CARD_ACTIVATED"),
    ):
        act(console, Card, name, world.prepaid, reason="police report")
        assert fresh(world.prepaid).status == status
        assert_audited_once(action)

    assert events("CARD_MARKED_LOST")[0].context == {
        "before": "suspended",
        "after": "lost",
        "reason": "police report",
    }


def test_only_staff_activate_a_frozen_card_by_unfreezing(console: Client, world) -> None:
    act(console, Card, "freeze", world.prepaid, reason="x")

    refused = act(console, Card, "activate", world.prepaid, reason="x")

    assert refused.status_code == 409
    assert fresh(world.prepaid).status == "frozen"
    assert_audited_once("CARD_ACTIVATED_REFUSED")


def test_limits_of_card_binding_member_and_shop(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        shop, binding = Merchant.objects.get(), Binding.objects.get(card=world.prepaid)
    for held, action in (
        (world.prepaid, "CARD_LIMITS_SET"),
        (binding, "BINDING_LIMITS_SET"),
        (world.member, "MEMBER_LIMITS_SET"),
        (shop, "MERCHANT_LIMITS_SET"),
    ):
        limits = {"limit_per_payment": "50.00", "limit_per_day": "200.00"}
        done = act(console, type(held), "limits", held, **limits, reason="new here")

        assert fresh(held).limits == limits
        assert_audited_once(action)
        logged = events(action)[0].context
        assert logged["before"] == {"limit_per_payment": None, "limit_per_day": None}
        assert (logged["after"], logged["reason"]) == (limits, "new here")
        # The page shows them, the form starts from them, and empty takes them away.
        assert "200.00" in done.content.decode()
        asked = console.get(act_url(type(held), "limits", held))
        assert asked.context["form"]["limit_per_day"].value() == "200.00"
        act(console, type(held), "limits", held, limit_per_payment="50", reason="known")
        assert fresh(held).limits == {"limit_per_payment": "50.00", "limit_per_day": None}
        before = count_events()
        for wrong in ({"limit_per_day": "-1", "reason": "x"}, {"limit_per_day": "1", "reason": ""}):
            assert act(console, type(held), "limits", held, **wrong).context["form"].errors
        assert fresh(held).limits == {"limit_per_payment": "50.00", "limit_per_day": None}
        assert count_events() == before


def test_top_up(console: Client, world) -> None:
    done = act(
        console,
        Card,
        "top-up",
        world.prepaid,
        amount="50.00",
        payment_method="bank",
        provider_order_id="B-1",
    )

    assert "50.00 credited as RCG" in texts(done)[0]
    assert balances_of(world.prepaid)[0] == Decimal("960.00")
    found = events("RECHARGE_COMPLETED")[-1]
    assert (found.actor_type, found.actor) == ("staff", "boss")


def test_double_click_tops_up_once(console: Client, world) -> None:
    url = act_url(Card, "top-up", world.prepaid)
    form = {"token": token_of(console.get(url)), "amount": "50.00", "payment_method": "cash"}

    def send(_: int) -> int:
        client = Client()
        client.cookies = console.cookies
        try:
            return client.post(url, form).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, range(2))) == [302, 302]

    assert balances_of(world.prepaid)[0] == Decimal("960.00")
    assert len(events("RECHARGE_COMPLETED")) == 2  # the first was the world's own


@pytest.mark.parametrize(
    "amount", ["NaN", "1e3", "-1", "0", "0.001", "１２", " ", "1_000", "9" * 13]
)
def test_top_up_takes_amounts_only(console: Client, world, amount: str) -> None:
    before = count_postings()

    asked = act(console, Card, "top-up", world.prepaid, amount=amount, payment_method="cash")

    assert asked.status_code == 200
    assert asked.context["form"].errors["amount"]
    assert count_postings() == before


def test_top_up_refused(console: Client, world) -> None:
    before = count_postings()

    refused = act(console, Card, "top-up", world.standard, amount="1.00", payment_method="cash")

    assert texts(refused) == [f"{world.standard}: Cards of this type cannot be topped up."]
    assert count_postings() == before
    assert_audited_once("RECHARGE_FAILED")


def test_provider_order_is_credited_once(console: Client, world) -> None:
    order = {"payment_method": "bank", "provider_order_id": "B-1"}
    act(console, Card, "top-up", world.prepaid, amount="50.00", **order)
    before = count_postings()

    again = act(console, Card, "top-up", world.prepaid, amount="50.00", **order)
    other = act(console, Card, "top-up", world.prepaid, amount="60.00", **order)

    assert "credited" in texts(again)[0]
    assert other.status_code == 409
    assert count_postings() == before


def test_adjust_points(console: Client, world) -> None:
    act(console, Card, "adjust-points", world.prepaid, delta_points="1000", reason="sorry")

    assert balances_of(world.prepaid)[1] == 1090
    assert_audited_once("POINTS_ADJUSTED")


def test_adjust_points_refused(console: Client, world) -> None:
    before = count_postings()

    refused = act(console, Card, "adjust-points", world.prepaid, delta_points="-91", reason="x")

    assert refused.status_code == 402
    assert texts(refused) == ["The card does not have enough points."]
    assert count_postings() == before
    assert_audited_once("POINTS_ADJUST_REFUSED")


def test_double_click_adjusts_points_once(console: Client, world) -> None:
    url = act_url(Card, "adjust-points", world.prepaid)
    form = {"token": token_of(console.get(url)), "delta_points": "10", "reason": "x"}

    console.post(url, form)
    second = console.post(url, form, follow=True)

    assert "This form was already submitted" in texts(second)[-1]
    assert balances_of(world.prepaid)[1] == 100


def test_bind_and_unbind(console: Client, world) -> None:
    friend, _ = factories.make_member()

    act(console, Card, "bind", world.prepaid, member=friend.number, role="admin")

    with principal_scope("platform_admin"):
        assert Binding.objects.get(card=world.prepaid, member=friend).role == "admin"
    assert_audited_once("CARD_BOUND")
    act(console, Card, "unbind", world.prepaid, member=friend.number)
    with principal_scope("platform_admin"):
        assert not Binding.objects.filter(card=world.prepaid, member=friend).exists()
    assert_audited_once("CARD_UNBOUND")


def test_unbinding_the_last_owner_is_refused(console: Client, world) -> None:
    refused = act(console, Card, "unbind", world.prepaid, member=world.member.number)

    assert texts(refused) == ["The last owner of a card cannot be removed."]
    with principal_scope("platform_admin"):
        assert Binding.objects.filter(card=world.prepaid).count() == 1
    assert_audited_once("CARD_UNBIND_REFUSED")


def test_binding_an_unknown_member(console: Client, world) -> None:
    asked = act(console, Card, "bind", world.prepaid, member="M99999999", role="member")

    assert asked.context["form"].errors["member"]


def test_binding_password(console: Client, world) -> None:
    done = act(console, Card, "binding-password", world.prepaid, password="open-sesame-7")

    assert "open-sesame-7" not in done.content.decode()
    friend, _ = factories.make_member()
    sharing.join_card(
        card_id=world.prepaid.id, member_id=friend.id, binding_password="open-sesame-7"
    )
    assert_audited_once("BINDING_PASSWORD_SET")
    assert "open-sesame-7" not in str([event.context for event in events()])


@pytest.mark.parametrize(("kind", "letters"), [("prepaid", "PPD"), ("corporate", "COR")])
def test_issue_shared_card(console: Client, database, kind: str, letters: str) -> None:
    member, _ = factories.make_member()

    done = act(
        console, Member, f"issue-{kind}", member, name="Family", fixed_discount="0.95",
        expires_at="2099-01-01T00:00",
    )  # fmt: skip

    with principal_scope("platform_admin"):
        card = Card.objects.get(card_type=letters)
    assert (card.owner_id, card.name, card.fixed_discount) == (member.id, "Family", Decimal("0.95"))
    assert done.redirect_chain[-1][0] == page_url(card)
    assert_audited_once("CARD_ISSUED")


def test_issue_voucher(console: Client, world) -> None:
    code = world.till.merchant_code
    act(
        console, Member, "issue-voucher", world.member,
        kind="amount", value="20.00", min_spend="100", merchants=code,
    )  # fmt: skip

    with principal_scope("platform_admin"):
        voucher = Voucher.objects.get(kind="amount")
        assert (voucher.value, voucher.min_spend) == (Decimal("20.00"), Decimal("100.00"))
        assert voucher.merchant_ids == [world.till.merchant_id]


def test_issue_voucher_refused(console: Client, world) -> None:
    refused = act(console, Member, "issue-voucher", world.member, kind="percent", value="101.00")
    unknown = act(
        console, Member, "issue-voucher", world.member, kind="percent", value="10", merchants="NO"
    )

    assert refused.status_code == 400
    assert refused.context["form"].errors["value"]
    assert unknown.context["form"].errors["merchants"]
    with principal_scope("platform_admin"):
        assert Voucher.objects.count() == 1


# --- members -------------------------------------------------------------------------------------


def test_register(console: Client, database) -> None:
    done = act(
        console, Member, "register", name="Bo", phone="0912 345 678", password="pass-word-77"
    )

    with principal_scope("platform_admin"):
        member = Member.objects.get()
        assert (member.name, member.phone) == ("Bo", "0912345678")
        assert Card.objects.get().owner_id == member.id
    assert done.redirect_chain[-1][0] == page_url(member)
    assert_audited_once("MEMBER_REGISTERED")


def test_register_refused_keeps_the_form(console: Client, world) -> None:
    refused = act(console, Member, "register", name="Bo", phone=world.member.phone)

    assert refused.status_code == 409
    assert refused.context["form"].errors["phone"] == ["Already used by a member."]
    assert 'value="Bo"' in refused.content.decode()
    with principal_scope("platform_admin"):
        assert Member.objects.count() == 1
    assert_audited_once("REGISTRATION_REFUSED")


def test_suspend_and_activate_member(console: Client, world) -> None:
    act(console, Member, "suspend", world.member, reason="fraud")
    assert fresh(world.member).status == "suspended"
    assert_audited_once("MEMBER_SUSPENDED")

    act(console, Member, "activate", world.member, reason="cleared")
    assert fresh(world.member).status == "active"
    assert_audited_once("MEMBER_ACTIVATED")


def test_change_profile(console: Client, world) -> None:
    act(console, Member, "profile", world.member, name="Eve", phone="", email="EVE@example.com")

    member = fresh(world.member)
    assert (member.name, member.phone, member.email) == ("Eve", None, "eve@example.com")
    assert_audited_once("PROFILE_CHANGED")


def test_set_password_of_member(console: Client, world) -> None:
    act(console, Member, "password", world.member, password="another-one-99")

    backend = MemberBackend()
    assert backend.authenticate(None, identifier=world.member.number, password="another-one-99")
    assert_audited_once("PASSWORD_CHANGED")
    assert "another-one-99" not in str([event.context for event in events()])


def test_bind_identity(console: Client, world) -> None:
    act(console, Member, "identity", world.member, provider="line", external_id="U1")

    with principal_scope("platform_admin"):
        assert ExternalIdentity.objects.filter(provider="line", external_id="U1").exists()
    assert_audited_once("IDENTITY_BOUND")


# --- merchants -----------------------------------------------------------------------------------


def test_open_and_close_a_shop(console: Client, database) -> None:
    values = {"settlement_mode": "monthly", "fee_rate": "0.02", "time_zone": "Asia/Tokyo"}
    act(console, Merchant, "create", code="SHOP900", name="Noodles", **values)

    with principal_scope("platform_admin"):
        shop = Merchant.objects.get(code="SHOP900")
    assert (shop.fee_rate, shop.settlement_mode) == (Decimal("0.02"), "monthly")
    assert_audited_once("MERCHANT_CREATED")
    act(console, Merchant, "suspend", shop, reason="late")
    assert fresh(shop).status == "suspended"
    assert_audited_once("MERCHANT_SUSPENDED")
    act(console, Merchant, "activate", shop, reason="paid")
    assert fresh(shop).status == "active"
    assert_audited_once("MERCHANT_ACTIVATED")


def test_open_a_shop_refused(console: Client, world) -> None:
    values = {"settlement_mode": "monthly", "fee_rate": "0.02"}

    taken = act(console, Merchant, "create", code=world.till.merchant_code, name="N", **values)
    wrong = act(console, Merchant, "create", code="small", name="N", **values)

    assert taken.status_code == 409
    assert wrong.context["form"].errors["code"]
    with principal_scope("platform_admin"):
        assert Merchant.objects.count() == 1
    assert_audited_once("MERCHANT_REFUSED")


def test_key_of_a_new_till_is_shown_once(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        shop = Merchant.objects.get()

    done = act(console, Merchant, "create-terminal", shop, name="Till 9", can_top_up="on")

    key = KEY.search(done.content.decode()).group(0)
    till = merchant_selectors.find_till_by_key(parse_key(key))
    assert (till.terminal_name, till.can_top_up) == ("Till 9", True)
    assert "no-store" in done["Cache-Control"]
    assert key not in str(done.cookies) + str(console.session.items())
    with principal_scope("platform_admin"):
        terminal = Terminal.objects.get(name="Till 9")
    for page in (page_url(shop), page_url(terminal), page_url(terminal, "history")):
        assert key not in console.get(page).content.decode()
    assert len([each for each in events("TERMINAL_CREATED") if each.actor_type == "staff"]) == 1


def test_new_key_and_shutting_out(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        terminal = Terminal.objects.get(pk=world.till.terminal_id)

    done = act(console, Terminal, "rotate-key", terminal, overlap_seconds="0")

    key = KEY.search(done.content.decode()).group(0)
    assert merchant_selectors.find_till_by_key(parse_key(key)) is not None
    assert merchant_selectors.find_till_by_key(parse_key(world.key)) is None
    assert_audited_once("TERMINAL_KEY_ROTATED")
    act(console, Terminal, "revoke", terminal, reason="stolen")
    assert merchant_selectors.find_till_by_key(parse_key(key)) is None
    assert_audited_once("TERMINAL_REVOKED")
    again = act(console, Terminal, "revoke", terminal, reason="stolen")
    assert again.status_code == 404
    assert texts(again) == ["Terminal not found."]
    with principal_scope("platform_admin"):
        assert TerminalKey.objects.filter(terminal=terminal).count() == 2


# --- service keys --------------------------------------------------------------------------------


def test_service_key(console: Client, database) -> None:
    done = act(console, ServiceKey, "create", name="erp")

    assert KEY.search(done.content.decode())
    with principal_scope("platform_admin"):
        key = ServiceKey.objects.get(name="erp")
    assert_audited_once("SERVICE_KEY_CREATED")
    act(console, ServiceKey, "revoke", key, reason="gone")
    assert fresh(key).revoked_at is not None
    assert_audited_once("SERVICE_KEY_REVOKED")


# --- plain forms ---------------------------------------------------------------------------------


def test_changing_a_card_is_audited_with_before_and_after(console: Client, world) -> None:
    console.post(
        page_url(world.prepaid),
        {"name": "Family", "fixed_discount": "0.9", "expires_at_0": "", "expires_at_1": "",
         "status": "closed", "number": "PPD99999999"},
    )  # fmt: skip

    card = fresh(world.prepaid)
    assert (card.name, card.fixed_discount) == ("Family", Decimal("0.9"))
    assert (card.status, card.number) == ("active", world.prepaid.number)
    assert_audited_once("CARD_CHANGED")
    event = events("CARD_CHANGED")[0]
    assert event.object_id == world.prepaid.number
    assert event.context["name"] == {"before": "", "after": "Family"}
    assert event.context["fixed_discount"] == {"before": None, "after": "0.9"}
    page = console.get(page_url(world.prepaid, "history")).content.decode()
    assert "CARD_CHANGED" in page
    assert "CARD_ISSUED" in page


def test_changing_nothing_leaves_no_event(console: Client, world) -> None:
    before = count_events()

    answer = console.post(
        page_url(world.prepaid),
        {"name": "", "fixed_discount": "", "expires_at_0": "", "expires_at_1": ""},
    )

    assert answer.status_code == 302
    assert count_events() == before


def test_changing_a_shop(console: Client, world) -> None:
    with principal_scope("platform_admin"):
        shop = Merchant.objects.get()
    values = {
        "name": "New", "contact": "", "settlement_mode": "monthly", "fee_rate": "0.03",
        "time_zone": "Asia/Taipei",
    }  # fmt: skip

    console.post(page_url(shop), values)
    console.post(page_url(shop), {**values, "time_zone": "Mars/Base", "name": "Not"})
    console.post(page_url(shop), {**values, "fee_rate": "1.5", "name": "Not"})

    assert (fresh(shop).name, fresh(shop).fee_rate) == ("New", Decimal("0.03"))
    assert_audited_once("MERCHANT_CHANGED")


def test_tiers_are_editable(console: Client, database) -> None:
    with principal_scope("platform_admin"):
        silver = Tier.objects.get(level=1)

    console.post(page_url(silver), {"name": "Silver", "min_points": "900", "rate": "0.94"})
    console.post(
        list_url(Tier, "add"),
        {"code": "ruby", "name": "Ruby", "level": "4", "min_points": "50000", "rate": "0.8"},
    )
    console.post(page_url(silver), {"name": "Silver", "min_points": "900", "rate": "1.94"})

    assert fresh(silver).rate == Decimal("0.94")
    with principal_scope("platform_admin"):
        assert Tier.objects.get(code="ruby").rate == Decimal("0.8")
    assert_audited_once("TIER_CHANGED")
    assert_audited_once("TIER_ADDED")


def test_people_of_a_shop(console: Client, world, boss) -> None:
    with principal_scope("platform_admin"):
        shop = Merchant.objects.get()

    console.post(
        list_url(MerchantUser, "add"), {"merchant": shop.pk, "user": boss.pk, "role": "clerk"}
    )

    with principal_scope("platform_admin"):
        person = MerchantUser.objects.get()
    console.post(page_url(person), {"role": "manager"})
    assert fresh(person).role == "manager"
    assert_audited_once("MERCHANT_USER_ADDED")
    assert_audited_once("MERCHANT_USER_CHANGED")

    asked = console.get(act_url(MerchantUser, "withdraw", person)).content.decode()
    assert "loses access to this shop immediately" in asked
    done = act(console, MerchantUser, "withdraw", person, reason="left")
    assert texts(done) == [f"boss no longer has access to {shop}."]
    assert done.redirect_chain[-1][0] == page_url(shop)
    with principal_scope("platform_admin"):
        assert not MerchantUser.objects.exists()
    assert_audited_once("MERCHANT_USER_WITHDRAWN")
    assert events("MERCHANT_USER_WITHDRAWN")[0].context["reason"] == "left"


def test_who_may_not_change_people_withdraws_nobody(world, boss) -> None:
    with principal_scope("platform_admin"):
        shop = Merchant.objects.get()
        person = MerchantUser.objects.create(merchant=shop, user=boss)
    clerk = staff_client("merchants.view_merchantuser", "merchants.change_merchant")

    url = act_url(MerchantUser, "withdraw", person)
    assert clerk.get(url).status_code == 403
    assert clerk.post(url, {"token": "0" * 32, "reason": "x"}).status_code == 403

    assert fresh(person).role == "clerk"
    assert "withdraw" not in clerk.get(page_url(person)).content.decode()
    assert events("MERCHANT_USER_WITHDRAWN") == []
    assert len(events("CONSOLE_ACT_REFUSED")) == 2


# --- who may -------------------------------------------------------------------------------------


def test_staff_without_permission_gets_403(world) -> None:
    client = staff_client()
    before = count_postings()

    for url in (list_url(Card), page_url(world.prepaid), act_url(Card, "freeze", world.prepaid)):
        assert client.get(url).status_code == 403
    answer = client.post(
        act_url(Card, "top-up", world.prepaid),
        {"token": "0" * 32, "amount": "1", "payment_method": "cash"},
    )
    assert answer.status_code == 403
    assert count_postings() == before
    assert len(events("CONSOLE_ACT_REFUSED")) == 2


def test_staff_who_may_look_may_not_act(world) -> None:
    client = staff_client("cards.view_card")

    assert client.get(list_url(Card)).status_code == 200
    page = client.get(page_url(world.prepaid))
    assert page.status_code == 200
    assert act_url(Card, "freeze", world.prepaid) not in page.content.decode()
    assert client.post(act_url(Card, "freeze", world.prepaid), {"reason": "x"}).status_code == 403
    assert client.post(page_url(world.prepaid), {"name": "x"}).status_code == 403
    client.post(list_url(Card), {"action": "freeze", "_selected_action": [str(world.prepaid.pk)]})
    assert fresh(world.prepaid).status == "active"
    assert fresh(world.prepaid).name == ""


def test_staff_who_may_change_cards_may_act_on_cards_only(world) -> None:
    client = staff_client("cards.change_card")

    act(client, Card, "freeze", world.prepaid, reason="x")

    assert fresh(world.prepaid).status == "frozen"
    assert events("CARD_FROZEN")[0].actor == "clerk"
    assert client.get(act_url(Member, "suspend", world.member)).status_code == 403


def test_members_are_sent_to_the_staff_door(world) -> None:
    client = Client()
    client.force_login(world.member.user, backend="django.contrib.auth.backends.ModelBackend")
    login = reverse("admin:login")

    for url in (reverse("admin:index"), list_url(Card), act_url(Card, "freeze", world.prepaid)):
        assert client.get(url)["Location"].startswith(login)
        assert client.post(url, {"reason": "x", "token": "0" * 32})["Location"].startswith(login)
    assert fresh(world.prepaid).status == "active"


def test_acts_need_the_csrf_token(boss, world) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)

    answer = client.post(act_url(Card, "freeze", world.prepaid), {"token": "0" * 32, "reason": "x"})

    assert answer.status_code == 403
    assert fresh(world.prepaid).status == "active"


def test_unknown_acts_and_objects_are_404(console: Client, world) -> None:
    wrong = [
        act_url(Card, "explode", world.prepaid),
        act_url(Card, "freeze"),
        act_url(Card, "top-up"),
        act_url(Member, "freeze", world.member),
        act_url(Member, "register", world.member),
        act_url(Card, "freeze", world.member),
    ]
    for url in wrong:
        assert console.get(url).status_code == 404, url
        assert console.post(url, {"token": "0" * 32, "id": "x", "reason": "x"}).status_code == 404


def test_many_means_at_most_two_hundred(console: Client, world) -> None:
    keys = [str(world.prepaid.pk)] * 201

    answer = console.post(act_url(Card, "freeze"), {"token": "0" * 32, "id": keys, "reason": "x"})

    assert answer.status_code == 404
    assert fresh(world.prepaid).status == "active"
    with principal_scope("platform_admin"):
        assert Transaction.objects.count() == 3


def test_bulk_is_bounded(console: Client, world, monkeypatch) -> None:
    monkeypatch.setattr("mps.base.console.model_admin.MAX_BULK", 1)

    answer = console.post(
        list_url(Card),
        {"action": "freeze", "_selected_action": [str(world.prepaid.pk), str(world.corporate.pk)]},
        follow=True,
    )

    assert "Select at most 1 at a time." in texts(answer)


def test_history_of_nothing_and_of_what_is_not_ours_to_see(console: Client, world) -> None:
    nobody = Member(pk=world.prepaid.pk)
    assert console.get(page_url(nobody, "history")).status_code == 404
    client = staff_client("cards.view_card")
    assert client.get(page_url(world.prepaid, "history")).status_code == 200
    assert client.get(page_url(world.member, "history")).status_code == 403


@pytest.fixture
def no_redis(settings) -> None:
    """Redis is away."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }


def test_staff_act_while_redis_is_away(console: Client, world, no_redis) -> None:
    act(console, Card, "adjust-points", world.prepaid, delta_points="10", reason="x")

    assert balances_of(world.prepaid)[1] == 100
    assert console.get(reverse("admin:search"), {"s": "card"}).status_code == 503


def test_staff_sign_in_while_redis_is_away(boss, no_redis) -> None:
    answer = Client().post(reverse("admin:login"), {"username": "boss", "password": PASSWORD})

    assert answer.status_code == 302


def test_forms_use_the_browsers_fields(console: Client, world) -> None:
    issue = console.get(act_url(Member, "issue-prepaid", world.member)).content.decode()
    points = console.get(act_url(Card, "adjust-points", world.prepaid)).content.decode()

    assert 'type="datetime-local"' in issue
    assert 'type="password"' in issue
    assert 'type="number"' in points


def test_texts_with_nul_are_refused(console: Client, world) -> None:
    asked = act(console, Card, "freeze", world.prepaid, reason="a\x00b")

    assert asked.context["form"].errors["reason"]
    assert fresh(world.prepaid).status == "active"
