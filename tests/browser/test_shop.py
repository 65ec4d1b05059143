"""The pages of a shop's people in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests import factories
from tests.browser.conftest import look
from tests.pages.test_shop import PASSWORD, make_person, pay, settle

OpenPage = Callable[..., Any]


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_a_manager_walks_through_the_shop(
    open_page: OpenPage, site: str, width: int, scheme: str
) -> None:
    shop = factories.make_till(name="Corner shop")
    number = pay(shop)
    settle(shop)
    user = make_person(shop)
    page = open_page("/shop/", width=width, color_scheme=scheme)
    look(page, "shop-sign-in")
    page.get_by_label("Name").fill(user.get_username())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("tbody")).to_contain_text(number)
    look(page, "shop-transactions")
    tabs = page.get_by_role("navigation")
    for tab in ("Sales", "Settlements", "Tills", "Webhooks"):
        tabs.get_by_role("link", name=tab).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(tab)
        look(page, f"shop-{tab}")
    tabs.get_by_role("link", name="Settlements").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert number in Path(download.value.path()).read_text(encoding="utf-8-sig")
    tabs.get_by_role("link", name="Tills").click()
    page.get_by_label("Name").fill("Bar")
    page.get_by_role("button", name="Add till").click()
    expect(page.locator("#secret")).to_contain_text("mps.t")
    look(page, "shop-secret")
    page.get_by_role("button", name="I have saved it").click()
    expect(page.locator("tbody")).to_contain_text("Bar")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to your shop")).to_be_visible()
