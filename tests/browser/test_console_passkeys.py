"""A passkey of one of the staff in a real browser, with the browser's own virtual device."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.conftest import check_accessibility, check_width, plug_in
from tests.browser.test_console import make_staff, sign_in
from tests.console.conftest import PASSWORD
from tests.console.helpers import events

PASSKEYS = reverse("admin:passkeys")


@pytest.fixture(scope="module")
def site(site: str) -> str:
    """The same server by a host's name: an address has no passkeys."""
    return site.replace("127.0.0.1", "localhost")


def test_a_passkey_is_added_and_signs_in(open_page: Callable[..., Any]) -> None:
    user = make_staff("keyed", "support")
    page = open_page("/admin/", width=360)
    devtools, device = plug_in(page)
    sign_in(page, user)
    page.goto(PASSKEYS)
    page.get_by_label("Passkey name").fill("Phone")
    check_accessibility(page)
    check_width(page)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkeys")).to_contain_text("Phone")
    expect(page.locator("#passkeys")).to_contain_text("never used")
    check_accessibility(page)
    check_width(page)

    page.locator("#logout-form button").dispatch_event("click")
    expect(page.get_by_text("Logged out")).to_be_visible()
    page.goto("/admin/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    use = page.get_by_role("button", name="Use a passkey")
    expect(use).to_be_visible()
    expect(page.get_by_label("Code")).to_be_visible()
    check_accessibility(page)
    check_width(page)
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    use.click()
    expect(page.get_by_role("alert")).to_contain_text("could not be used")
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    use.click()
    expect(page).to_have_url(re.compile("/admin/$"))
    page.goto(PASSKEYS)
    expect(page.locator("#passkeys")).to_contain_text("last used")
    assert [each.context for each in events("STAFF_SIGNED_IN")] == [
        {"factor": "totp"},
        {"factor": "webauthn"},
    ]

    page.add_init_script("delete window.PublicKeyCredential")
    page.goto(PASSKEYS)
    expect(page.get_by_text("Passkeys are not available here.")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
