"""Who is told of incidents, and somebody past all guards who plants what is wrong."""

import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from tests import factories


class Receiver(http.server.ThreadingHTTPServer):
    """Takes webhooks on loopback; answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/alerts"

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and kind of what came."""
        bodies = [json.loads(body) for _headers, body in self.requests]
        return [(body["type"], body["data"]["kind"]) for body in bodies]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A webhook receiver that alerts are sent to."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.MPS_ALERT_WEBHOOK_URL = server.url
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop(database: str) -> SimpleNamespace:
    """A member with money, and a till."""
    return _shop()


@pytest.fixture
def broken_shop(unchecked_database: str, superuser: psycopg.Connection) -> Iterator[Any]:
    """The same, and a superuser's connection past all triggers: what they do breaks invariants."""
    with psycopg.connect(
        superuser.info.dsn,
        dbname=unchecked_database,
        password=superuser.info.password,
        autocommit=True,
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        shop = _shop()
        shop.plant = connection.execute
        yield shop


def _shop() -> SimpleNamespace:
    member, standard = factories.make_member()
    till, key = factories.make_till_and_key()
    card = factories.make_prepaid(member, "1000.00")

    def pay(amount: str = "1.00") -> str:
        answer = factories.charge(till, factories.make_code(card, member), amount)
        number: str = answer.body.get("tx_no", "")
        return number

    return SimpleNamespace(member=member, standard=standard, till=till, key=key, card=card, pay=pay)
