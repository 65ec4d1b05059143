"""The wallet in a real browser, against a real server."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from cards import sharing, vouchers
from tests import factories
from tests.browser.conftest import check_accessibility, check_width, look

MAX_WEIGHT = 200_000
PIN = "4711"
OpenPage = Callable[..., Any]


def enter(page: Any, member: Any, path: str = "") -> None:
    """Open a part of the wallet as a member who is signed in."""
    page.evaluate(
        "token => localStorage.setItem('mps.wallet.token', token)", factories.member_token(member)
    )
    page.goto(f"/wallet/{path}")
    page.reload()


def charge(page: Any, key: str, code: str, amount: str, attempt: str = "") -> Any:
    """Charge a code as a till does."""
    return page.request.post(
        "/api/v1/pos/charges",
        headers={
            "Authorization": f"Bearer {key}",
            "Idempotency-Key": attempt or factories.new_key(),
        },
        data={"code": code, "amount": amount, "payment_method": "balance"},
    )


def shown_code(page: Any) -> str:
    """Return the digits on the screen."""
    expect(page.locator("#pay-code")).to_be_visible()
    code = re.sub(r"\D", "", page.locator("#pay-digits").inner_text())
    assert len(code) == 20
    return code


@pytest.fixture
def member(site: str) -> tuple[Any, Any]:
    """A member with 3,000.00 on a prepaid card."""
    found, _standard = factories.make_member()
    return found, factories.make_prepaid(found, "3000.00", name="Family")


def test_somebody_registers_signs_out_and_in_again(open_page: OpenPage) -> None:
    page = open_page("/wallet/")
    page.get_by_role("link", name="Become a member").click()
    page.locator("#register-name").fill("Chen")
    page.locator("#register-phone").fill("0955000111")
    page.locator("#register-password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Become a member").click()
    expect(page.locator("#card-list li")).to_have_count(1)

    page.get_by_role("link", name="Me", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0

    page.locator("#sign-in-name").fill("0955000111")
    page.locator("#sign-in-password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#sign-in-form [data-error]")).to_have_text(
        "The sign-in details are incorrect."
    )
    page.locator("#sign-in-password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#card-list li")).to_have_count(1)


def test_the_code_renews_itself_and_becomes_a_receipt(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    _till, key = factories.make_till_and_key(name="Corner shop")
    page = open_page("/wallet/")
    page.clock.install()
    enter(page, member[0])
    page.get_by_role("link", name="Family").click()
    first = shown_code(page)
    for picture in ("#pay-qr", "#pay-barcode"):
        page.wait_for_function(f"document.querySelector('{picture}').naturalWidth > 0")
    expect(page.locator("#pay-left")).to_contain_text("14:")

    page.clock.fast_forward("14:50")
    page.wait_for_function(
        "first => document.querySelector('#pay-digits').textContent !== first", arg=first
    )
    second = shown_code(page)
    assert charge(page, key, first, "10.00").json()["code"] == "QR_EXPIRED_OR_INVALID"
    assert charge(page, key, second, "100.00").status == 201
    receipt = page.locator("#pay-receipt")
    expect(receipt).to_contain_text("Paid")
    expect(receipt).to_contain_text("Corner shop")
    expect(page.locator("#pay-code")).to_be_hidden()
    page.get_by_role("button", name="New code").click()
    assert shown_code(page) not in {first, second}


def test_a_payment_above_the_threshold_is_approved_with_the_pin(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    _till, key = factories.make_till_and_key(name="Jeweller")
    page = open_page("/wallet/")
    enter(page, member[0], f"#/card/{member[1].number}")
    code, attempt = shown_code(page), factories.new_key()

    assert charge(page, key, code, "2000.00", attempt).status == 202
    dialog = page.locator("#approval")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Jeweller")
    check_accessibility(page)
    check_width(page)
    expect(dialog.locator("#approval-form")).to_be_hidden()
    dialog.locator("#approval-password").fill("wrong-password-1")
    dialog.locator("#approval-new-pin").fill(PIN)
    dialog.get_by_role("button", name="Set PIN").click()
    expect(dialog.locator("#approval-set-pin [data-error]")).to_have_text(
        "The sign-in details are incorrect."
    )
    dialog.locator("#approval-password").fill(factories.PASSWORD)
    dialog.locator("#approval-new-pin").fill(PIN)
    dialog.get_by_role("button", name="Set PIN").click()
    dialog.locator("#approval-pin").fill("0000")
    dialog.get_by_role("button", name="Approve").click()
    expect(dialog.locator("#approval-error")).to_be_visible()
    dialog.locator("#approval-pin").fill(PIN)
    dialog.get_by_role("button", name="Approve").click()

    expect(page.locator("#pay-receipt")).to_contain_text("Jeweller")
    expect(page.locator("#pay-receipt")).to_contain_text(member[1].number)
    assert page.evaluate("localStorage.getItem('mps.wallet.codes')") is None
    expect(dialog).to_be_hidden()
    paid = charge(page, key, code, "2000.00", attempt)
    assert (paid.status, Decimal(paid.json()["final_amount"])) == (201, Decimal("2000.00"))


def test_a_declined_payment_is_not_paid(open_page: OpenPage, member: tuple[Any, Any]) -> None:
    _till, key = factories.make_till_and_key()
    page = open_page("/wallet/")
    enter(page, member[0], f"#/card/{member[1].number}")
    code, attempt = shown_code(page), factories.new_key()

    assert charge(page, key, code, "2000.00", attempt).status == 202
    page.locator("#approval").get_by_role("button", name="Decline").click()

    expect(page.locator("#pay-receipt")).to_contain_text("Not paid")
    assert charge(page, key, code, "2000.00", attempt).json()["code"] == "APPROVAL_DECLINED"


def test_a_card_is_topped_up_through_the_sandbox(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    page = open_page("/wallet/")
    enter(page, member[0], f"#/card/{member[1].number}/topup")
    page.locator("#topup-amount").fill("12,345")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("#topup-form [data-error]")).to_contain_text("two decimal places")
    page.get_by_role("button", name="500").click()
    page.get_by_role("button", name="Continue to payment").click()

    page.get_by_role("button", name="Pay", exact=True).click()

    expect(page.locator("#topup-state")).to_contain_text("Topped up")
    page.get_by_role("link", name="Cards", exact=True).click()
    expect(page.get_by_role("link", name="Family")).to_contain_text("$3,500.00")


def test_a_voucher_says_what_it_is_worth_until_it_is_used(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    owner, _card = member
    shop, key = factories.make_till_and_key(name="Bakery")
    voucher = vouchers.issue_voucher_card(
        owner_id=owner.id,
        kind="amount",
        value=Decimal(50),
        min_spend=Decimal(200),
        expires_at=datetime(2099, 12, 31, 16, tzinfo=UTC),
        merchant_ids=[shop.merchant_id],
    )
    vouchers.issue_voucher_card(owner_id=owner.id, kind="percent", value=Decimal("12.5"))
    page = open_page("/wallet/", timezone_id="Asia/Taipei", service_workers="block")
    enter(page, owner)
    tiles = page.locator("#voucher-list li")
    expect(tiles).to_have_count(2)
    for words in ("$50.00 off", "from $200.00", "At Bakery", "Valid until Dec 31, 2099"):
        expect(tiles.first).to_contain_text(words)
    expect(tiles.last).to_contain_text("12.5% off")
    expect(tiles.last).to_contain_text("At every shop")
    look(page, "wallet-vouchers")

    tiles.first.get_by_role("link").click()
    expect(page.locator("#pay-worth")).to_have_text("$50.00 off")
    expect(page.locator("#pay-terms")).to_contain_text("At Bakery")
    paid = page.request.post(
        "/api/v1/pos/charges",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": factories.new_key()},
        data={"code": shown_code(page), "amount": "200.00", "payment_method": "cash"},
    )
    assert paid.json()["final_amount"] == "150.00"
    expect(page.locator("#pay-receipt")).to_be_visible()

    page.goto(f"/wallet/#/card/{voucher.number}")
    page.reload()
    expect(page.locator("#pay-error")).to_have_text("This voucher has been used.")
    expect(page.locator("#pay-code")).to_be_hidden()
    expect(page.get_by_role("button", name="Lock the card")).to_be_hidden()
    page.get_by_role("link", name="Cards", exact=True).click()
    expect(tiles.last).to_contain_text("Used")
    expect(tiles.last).to_contain_text("$50.00 off")


def test_two_members_share_a_card(open_page: OpenPage, member: tuple[Any, Any]) -> None:
    owner, card = member
    joiner, _ = factories.make_member(name="Lin")
    invited, _ = factories.make_member(name="Wang")
    owners = open_page("/wallet/")
    enter(owners, owner, f"#/card/{card.number}/share")
    owners.locator("#share-secret").fill("our family 7")
    owners.get_by_role("button", name="Set password").click()
    expect(owners.locator("#share-password [data-done]")).to_have_text("Saved.")
    owners.locator("#share-member").fill("M99999999")
    owners.get_by_role("button", name="Invite").click()
    expect(owners.locator("#share-invite [data-error]")).to_contain_text("no member with this")
    owners.locator("#share-member").fill(invited.number)
    owners.locator("#share-day").fill("200")
    owners.get_by_role("button", name="Invite").click()
    expect(owners.locator("#share-list")).to_contain_text("$200.00 per day")

    joins = open_page("/wallet/")
    enter(joins, joiner, "#/join")
    joins.locator("#join-card").fill(card.number)
    joins.locator("#join-password").fill("wrong")
    joins.get_by_role("button", name="Join").click()
    expect(joins.locator("#join-form [data-error]")).to_contain_text("password is incorrect")
    joins.locator("#join-password").fill("our family 7")
    joins.get_by_role("button", name="Join").click()
    shown_code(joins)

    owners.reload()
    expect(owners.locator("#share-list li")).to_have_count(3)
    owners.get_by_role("button", name="Change: Lin").click()
    owners.locator("#share-change-role").select_option("viewer")
    owners.get_by_role("button", name="Save").click()
    expect(owners.locator("#share-list")).to_contain_text("View only")
    owners.get_by_role("button", name="Remove: Wang").click()
    owners.get_by_role("button", name="Yes").click()
    expect(owners.locator("#share-list li")).to_have_count(2)
    joins.locator("#pay-share").click()
    joins.get_by_role("button", name="Leave this card").click()
    joins.get_by_role("button", name="Yes").click()
    expect(joins.locator("#card-list li")).to_have_count(1)


def test_a_card_is_locked_and_unlocked(open_page: OpenPage, member: tuple[Any, Any]) -> None:
    page = open_page("/wallet/")
    enter(page, member[0], f"#/card/{member[1].number}")
    shown_code(page)
    page.get_by_role("button", name="Lock the card").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#pay-error")).to_have_text("Locked")
    expect(page.locator("#pay-code")).to_be_hidden()
    page.get_by_role("button", name="Unlock the card").click()
    shown_code(page)


def test_the_code_is_readable_offline_until_it_expires(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    page = open_page("/wallet/")
    page.clock.install()
    enter(page, member[0], f"#/card/{member[1].number}")
    code = shown_code(page)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.reload()

    assert shown_code(page) == code
    expect(page.locator("#pay-offline")).to_be_visible()
    expect(page.locator("#pay-left")).to_contain_text("Valid for 14:")
    page.wait_for_function("document.querySelector('#pay-qr').naturalWidth > 0")
    kept = page.evaluate(
        "() => caches.open('mps-wallet-1').then(c => c.keys()).then(k => k.map(r => r.url))"
    )
    assert kept
    assert not [url for url in kept if "/api/" in url]
    page.get_by_role("link", name="Cards", exact=True).click()
    expect(page.get_by_role("link", name="Family")).to_be_visible()
    page.get_by_role("link", name="Family").click()

    page.clock.fast_forward("15:01")
    expect(page.locator("#pay-code")).to_be_hidden()
    expect(page.locator("#pay-error")).to_contain_text("no valid code")
    assert page.evaluate("localStorage.getItem('mps.wallet.codes')") is None
    page.context.set_offline(False)
    assert shown_code(page) != code


def test_a_code_comes_by_itself_once_the_server_answers(
    open_page: OpenPage, member: tuple[Any, Any]
) -> None:
    page = open_page("/wallet/", service_workers="block")
    enter(page, member[0])
    expect(page.get_by_role("link", name="Family")).to_be_visible()
    of_card = re.compile(f"/api/v1/me/cards/{member[1].number}$")
    page.route(of_card, lambda route: route.abort("internetdisconnected"))
    page.get_by_role("link", name="Family").click()
    expect(page.locator("#pay-error")).to_contain_text("no valid code")
    expect(page.locator("#pay-again")).to_be_visible()
    page.unroute(of_card)
    shown_code(page)
    expect(page.locator("#pay-again")).to_be_hidden()
    expect(page.locator("#pay-error")).to_be_hidden()


def test_the_history_is_searched_and_paged(open_page: OpenPage, member: tuple[Any, Any]) -> None:
    till, _key = factories.make_till_and_key(name="Bakery")
    for _ in range(35):
        factories.charge(till, factories.make_code(member[1], member[0]), "10.00")
    page = open_page("/wallet/")
    enter(page, member[0], "#/history")
    page.locator("#history-list li").nth(29).scroll_into_view_if_needed()
    expect(page.locator("#history-list > li")).to_have_count(36)
    page.get_by_label("Search").fill("no such shop")
    expect(page.locator("#history-text")).to_have_text("Nothing found.")
    page.get_by_label("Search").fill("bakery")
    expect(page.locator("#history-list > li:visible")).to_have_count(35)
    page.get_by_label("Search").fill("")
    page.get_by_label("Type", exact=True).select_option("recharge")
    expect(page.locator("#history-list > li")).to_have_count(1)


def test_a_failure_is_said_and_asked_again(open_page: OpenPage, member: tuple[Any, Any]) -> None:
    owner, card = member
    looks_on, _ = factories.make_member()
    long = factories.make_prepaid(owner, "99999999.99", name="家庭卡" * 20 + "A" * 20)
    sharing.bind_member(card_id=card.id, member_id=looks_on.id, role="viewer")
    page = open_page("/wallet/", service_workers="block")
    every = re.compile("/api/v1/me")
    page.route(every, lambda route: route.fulfill(status=502, body="Bad gateway"))
    enter(page, owner)
    for path in ("#/", f"#/card/{card.number}", f"#/card/{card.number}/share", "#/history", "#/me"):
        page.goto(f"/wallet/{path}")
        view = page.locator("main > section:visible")
        expect(view).to_contain_text("Something went wrong on our side")
        expect(view.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator("#me-form")).to_be_hidden()
    page.unroute(every)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#me-name")).to_have_value(owner.name)
    page.get_by_role("link", name="Cards", exact=True).click()
    expect(page.get_by_text(long.number)).to_be_visible()
    check_width(page)

    # Signed out elsewhere: the page says so, and not only once more who it is.
    page.evaluate("localStorage.setItem('mps.wallet.token', 'mt_over')")
    page.get_by_role("link", name="Me", exact=True).click()
    expect(page.get_by_text("You have been signed out")).to_be_visible()

    enter(page, looks_on, f"#/card/{card.number}")
    expect(page.locator("#pay-error")).to_contain_text("not pay with it")
    expect(page.locator("#pay-code")).to_be_hidden()
    expect(page.locator("#pay-wait")).to_be_hidden()


SCREENS = {
    "cards": "#/",
    "pay": "#/card/{card}",
    "topup": "#/card/{card}/topup",
    "share": "#/card/{card}/share",
    "join": "#/join",
    "history": "#/history",
    "me": "#/me",
}
DOORS = {"sign-in": "#/", "register": "#/register", "code": "#/code", "reset": "#/reset"}


def look_at(page: Any, view: str) -> None:
    """Look at a view once it is shown."""
    expect(page.locator(f"[data-view={view}]")).to_be_visible()
    look(page, f"wallet-{view}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_is_narrow_light_and_accessible(
    open_page: OpenPage, member: tuple[Any, Any], scheme: str
) -> None:
    owner, card = member
    till, _key = factories.make_till_and_key(name="Corner shop")
    factories.charge(till, factories.make_code(card, owner), "299.00")
    page = open_page("/wallet/", color_scheme=scheme, service_workers="block")
    look_at(page, "sign-in")
    weight = page.evaluate(
        "() => ['navigation', 'resource'].flatMap(each => performance.getEntriesByType(each))"
        ".reduce((sum, each) => sum + each.decodedBodySize, 0)"
    )
    assert 0 < weight <= MAX_WEIGHT
    for name, path in DOORS.items():
        page.goto(f"/wallet/{path}")
        look_at(page, name)
    enter(page, owner)
    for name, path in SCREENS.items():
        page.goto(f"/wallet/{path.format(card=card.number)}")
        if name == "pay":
            shown_code(page)
        look_at(page, name)
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    look_at(page, "me")
