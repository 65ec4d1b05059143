"""Real Chromium against a real server: one of each for the tests of a module.

Where no Chromium is found the tests are skipped, or fail if MPS_REQUIRE_BROWSER=1.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import psycopg
import pytest
from playwright.sync_api import expect

from tests.browser.chromium import ARGUMENTS, HOW, find_chromium
from tests.conftest import cloned_database
from tests.servers_http import serve

APPROVAL_ABOVE = "1000"
_AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_BETWEEN = 40.0  # milliseconds
_PATIENCE = 1500
# What a slow machine takes is not judged here; only what will never come is given up.
TIMEOUT = 60_000.0  # milliseconds
expect.set_options(timeout=TIMEOUT)
# What each page waits for.
_ASKED: WeakKeyDictionary[Any, set[Any]] = WeakKeyDictionary()
_HOW = f"No Chromium: the browser tests did not run. {HOW}, then run: pytest tests/browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The Chromium that is there."""
    found = find_chromium()
    if found is None:
        (pytest.fail if os.environ.get("MPS_REQUIRE_BROWSER") == "1" else pytest.skip)(_HOW)
    return {"executable_path": found, "args": ARGUMENTS}


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """What the server of a module is told beside; a module may say otherwise."""
    return {"MPS_APPROVAL_ABOVE": APPROVAL_ABOVE}


@pytest.fixture(scope="module")
def site(
    environment: dict[str, str],
    browser_type_launch_args: dict[str, Any],
    superuser: psycopg.Connection,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The base URL of a server; the tests of a module share it and its database."""
    from mps.base.core import context, invariants

    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps a loop in this thread; our services are called beside it, not from it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with cloned_database(superuser, django_db_blocker) as name:
            log = tmp_path_factory.mktemp("site") / "web.log"
            with (
                serve(name, log, **environment) as url,
                context.acting("system", "mps", request_id=""),
            ):
                yield url
            assert invariants.check() == []


class Watcher:
    """Everything a browser context's pages complain of or fetch from elsewhere."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.complaints: list[str] = []

    def follow(self, page: Any) -> None:
        """Listen to a page."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)
        asked = _ASKED.setdefault(page, set())

        # Methods of a set are no handlers to Playwright.
        def begin(request: Any) -> None:
            asked.add(request)

        def end(request: Any) -> None:
            asked.discard(request)

        page.on("request", begin)
        page.on("requestfinished", end)
        page.on("requestfailed", end)

    def _heard(self, message: Any) -> None:
        # The browser reports every refusal of an API, and of a form of the console, as an error;
        # to the page it is an answer.
        url = message.location["url"]
        refused = "/act/" in url and "the server responded with a status of 403" in message.text
        of_api = "/api/" in url or "/_allauth/" in url or refused
        offline = "net::ERR_INTERNET_DISCONNECTED" in message.text
        if message.type == "error" and not of_api and not offline:
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _asked(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme.startswith("http") and address.netloc != self.host:
            self.complaints.append(f"foreign request: {request.url}")


@pytest.fixture
def open_page(new_context: Callable[..., Any], site: str) -> Iterator[Callable[..., Any]]:
    """Open a page of a device of its own; afterwards nobody may have complained."""
    watcher = Watcher(site)

    def opened(path: str, *, width: int = 360, height: int = 740, **options: Any) -> Any:
        context = new_context(
            viewport={"width": width, "height": height},
            base_url=site,
            **{"color_scheme": "light", "reduced_motion": "reduce", "locale": "en-US", **options},
        )
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        watcher.follow(page)
        page.goto(path)
        return page

    yield opened
    assert watcher.complaints == []


def check_accessibility(page: Any) -> None:
    """Fail if axe finds a serious or critical violation on the page as it is now."""
    if page.evaluate("typeof axe === 'undefined'"):
        # Said to the browser, so the page's own policy stays as it is.
        page.evaluate(_AXE)
    found = page.evaluate("async () => (await axe.run()).violations")
    serious = [
        f"{each['id']}: {[node['target'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == []


def check_width(page: Any) -> None:
    """Fail if the page scrolls sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def settle(page: Any) -> None:
    """Wait until a page has all it asked for: twice in a row it waits for nothing."""
    page.wait_for_load_state()
    quiet = 0
    for _ in range(_PATIENCE):
        page.wait_for_timeout(_BETWEEN)
        quiet = 0 if _ASKED[page] else quiet + 1
        if quiet == 2:
            return
    raise AssertionError(f"still waits for {[each.url for each in _ASKED[page]]}")


def look(page: Any, name: str) -> None:
    """Check a screen as it is; keep a picture where one is asked for."""
    settle(page)
    check_width(page)
    check_accessibility(page)
    folder = os.environ.get("MPS_SCREENSHOTS")
    if folder:
        scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? '-dark' : ''")
        width = page.viewport_size["width"]
        page.screenshot(path=Path(folder) / f"{name}-{width}{scheme}.png", full_page=True)


def plug_in(page: Any) -> tuple[Any, str]:
    """Give a page a device that makes passkeys and knows its owner."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    return devtools, made["authenticatorId"]
