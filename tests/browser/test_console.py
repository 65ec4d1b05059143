"""The console in a real browser: two people's agreement, and its pages as they are."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django_celery_beat.models import PeriodicTask
from playwright.sync_api import expect

from cards.models import Card
from cards.selectors import balances_of
from members.models import Member
from merchants.models import Merchant
from merchants.webhooks.models import WebhookDelivery
from mps.base.approvals.models import Approval
from mps.base.audit.models import Event
from mps.base.core.db_scope import principal_scope
from mps.base.core.models import JobRun
from mps.base.staff import groups
from payments.models import TopUp, Transaction
from settlements.models import Settlement
from tests.browser.conftest import check_accessibility, check_width
from tests.console.conftest import PASSWORD, enter, make_world
from tests.console.helpers import act_url, list_url, page_url
from tests.pages.test_shop import settle
from tests.staff.test_sign_in import totp

MAX_WEIGHT = 200_000
FITS = """() => [...document.querySelectorAll('table')].every(
    each => each.offsetWidth <= each.parentElement.clientWidth + 1)"""
OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The server asks for a second pair of eyes."""
    return {"MPS_FOUR_EYES": "1"}


@pytest.fixture(scope="module")
def world(site: str) -> SimpleNamespace:
    """A little of everything, of all tests here."""
    made = make_world()
    made.settlement = settle(made.till)
    return made


@pytest.fixture(scope="module")
def boss(site: str) -> User:
    """A superuser."""
    return User.objects.create_superuser("boss", password=PASSWORD)


def make_staff(name: str, group: str) -> User:
    """Make somebody who works here."""
    groups.make_missing()
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def sign_in(page: Any, user: User) -> None:
    """Sign in by password and set up the second factor, as on the first day."""
    page.get_by_label("Username").fill(user.get_username())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Code").fill(totp(secret))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("link", name="I have saved them").click()
    expect(page).to_have_url(re.compile("/admin/$"))


def shown_points(page: Any, member: Member) -> Any:
    """Return the points tab of a member's page, opened."""
    page.goto(page_url(member))
    page.locator("#tabs-items, #tabs-dropdown").get_by_role("link", name="Points").click()
    return page.locator("#dataset-section-3-group")


def test_points_move_when_a_second_person_agrees(
    open_page: OpenPage, world: SimpleNamespace
) -> None:
    card = world.prepaid
    before = balances_of(card)[1]
    maker = open_page("/admin/", width=1280, height=900)
    sign_in(maker, make_staff("maker", "finance"))
    maker.goto(page_url(card))
    maker.get_by_role("button", name="Balance and points").click()
    maker.get_by_role("link", name="Adjust points").click()
    maker.get_by_label("Points").fill("5000")
    maker.get_by_label("Reason").fill("sorry")
    maker.get_by_role("button", name="Adjust points").click()
    expect(maker.get_by_text("It takes effect when someone else approves it")).to_be_visible()
    assert balances_of(card)[1] == before

    maker.goto(list_url(Approval))
    maker.locator("tbody").get_by_role("link").first.click()
    maker.get_by_role("link", name="Approve").click()
    maker.get_by_role("button", name="Approve").click()
    expect(maker.get_by_text("Someone else must approve this.")).to_be_visible()
    assert balances_of(card)[1] == before

    checker = open_page("/admin/", width=1280, height=900)
    sign_in(checker, make_staff("checker", "finance"))
    checker.goto(list_url(Approval))
    checker.locator("tbody").get_by_role("link").first.click()
    expect(checker.locator("#content")).to_contain_text("5000")
    checker.get_by_role("link", name="Approve").click()
    checker.get_by_role("button", name="Approve").click()
    expect(checker.get_by_text("points changed by +5000").first).to_be_visible()
    assert balances_of(card)[1] == before + 5000
    expect(shown_points(maker, world.member)).to_contain_text(f"{before + 5000:,}")


def daily_pages(world: SimpleNamespace) -> dict[str, str]:
    """Return what staff look at day by day, by name."""
    with principal_scope("platform_admin"):
        payment = Transaction.objects.get(tx_no=world.paid.body["tx_no"])
    return {
        "dashboard": "/admin/",
        "members": list_url(Member),
        "member": page_url(world.member),
        "cards": list_url(Card),
        "card": page_url(world.prepaid),
        "payments": list_url(Transaction),
        "payment": page_url(payment),
        "merchants": list_url(Merchant),
        "settlements": list_url(Settlement),
        "approvals": list_url(Approval),
        "top-ups": list_url(TopUp),
        "deliveries": list_url(WebhookDelivery),
        "settlement": page_url(world.settlement),
        "mark as paid": act_url(Settlement, "mark-paid", world.settlement),
        "audit": list_url(Event),
        "jobs": list_url(PeriodicTask),
        "refund": act_url(Transaction, "refund", payment),
    }


def weigh(page: Any) -> Callable[[], int]:
    """Return how to read what a page loaded since the last reading, as it goes over the wire."""
    sizes: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.on("Network.loadingFinished", lambda seen: sizes.append(seen["encodedDataLength"]))

    def read() -> int:
        total = int(sum(sizes))
        sizes.clear()
        return total

    return read


def check_pages(page: Any, *paths: str) -> None:
    """Fail if a page is heavy, hard to use or too wide."""
    read_weight = weigh(page)
    for path in paths:
        read_weight()
        page.goto(path)
        check_accessibility(page)
        check_width(page)
        # A table that is wider than its place scrolls there, and the page does not show it.
        assert page.evaluate(FITS), path
        assert 50_000 < read_weight() <= MAX_WEIGHT, path


def open_console(open_page: OpenPage, site: str, boss: User, **options: Any) -> Any:
    """Open a page of somebody who is signed in."""
    page = open_page("/admin/login/", height=900, **options)
    check_accessibility(page)
    client = Client()
    enter(client, boss)
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site}])
    return page


def test_pages_are_light_and_sound(
    open_page: OpenPage, site: str, world: SimpleNamespace, boss: User
) -> None:
    page = open_console(open_page, site, boss, width=1280)
    check_pages(page, *daily_pages(world).values())


def test_pages_fit_a_phone_in_the_dark(
    open_page: OpenPage, site: str, world: SimpleNamespace, boss: User
) -> None:
    page = open_console(
        open_page, site, boss, width=360, color_scheme="dark", locale="zh-TW", has_touch=True
    )
    daily = daily_pages(world)
    with principal_scope("platform_admin"):
        shop = Merchant.objects.get(id=world.till.merchant_id)
    check_pages(
        page,
        *(daily[name] for name in ("dashboard", "member", "payments", "refund")),
        *(page_url(shop), page_url(world.settlement), list_url(JobRun)),
    )


def test_the_frame_works_by_keyboard(
    open_page: OpenPage, site: str, world: SimpleNamespace, boss: User
) -> None:
    page = open_console(open_page, site, boss, width=1280)
    page.goto(list_url(Transaction))
    toggle = page.get_by_role("button", name="Menu").first
    expect(toggle).to_have_attribute("aria-expanded", "true")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    page.keyboard.press("Space")
    expect(page.locator("#nav-sidebar")).to_be_visible()
    filters = page.locator("#changelist").get_by_role("button", name="Filters").first
    filters.focus()
    page.keyboard.press("Enter")
    expect(filters).to_have_attribute("aria-expanded", "true")
    check_accessibility(page)
