"""A body that says no length is read like one that does."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from tests import factories
from tests.servers_http import live_server_url  # noqa: F401


def send(url: str, path: str, token: str, parts: list[bytes]) -> tuple[int, dict[str, Any]]:
    """Send a body piece by piece, without saying how long it is."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
    }
    connection.request("POST", path, iter(parts), headers, encode_chunked=True)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_body_without_a_length_is_read(live_server_url: str) -> None:  # noqa: F811
    member, card = factories.make_member()
    token = factories.member_token(member)
    path = f"/api/v1/me/cards/{card.number}/code"

    status, code = send(live_server_url, path, token, [b'{"ttl_sec', b'onds": 60}'])
    assert (status, code["ttl_seconds"]) == (201, 60)

    status, problem = send(live_server_url, path, token, [b'{"ttl_seconds": "x"}'])
    assert (status, problem["code"]) == (400, "INVALID_REQUEST")


def test_a_body_without_a_length_and_too_large_is_refused(
    live_server_url: str,  # noqa: F811
) -> None:
    member, card = factories.make_member()
    token = factories.member_token(member)
    path = f"/api/v1/me/cards/{card.number}/code"

    status, problem = send(live_server_url, path, token, [b" " * 100_000])

    assert (status, problem["code"]) == (413, "PAYLOAD_TOO_LARGE")
