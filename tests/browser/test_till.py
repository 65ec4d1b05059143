"""The till in a real browser, against a real server."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import segno
from barcode.codex import Code128
from playwright.sync_api import expect

from cards import vouchers
from mps.base.core import db_scope
from payments.models import Transaction
from settlements import services as settlements
from tests import factories
from tests.browser.conftest import TIMEOUT, check_width, look

MAX_WEIGHT = 200_000
OpenPage = Callable[..., Any]
CHARGES = "**/api/v1/pos/charges"


@pytest.fixture
def shop(site: str) -> tuple[Any, str]:
    """A shop's till with its key."""
    return factories.make_till_and_key(name="Corner shop")


@pytest.fixture
def member(site: str) -> tuple[Any, Any]:
    """A member with 3,000.00 on a prepaid card, which takes 5 % off."""
    found, _standard = factories.make_member()
    return found, factories.make_prepaid(found, "3000.00", fixed_discount="0.95")


def pair(page: Any, key: str) -> None:
    """Pair a till by hand."""
    page.get_by_label("Till key").fill(key)
    page.get_by_role("button", name="Pair", exact=True).click()
    expect(page.locator("#charge")).to_be_visible()


def press(page: Any, keys: str) -> None:
    """Press keys of the keypad."""
    for key in keys:
        page.locator(f"#keypad [data-key='{key}']").click()


def take(page: Any, keys: str, code: str, voucher: str = "") -> None:
    """Enter an amount and a code, and take the payment."""
    press(page, keys)
    page.locator("#code").fill(code)
    expect(page.locator("#preview")).not_to_be_empty()
    if voucher:
        page.get_by_text("Voucher or order number").click()
        page.get_by_label("Voucher code").fill(voucher)
    page.locator("#take").click()


def answered(page: Any, title: str) -> Any:
    """Wait for the big answer; return it."""
    expect(page.locator("#result-title")).to_have_text(title)
    return page.locator("#result")


def next_customer(page: Any) -> None:
    """Close the answer."""
    page.locator("#result-close").click()
    expect(page.locator("#result")).to_be_hidden()


def go(page: Any, tab: str) -> None:
    """Open a part of the till."""
    page.locator("#tabs").get_by_role("button", name=tab).click()


def payments_of(till: Any, **which: Any) -> list[Transaction]:
    """Return a shop's payments."""
    with db_scope.principal_scope("merchant_api", till.merchant_id):
        return list(
            Transaction.objects.filter(merchant_id=till.merchant_id, type="payment", **which)
        )


def settle(till: Any) -> None:
    """Settle what a shop took until a moment ago."""
    now = datetime.now(UTC)
    settlements.generate_settlement(
        merchant_id=till.merchant_id,
        mode="realtime",
        period_start=now - timedelta(hours=1),
        period_end=now,
    )


def test_a_till_is_paired_once_and_unpaired(open_page: OpenPage, shop: tuple[Any, str]) -> None:
    page = open_page("/pos/")
    page.get_by_label("Till key").fill("mps.t0.wrong")
    page.get_by_role("button", name="Pair", exact=True).click()
    expect(page.locator("#pair-error")).to_contain_text("not a valid till key")
    weight = page.evaluate(
        "() => ['navigation', 'resource'].flatMap(each => performance.getEntriesByType(each))"
        ".reduce((sum, each) => sum + each.decodedBodySize, 0)"
    )
    assert 0 < weight <= MAX_WEIGHT
    pair(page, shop[1])
    page.reload()
    expect(page.locator("#charge")).to_be_visible()

    go(page, "Settlements")
    page.get_by_role("button", name="Unpair this till").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_label("Till key")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0


def test_a_payment_a_refund_and_a_reversal(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])

    press(page, "29900")
    page.locator("#code").fill(factories.make_code(member[1], member[0]))
    expect(page.locator("#preview")).to_contain_text("5% off → $284.05")
    page.locator("#code").press("Enter")
    result = answered(page, "Paid")
    expect(result).to_contain_text("$284.05")
    expect(result).to_contain_text("+299")
    expect(result).to_contain_text("$2,715.95")
    next_customer(page)
    expect(page.locator("#amount-shown")).to_have_text("0.00")

    go(page, "Today")
    expect(page.locator("#summary")).to_contain_text("284.05")
    page.locator("#lines button").first.click()
    expect(page.locator("#found-details")).to_contain_text("Completed")
    page.locator("#refund-amount").fill("0")
    page.get_by_role("button", name="Refund").click()
    expect(page.locator("#refund-error")).to_contain_text("two decimal places")
    page.locator("#refund-amount").fill("300")
    page.get_by_role("button", name="Refund").click()
    expect(page.locator("#refund-error")).to_contain_text("more than can be refunded")
    page.locator("#refund-amount").fill("50.00")
    page.locator("#refund-reason").fill("Cold soup")
    page.get_by_role("button", name="Refund").click()
    expect(answered(page, "Refunded")).to_contain_text("$234.05")
    next_customer(page)

    page.get_by_role("button", name="Cancel payment").click()
    page.get_by_role("button", name="No", exact=True).click()
    assert [each.status for each in payments_of(shop[0])] == ["completed"]
    page.get_by_role("button", name="Cancel payment").click()
    page.get_by_role("button", name="Yes").click()
    answered(page, "Cancelled")
    next_customer(page)
    expect(page.locator("#found-details")).to_contain_text("Cancelled")
    expect(page.locator("#refund-form")).to_be_hidden()
    assert [each.status for each in payments_of(shop[0])] == ["cancelled"]

    page.get_by_label("Transaction number (PAY…) or order number").fill("no-such-order")
    page.get_by_role("button", name="Find", exact=True).last.click()
    expect(page.locator("#find-error")).to_contain_text("Payment not found.")


def test_cash_with_a_voucher(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    person, standard = factories.make_member()
    voucher = vouchers.issue_voucher_card(owner_id=person.id, kind="percent", value=Decimal(20))
    page = open_page("/pos/")
    pair(page, shop[1])

    take(page, "10000", factories.make_code(standard, person), factories.make_code(voucher, person))

    expect(answered(page, "Paid")).to_contain_text("$80.00")
    assert [each.payment_method for each in payments_of(shop[0])] == ["cash"]


def test_a_voucher_may_be_scanned_first_or_alone(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    owner, card = member
    first, second = (
        vouchers.issue_voucher_card(owner_id=owner.id, kind="amount", value=Decimal(20))
        for _ in range(2)
    )
    page = open_page("/pos/")
    pair(page, shop[1])
    press(page, "10000")
    code = factories.make_code(first, owner)
    page.locator("#code").fill(code)
    expect(page.get_by_label("Voucher code")).to_have_value(code)
    expect(page.locator("#preview")).to_contain_text("Now scan the customer's card")
    page.locator("#code").fill(factories.make_code(card, owner))
    expect(page.locator("#preview")).to_contain_text("5% off")
    page.locator("#take").click()
    expect(answered(page, "Paid")).to_contain_text("$75.00")
    next_customer(page)

    press(page, "10000")
    page.locator("#code").fill(factories.make_code(second, owner))
    expect(page.get_by_label("Cash", exact=True)).to_be_checked()
    expect(page.locator("#preview")).to_contain_text("voucher added")
    page.locator("#take").click()

    expect(answered(page, "Paid")).to_contain_text("$80.00")
    assert [each.payment_method for each in payments_of(shop[0])] == ["balance", "cash"]


def test_a_decline_is_plain_and_takes_nothing(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    page.locator("#take").click()
    expect(page.locator("#code")).to_be_focused()
    page.locator("#code").fill("12345678901234567890")
    page.locator("#take").click()
    expect(page.locator("#charge-error")).to_have_text("Enter an amount first.")
    poor = factories.make_prepaid(member[0], "10.00")

    take(page, "90000", factories.make_code(poor, member[0]))

    result = answered(page, "Not paid")
    expect(result).to_contain_text("Insufficient balance.")
    next_customer(page)
    expect(page.locator("#unfinished")).to_be_hidden()
    expect(page.locator("#amount-shown")).to_have_text("900.00")
    assert [each.status for each in payments_of(shop[0])] == ["failed"]


def test_a_lost_connection_leads_to_one_payment(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route(CHARGES, lose_the_answer)
    take(page, "29900", factories.make_code(member[1], member[0]))
    answered(page, "No response yet")
    next_customer(page)
    # Another customer waits until this one's outcome is known, also after a reload.
    page.reload()
    expect(page.locator("#unfinished")).to_contain_text("$299.00")
    press(page, "100")
    page.locator("#code").fill(factories.make_code(member[1], member[0]))
    page.locator("#take").click()
    expect(page.locator("#charge-error")).to_contain_text("Finish the payment above")
    page.unroute(CHARGES)
    page.locator("#unfinished").get_by_role("button", name="Check again").click()

    expect(answered(page, "Paid")).to_contain_text("$284.05")
    expect(page.locator("#unfinished")).to_be_hidden()
    assert [each.status for each in payments_of(shop[0])] == ["completed"]


def test_a_lost_payment_is_undone(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    late: list[Any] = []

    def lose_the_question(route: Any) -> None:
        late.append(route.request)
        # A gateway's answer says no more than silence does.
        route.fulfill(status=502, body="Bad gateway") if len(late) == 1 else route.abort()

    page.route(CHARGES, lose_the_question)
    take(page, "29900", factories.make_code(member[1], member[0]))
    answered(page, "No response yet")
    assert len({each.headers["idempotency-key"] for each in late}) == 1
    page.get_by_role("button", name="Cancel payment").last.click()

    answered(page, "Cancelled")
    expect(page.locator("#unfinished")).to_be_hidden()
    page.unroute(CHARGES)
    names = ("authorization", "idempotency-key", "content-type")
    arrives = page.request.post(
        "/api/v1/pos/charges",
        headers={name: late[0].headers[name] for name in names},
        data=late[0].post_data,
    )
    assert arrives.json()["code"] == "ORDER_REVERSED"
    assert payments_of(shop[0], status="completed") == []


def test_wallet_and_till_side_by_side(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    till, phone = open_page("/pos/", width=1280, height=800), open_page("/wallet/")
    pair(till, shop[1])
    token = factories.member_token(member[0])
    phone.evaluate("token => localStorage.setItem('mps.wallet.token', token)", token)
    phone.goto(f"/wallet/#/card/{member[1].number}")
    phone.reload()
    expect(phone.locator("#pay-code")).to_be_visible()

    take(till, "29900", phone.locator("#pay-digits").inner_text())

    expect(answered(till, "Paid")).to_contain_text("$284.05")
    expect(phone.locator("#pay-receipt")).to_contain_text("Corner shop")
    next_customer(till)

    # Above the threshold the member is asked; here the clerk does not wait for the answer.
    phone.get_by_role("button", name="New code").click()
    expect(phone.locator("#pay-code")).to_be_visible()
    take(till, "200000", phone.locator("#pay-digits").inner_text())
    expect(answered(till, "Waiting for the member")).to_contain_text("$1,900.00")
    expect(phone.locator("#approval")).to_be_visible()
    look(till, "till-waiting")
    till.keyboard.press("Escape")
    till.keyboard.press("Escape")
    till.locator("#result-undo").click()
    answered(till, "Cancelled")
    assert len(payments_of(shop[0], status="completed")) == 1


def test_a_declined_approval_is_not_paid(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    take(page, "200000", factories.make_code(member[1], member[0]))
    answered(page, "Waiting for the member")
    client = {"Authorization": f"Bearer {factories.member_token(member[0])}"}
    (asked,) = page.request.get("/api/v1/me/approvals", headers=client).json()["results"]
    page.request.post(f"/api/v1/me/approvals/{asked['id']}/decline", headers=client, data={})

    expect(answered(page, "Not paid")).to_contain_text("The member declined.")


def test_cash_tops_a_card_up_and_goes_back(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    go(page, "Top up")
    page.get_by_label("Card number or payment code").fill(member[1].number)
    page.locator("#topup-amount").fill("500")
    lost = "**/api/v1/pos/topups"
    page.route(lost, lambda route: (route.fetch(), route.abort()))
    page.get_by_role("button", name="Take cash and top up").click()
    expect(page.locator("#topup-error")).to_contain_text("never credited twice")
    page.unroute(lost)
    page.reload()
    go(page, "Top up")
    page.get_by_label("Card number or payment code").fill(member[1].number)
    page.locator("#topup-amount").fill("500")
    page.get_by_role("button", name="Take cash and top up").click()
    expect(answered(page, "Topped up")).to_contain_text("$500.00")
    next_customer(page)

    go(page, "Today")
    expect(page.locator("#lines tr")).to_have_count(1)
    page.locator("#lines").get_by_role("button", name="Cancel payment").click()
    page.get_by_role("button", name="Yes").click()
    answered(page, "Cancelled")
    next_customer(page)
    expect(page.locator("#lines").get_by_role("button", name="Cancel payment")).to_have_count(0)


def test_takings_and_settlements_are_read_and_downloaded(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any]
) -> None:
    for _ in range(3):
        factories.charge(shop[0], factories.make_code(member[1], member[0]), "100.00")
    settle(shop[0])
    page = open_page("/pos/")
    pair(page, shop[1])
    go(page, "Today")
    expect(page.locator("#summary")).to_contain_text("285.00")
    expect(page.locator("#lines tr")).to_have_count(3)
    page.locator("#day").fill("2024-02-29")
    expect(page.locator("#summary")).to_have_text("Nothing yet.")

    page.route("**/pos/settlements", lambda route: route.fulfill(status=502, body="Bad gateway"))
    go(page, "Settlements")
    expect(page.locator("#settlements-error")).to_contain_text("wrong on our side")
    page.unroute("**/pos/settlements")
    page.get_by_role("button", name="Try again").click()
    # Pressed before the answer came: each is listed once.
    go(page, "Settlements")
    go(page, "Settlements")
    expect(page.locator("#settlement-list")).to_contain_text("$285.00")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#settlement-list article")).to_have_count(1)
    for form in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Statement {form}").click()
        assert Path(download.value.path()).stat().st_size > 100


def video_of(modules: list[list[bool]], scale: tuple[int, int], path: Path) -> Path:
    """Write a still video of a code's modules, black on white, in the middle of a picture."""
    width, height = 640, 480
    rows = [
        bytes(0 if dark else 255 for dark in row for _ in range(scale[0]))
        for row in modules
        for _ in range(scale[1])
    ]
    left, top = (width - len(rows[0])) // 2, (height - len(rows)) // 2
    white = b"\xff" * width
    body = b"".join(b"\xff" * left + row + b"\xff" * (width - left - len(row)) for row in rows)
    picture = white * top + body + white * (height - top - len(rows))
    frame = b"FRAME\n" + picture + b"\x80" * (width * height // 2)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + frame * 2)
    return path


def qr_modules(code: str) -> tuple[list[list[bool]], tuple[int, int]]:
    """Return a code as its QR picture."""
    return [[bool(each) for each in row] for row in segno.make(code, micro=False).matrix], (12, 12)


def bar_modules(code: str) -> tuple[list[list[bool]], tuple[int, int]]:
    """Return a code as its bars."""
    (bars,) = Code128(code).build()
    return [[each == "1" for each in bars]], (3, 200)


@pytest.fixture
def open_camera(
    browser_type: Any, browser_type_launch_args: dict[str, Any], site: str
) -> Iterator[Callable[..., Any]]:
    """Open a page of a browser whose camera sees a video."""
    browsers = []

    def opened(path: str, video: Path) -> Any:
        arguments = [
            *browser_type_launch_args["args"],
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={video}",
        ]
        browser = browser_type.launch(**{**browser_type_launch_args, "args": arguments})
        browsers.append(browser)
        page = browser.new_context(
            base_url=site, permissions=["camera"], viewport={"width": 360, "height": 740}
        ).new_page()
        page.set_default_timeout(TIMEOUT)
        page.goto(path)
        return page

    yield opened
    for browser in browsers:
        browser.close()


@pytest.mark.parametrize("draw", [qr_modules, bar_modules])
def test_the_camera_reads_a_code(
    open_camera: Callable[..., Any],
    shop: tuple[Any, str],
    member: tuple[Any, Any],
    tmp_path: Path,
    draw: Callable[[str], Any],
) -> None:
    code = factories.make_code(member[1], member[0])
    page = open_camera("/pos/", video_of(*draw(code), tmp_path / "code.y4m"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pair(page, shop[1])
    assert not [url for url in asked if "vendor" in url]
    press(page, "10000")

    page.get_by_role("button", name="Camera", exact=True).click()

    expect(page.locator("#code")).to_have_value(code)
    expect(page.locator("#camera")).to_be_hidden()
    expect(page.locator("#preview")).to_contain_text("$95.00")
    assert [url for url in asked if url.endswith(".wasm")]


def test_without_a_camera_the_till_says_so(open_page: OpenPage, shop: tuple[Any, str]) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.locator("#camera-text")).to_contain_text("The camera is not available")
    look(page, "till-no-camera")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark"), (1280, "light")])
def test_every_screen_is_narrow_and_accessible(
    open_page: OpenPage, shop: tuple[Any, str], member: tuple[Any, Any], width: int, scheme: str
) -> None:
    till, key = shop
    factories.charge(till, factories.make_code(member[1], member[0]), "100.00")
    settle(till)
    page = open_page("/pos/", width=width, height=800, color_scheme=scheme)
    look(page, "till-pair")
    pair(page, key)
    look(page, "till-charge")
    take(page, "29900", factories.make_code(member[1], member[0]))
    answered(page, "Paid")
    look(page, "till-paid")
    next_customer(page)
    take(page, "90000", factories.make_code(factories.make_prepaid(member[0]), member[0]))
    answered(page, "Not paid")
    look(page, "till-not-paid")
    next_customer(page)
    go(page, "Today")
    expect(page.locator("#lines tr")).to_have_count(3)
    look(page, "till-today")
    page.locator("#lines button").last.click()
    expect(page.locator("#found")).to_be_visible()
    look(page, "till-find")
    go(page, "Top up")
    look(page, "till-topup")
    go(page, "Settlements")
    expect(page.locator("#settlement-list")).to_contain_text("$95.00")
    look(page, "till-settlements")


def test_the_till_speaks_chinese(open_page: OpenPage, shop: tuple[Any, str]) -> None:
    page = open_page("/pos/")
    pair(page, shop[1])
    page.get_by_role("button", name="繁體中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hant")
    expect(page.locator("#charge")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_the_first_page_leads_to_the_others(open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page("/", width=width, color_scheme=scheme)
    look(page, "landing")
    page.get_by_role("link", name="Till for shops").click()
    expect(page.get_by_label("Till key")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_apis_page_is_searched_and_dark_where_the_device_is(
    open_page: OpenPage, width: int, scheme: str
) -> None:
    page = open_page("/api/docs/", width=width, color_scheme=scheme)
    page.get_by_label("Search").fill("post refunds charges")
    operation = page.locator(".opblock")
    expect(operation).to_have_count(1)
    expect(operation).to_contain_text("/api/v1/pos/charges/{tx_no}/refunds")
    ground = page.evaluate(
        "Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/))"
    )
    assert (ground < 100) == (scheme == "dark")
    check_width(page)
