"""`make screenshots`: the pictures of the README, taken of the running system.

MPS is started as `make run` does, with its demonstration, on a data folder that is thrown away.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, HOW, find_chromium
from tests.servers_http import wait_until_ready

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
CARD = "PPD00000001"
_START_SECONDS = 300


def main() -> None:
    """Take the pictures."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(f"No Chromium. {HOW}, then run: make screenshots")
    PICTURES.mkdir(exist_ok=True)
    with _demonstration() as (url, people), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for take in (_take_wallet, _take_till, _take_dashboard):
            path, page = take(browser, url, people)
            page.screenshot(path=path, animations="disabled")
            _say(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")
        browser.close()


def _take_wallet(browser: Browser, url: str, people: dict[str, list[str]]) -> tuple[Path, Page]:
    """Take a member's card with its payment code."""
    page = _open(browser, f"{url}/wallet/", 390, 844)
    number, password = people["member"]
    token = _post(url, "/api/v1/auth/login", {"identifier": number, "password": password})["token"]
    page.evaluate("token => localStorage.setItem('mps.wallet.token', token)", token)
    page.reload()
    page.locator("#card-list a", has_text=CARD).click()
    expect(page.locator("#pay-qr")).to_be_visible()
    page.wait_for_timeout(1000)
    return PICTURES / "wallet.png", page


def _take_till(browser: Browser, url: str, people: dict[str, list[str]]) -> tuple[Path, Page]:
    """Take a till that was just paid 299.00 less the card's discount."""
    number, password = people["member"]
    token = _post(url, "/api/v1/auth/login", {"identifier": number, "password": password})["token"]
    code = _post(url, f"/api/v1/me/cards/{CARD}/code", {}, token)["code"]
    page = _open(browser, f"{url}/pos/", 900, 800)
    page.get_by_label("Till key").fill(people["terminal"][1])
    page.get_by_role("button", name="Pair", exact=True).click()
    for key in "29900":
        page.locator(f"#keypad [data-key='{key}']").click()
    page.locator("#code").fill(code)
    expect(page.locator("#preview")).not_to_be_empty()
    page.locator("#take").click()
    expect(page.locator("#result-title")).to_have_text("Paid")
    page.wait_for_timeout(1000)
    return PICTURES / "till.png", page


def _take_dashboard(browser: Browser, url: str, people: dict[str, list[str]]) -> tuple[Path, Page]:
    """Take what staff see first."""
    page = _open(browser, f"{url}/admin/", 1280, 1200)
    name, password = people["staff"]
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.locator("[name=password]").press("Enter")
    expect(page.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(2000)
    return PICTURES / "dashboard.png", page


def _open(browser: Browser, address: str, width: int, height: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(address)
    return page


def _post(url: str, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


@contextmanager
def _demonstration() -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Run MPS; yield where it is and, by kind, the first sign-in of its demonstration."""
    with tempfile.TemporaryDirectory(prefix="mps-pictures-") as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = Path(folder) / "data"
        # Servers of its own, whatever the environment or `.env` names: nothing else is written to.
        own = {
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "MPS_DATA_DIR": str(data),
            "MPS_PORT": str(port),
        }
        environment = {**os.environ, **own}
        launcher = [sys.executable, "-m", "mps.launcher"]
        _say("starting the demonstration ...")
        with (Path(folder) / "log").open("w+") as log:
            running = subprocess.Popen(
                [*launcher, "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
            try:
                wait_until_ready(
                    running, f"http://127.0.0.1:{port}/readyz", Path(log.name), _START_SECONDS
                )
                yield f"http://127.0.0.1:{port}", _people(data / "demo-credentials.txt")
            finally:
                running.send_signal(signal.SIGTERM)
                running.wait(60)
                subprocess.run(
                    [*launcher, "reset"],
                    cwd=ROOT,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )


def _people(file: Path) -> dict[str, list[str]]:
    people: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        kind, *rest = line.split()
        if len(rest) >= 2:
            people.setdefault(kind, rest[:2])
    return people


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
