"""Clients of members: each test counts attempts for itself, so that no limit reaches across."""

import secrets

import pytest
from django.test import Client


@pytest.fixture
def client(database: str, settings) -> Client:
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8)}
    }
    return Client()
