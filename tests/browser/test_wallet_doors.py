"""The wallet's ways in: one-time codes, another password, sessions, registration, a passkey."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import expect

from members import tasks
from tests import factories
from tests.browser.conftest import check_accessibility, check_width, plug_in
from tests.browser.test_wallet import enter
from tests.outbox import Outbox

NEW_PASSWORD = "another-long-password-2"
OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Contacts are verified, as where an SMS gateway is at work."""
    return {"MPS_VERIFY_CONTACTS": "1"}


@pytest.fixture(scope="module")
def site(site: str) -> str:
    """The same server by a host's name: an address has no passkeys."""
    return site.replace("127.0.0.1", "localhost")


@pytest.fixture
def received(site: str, settings: Any) -> Iterator[Callable[[str], str]]:
    """Do the worker's work; return the code that came last to a phone."""
    settings.MPS_SMS_BACKEND = Outbox.BACKEND

    def last(phone: str) -> str:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT id FROM members_onetimecode WHERE destination = %s"
                " ORDER BY created_at DESC, id DESC LIMIT 1",
                [phone],
            )
            tasks.send_code(str(cursor.fetchone()[0]))
        text = [text for to, text in Outbox.sent if to == phone][-1]
        found = re.search(r"\b[0-9]{6}\b", text)
        assert found
        return found[0]

    yield last
    Outbox.sent.clear()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def is_in(page: Any) -> None:
    """Expect the cards of somebody who is signed in."""
    expect(page.locator("#card-list li")).to_have_count(1)


def sign_out(page: Any) -> None:
    page.get_by_role("link", name="Me", exact=True).click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_one_time_code_signs_in(open_page: OpenPage, received: Callable[[str], str]) -> None:
    member, _ = factories.make_member(phone="0955000201")
    page = open_page("/wallet/", service_workers="block")
    page.get_by_role("link", name="Get a one-time code").click()
    page.locator("#code-name").fill("0955 000 201")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.locator("#code-digits")).to_be_focused()
    check_accessibility(page)
    check_width(page)
    code = received(str(member.phone))

    page.locator("#code-digits").fill(wrong(code))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#code-use [data-error]")).to_have_text(
        "The sign-in details are incorrect."
    )
    page.locator("#code-digits").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()

    is_in(page)


def test_a_forgotten_password_is_set_anew(
    open_page: OpenPage, received: Callable[[str], str]
) -> None:
    member, _ = factories.make_member(phone="0955000202")
    elsewhere = open_page("/wallet/", service_workers="block")
    enter(elsewhere, member)
    is_in(elsewhere)
    page = open_page("/wallet/", service_workers="block")
    page.get_by_role("link", name="Forgot password?").click()
    page.locator("#reset-name").fill(str(member.phone))
    page.get_by_role("button", name="Send me a code").click()
    expect(page.locator("#reset-digits")).to_be_focused()
    page.locator("#reset-digits").fill(received(str(member.phone)))
    page.locator("#reset-password").fill("short")
    page.get_by_role("button", name="Set password").click()
    expect(page.locator("#reset-use [data-error]")).to_contain_text("at least 8")
    page.locator("#reset-password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set password").click()
    is_in(page)

    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    assert elsewhere.evaluate("localStorage.length") == 0


def test_sessions_are_listed_and_ended(open_page: OpenPage) -> None:
    member, _ = factories.make_member(phone="0955000203")
    lost = open_page("/wallet/", service_workers="block")
    enter(lost, member)
    is_in(lost)
    page = open_page("/wallet/", service_workers="block")
    enter(page, member, "#/me")
    page.get_by_text("Where you are signed in").click()
    expect(page.locator("#session-list li")).to_have_count(2)
    expect(page.locator("#session-list")).to_contain_text("this device")
    page.get_by_role("button", name="Sign out there").click()
    expect(page.locator("#session-list li")).to_have_count(1)

    lost.reload()
    expect(lost.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.locator("#me-number")).to_contain_text(member.number)


def test_whoever_registers_proves_their_phone(
    open_page: OpenPage, received: Callable[[str], str]
) -> None:
    phone = "0955000204"
    page = open_page("/wallet/", service_workers="block")
    page.get_by_role("link", name="Become a member").click()
    page.locator("#register-name").fill("Chen")
    page.locator("#register-phone").fill("12")
    page.locator("#register-password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Become a member").click()
    wrong_phone = "Enter a phone number of 6 to 15 digits."
    expect(page.locator("#register-form [data-error]")).to_have_text(wrong_phone)
    page.locator("#register-phone").fill(phone)
    page.get_by_role("button", name="Become a member").click()
    is_in(page)
    expect(page.locator("#card-list")).to_contain_text("0 of 1,000 points, 1,000 to Silver")

    page.get_by_role("link", name="Me", exact=True).click()
    page.get_by_text("Verify phone or e-mail").click()
    page.locator("#verify-contact").fill(phone)
    page.get_by_role("button", name="Send me a code").click()
    expect(page.locator("#verify-digits")).to_be_focused()
    page.locator("#verify-digits").fill(received(phone))
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.locator("#me-phone-state")).to_have_text("(verified)")
    expect(page.locator("#me-phone")).to_have_value(phone)


def test_a_passkey_is_made_and_signs_in(open_page: OpenPage) -> None:
    member, _ = factories.make_member(phone="0955000205")
    page = open_page("/wallet/", service_workers="block")
    devtools, device = plug_in(page)
    verified = {"authenticatorId": device}
    enter(page, member, "#/me")
    page.get_by_text("Passkey", exact=True).click()
    page.locator("#passkey-password").fill("wrong-password-1")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkey-form [data-error]")).to_have_text(
        "The sign-in details are incorrect."
    )
    page.locator("#passkey-password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkey-form [data-done]")).to_be_visible()
    sign_out(page)

    devtools.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#sign-in-form [data-error]")).to_contain_text("not accepted")
    devtools.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
    page.get_by_role("button", name="Sign in with a passkey").click()
    is_in(page)
    sign_out(page)
    page.locator("#sign-in-name").fill(str(member.phone))
    page.locator("#sign-in-password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    is_in(page)
