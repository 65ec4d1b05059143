"""Clients of members: each test counts attempts for itself, so that no limit reaches across."""

import secrets

import pytest
from django.test import Client

from mps.base.core import throttle


@pytest.fixture
def client(database: str, settings, monkeypatch) -> Client:
    monkeypatch.setattr(throttle._Away, "until", 0.0)
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8)}
    }
    return Client()
