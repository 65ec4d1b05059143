"""The wallet where two providers are offered: the member chooses whose page they pay on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from mps.base.core.db_scope import principal_scope
from payments.models import TopUp
from tests import factories
from tests.browser.conftest import check_accessibility, check_width
from tests.browser.test_wallet import enter
from tests.payments.test_stripe import StandIn

OpenPage = Callable[..., Any]


class PayPages(StandIn):
    """A Stripe whose pay pages are under the shop's own name, as its custom domains are."""

    pages = ""

    def session(self, name: str, asked: dict[str, list[str]]) -> dict[str, Any]:
        return {**super().session(name, asked), "url": f"{self.pages}/c/pay/{name}"}


@pytest.fixture(scope="module")
def stripe() -> Iterator[PayPages]:
    """What stands in for Stripe."""
    stand_in = PayPages()
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="module")
def environment(stripe: PayPages) -> dict[str, str]:
    """Both providers are offered."""
    return {
        "MPS_TOPUP_PROVIDERS": "sandbox,stripe",
        "MPS_STRIPE_SECRET_KEY": "sk_test_for_the_stand_in",
        "MPS_STRIPE_WEBHOOK_SECRET": "whsec_for_the_stand_in",
        "MPS_STRIPE_API_BASE": stripe.url,
    }


def top_up(page: Any, amount: str) -> None:
    """Ask for a top-up by whatever is chosen."""
    page.locator("#topup-amount").fill(amount)
    page.get_by_role("button", name="Continue to payment").click()


def begun(card: Any) -> list[TopUp]:
    """Return a card's top-ups, oldest first."""
    with principal_scope("platform_admin"):
        return list(TopUp.objects.filter(card=card).order_by("id"))


def test_a_member_chooses_who_takes_the_payment(
    open_page: OpenPage, site: str, stripe: PayPages
) -> None:
    stripe.pages = site
    member, _standard = factories.make_member()
    card = factories.make_prepaid(member)
    page = open_page("/wallet/", service_workers="block")
    page.route("**/c/pay/**", lambda route: route.fulfill(content_type="text/html", body="Stripe"))
    enter(page, member, f"#/card/{card.number}/topup")
    choices = page.get_by_role("group", name="Payment method").get_by_role("radio")
    expect(choices).to_have_count(2)
    expect(page.get_by_label("Test payment (no real money)")).to_be_checked()
    expect(page.locator("#topup-via")).to_be_hidden()
    check_accessibility(page)
    check_width(page)

    page.get_by_label("Credit or debit card (Stripe)").check()
    top_up(page, "500")

    page.wait_for_url(f"{site}/c/pay/cs_*")
    (by_stripe,) = begun(card)
    assert (by_stripe.provider, by_stripe.status) == ("stripe", "pending")
    assert page.url == f"{site}/c/pay/{by_stripe.reference}"
    page.go_back()
    expect(page.locator("#topup-state")).to_contain_text("Waiting for the payment provider")

    page.get_by_label("Test payment (no real money)").check()
    top_up(page, "100")
    page.get_by_role("button", name="Pay", exact=True).click()

    expect(page.locator("#topup-state")).to_contain_text("Topped up")
    expect(page.locator("#topup-past").get_by_role("link")).to_have_attribute(
        "href", by_stripe.pay_url
    )
    assert [(each.provider, each.status) for each in begun(card)] == [
        ("stripe", "pending"),
        ("sandbox", "completed"),
    ]
