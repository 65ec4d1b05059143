"""What the web shows to browsers, and what production will not start without."""

import base64
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import resolve

from mps.base.core import production
from tests.console.conftest import boss, console  # noqa: F401

CHECKOUT = Path(__file__).resolve().parents[2]
STRICT = ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")
PRODUCTION = {
    "DATABASE_URL": "postgresql://mps_web:unused@127.0.0.1:1/mps",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "kW7" + secrets.token_hex(40),
    "MPS_CODE_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "MPS_WEBHOOK_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "MPS_AUDIT_KEY": "aB3" + secrets.token_hex(32),
    "ALLOWED_HOSTS": "pay.shop.test",
    "MPS_HTTPS": "1",
}


@pytest.mark.parametrize("path", ["/", "/api/docs/", "/wallet/", "/pos/", "/sandbox/pay/x"])
def test_our_pages_run_and_style_nothing_inline(database: str, settings: Any, path: str) -> None:
    settings.MPS_DEMO = True

    answer = Client().get(path)

    policy = answer["Content-Security-Policy"]
    assert all(part in policy for part in STRICT)
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    page = answer.content.decode()
    assert "<style" not in page
    assert " style=" not in page
    scripts = re.findall(r"<script([^>]*)>", page)
    # A block of data is no script.
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)


def test_the_consoles_pages_may_evaluate_and_nobody_elses(console: Client) -> None:  # noqa: F811
    policy = console.get("/admin/")["Content-Security-Policy"]

    script = next(each for each in policy.split("; ") if each.startswith("script-src"))
    assert script == "script-src 'self' 'unsafe-eval'"
    assert "object-src 'none'" in policy
    assert "unsafe" not in console.get("/administer")["Content-Security-Policy"]


def run_check(**changes: str) -> subprocess.CompletedProcess[str]:
    """Run Django's deployment check as production would, in a process of its own."""
    environment = {**PRODUCTION, **changes}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_djangos_deployment_check_has_nothing_to_say() -> None:
    done = run_check()

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("MPS_AUDIT_KEY", "an-audit-key"),
        ("MPS_WEBHOOK_KEYS", ""),
        ("MPS_CODE_KEYS", "k1:" + "A" * 43 + "="),
        ("ALLOWED_HOSTS", "*"),
    ],
)
def test_production_does_not_start_on_missing_or_default_secrets(name: str, value: str) -> None:
    done = run_check(**{name: value})

    assert done.returncode != 0
    assert name in done.stderr
    assert done.stderr.count("\n") == 1, "one sentence, no traceback"
    assert not value or value == "*" or value not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPS_CURRENCY", "usd"),
        ("MPS_TIME_ZONE", "Taipei"),
        ("MPS_CODE_TTL_SECONDS", "59"),
        ("MPS_BCRYPT_COST", "3"),
        ("MPS_HTTPS", "ture"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name: str, value: str) -> None:
    done = run_check(**{name: value})

    assert done.returncode != 0
    assert done.stderr.startswith(f"{name} ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ({}, "DATABASE_OWNER_URL is not set"),
        (
            {"DATABASE_OWNER_URL": "postgresql://mps_owner:a-password@127.0.0.1:1/mps"},
            "The database: connection failed",
        ),
    ],
)
def test_a_database_that_is_not_there_is_a_sentence(urls: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare"],
        cwd=CHECKOUT,
        env={
            **{"PATH": os.environ["PATH"], **PRODUCTION, **urls},
            "DATABASE_URL": "postgresql://mps_web:a-password@127.0.0.1:1/mps",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "a-password" not in done.stderr


def test_what_is_for_demonstrations_is_told_of_in_production() -> None:
    done = run_check(
        MPS_BCRYPT_COST="4", MPS_TOPUP_PROVIDERS="sandbox", MPS_WEBHOOK_ALLOW_PRIVATE="1"
    )

    assert done.returncode != 0
    for number, name in (
        ("W002", "MPS_BCRYPT_COST"),
        ("W003", "MPS_TOPUP_PROVIDERS"),
        ("W004", "MPS_WEBHOOK_ALLOW_PRIVATE"),
    ):
        assert f"?: (mps.{number}) {name}" in done.stderr


@pytest.mark.parametrize(
    ("secret", "right"),
    [
        ("kW7" + "0123456789abcdef" * 4, True),
        ("short-but-random-9", False),
        ("a" * 60, False),
        ("django-insecure-0123456789abcdefghijklmnopq", False),
        ("change-me-0123456789abcdefghijklmnopqrstuvw", False),
    ],
)
def test_a_secret_is_long_and_not_well_known(secret: str, right: bool) -> None:
    try:
        production.require_secrets(key_rings={}, secrets={"SECRET_KEY": secret})
    except ImproperlyConfigured as refusal:
        assert not right
        assert secret not in str(refusal)
    else:
        assert right


def test_https_is_held_on_to_and_cookies_stay_inside(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.ALLOWED_HOSTS = ["pay.shop.test"]

    answer = Client(headers={"Host": "pay.shop.test"}).get("/healthz")
    secure = Client(headers={"Host": "pay.shop.test"}).get("/healthz", secure=True)

    assert (answer.status_code, answer["Location"]) == (301, "https://pay.shop.test/healthz")
    assert secure["Strict-Transport-Security"].startswith("max-age=31536000")
    assert Client(headers={"Host": "evil.test"}).get("/healthz", secure=True).status_code == 400
    # A caller's word that it came by TLS counts only from a configured proxy.
    settings.MPS_TRUSTED_PROXIES = frozenset({"10.0.0.1"})
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    forwarded = Client(headers={"Host": "pay.shop.test", "X-Forwarded-Proto": "https"})
    assert forwarded.get("/healthz", REMOTE_ADDR="203.0.113.9").status_code == 301
    assert forwarded.get("/healthz", REMOTE_ADDR="10.0.0.1").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/auth/login",
        "/api/v1/members",
        "/rest/v1/rpc/validate_qr_plain",
        "/_allauth/app/v1/auth/login",
        "/api/v1/callbacks/topups/sandbox",
    ],
)
@pytest.mark.parametrize("body", [b'{"a":"' + b"x" * 3_000_000 + b'"}', b"[" * 100_000])
def test_no_door_takes_what_is_too_large_or_too_deep(database: str, path: str, body: bytes) -> None:
    assert resolve(path), "there is such a door"
    answer = Client(raise_request_exception=False).post(
        path, data=body, content_type="application/json"
    )

    assert answer.status_code != 404
    assert 400 <= answer.status_code < 500, (path, answer.status_code)
