"""Tills pay and refund while web, worker, PostgreSQL and Valkey are killed: all exactly once.

All of MPS runs as `make run` starts it, without the demonstration. A till that gets no answer, or
503, asks the same again until it is answered, as docs/api.md tells it to.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from mps.launcher import places, state
from tests.launcher.helpers import CHECKOUT, Launched, descendants, launched, wait_until
from tests.merchants.receiver import receiving

TILLS = 4
START = Decimal("100000.00")
# What a till must have done between two kills, so that each hits them at work.
AT_LEAST = 6
_CHECKS = """
import django
from django.core.management import call_command

django.setup()
for command in ("check_invariants", "seal_audit", "verify_audit"):
    call_command(command)
"""


@dataclass
class Till:
    """A till that pays with one card, and what it was told."""

    url: str
    service_key: str
    card_id: str
    key: str = ""
    # By number: what was paid, less what was given back.
    paid: dict[str, Decimal] = field(default_factory=dict)
    refunds: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    faults: list[str] = field(default_factory=list)

    def work(self, stopping: threading.Event) -> None:
        """Pay, and give part of every third payment back, until told to stop."""
        try:
            for number in count():
                if stopping.is_set():
                    return
                self._pay(give_back=number % 3 == 0)
        except Exception as error:  # the test tells
            self.faults.append(repr(error))

    def _pay(self, *, give_back: bool) -> None:
        card = {"p_card_id": self.card_id}
        [code] = self.ask("/rest/v1/rpc/rotate_card_qr", card, self.service_key)
        order = {"amount": "10.00", "external_order_id": uuid.uuid4().hex}
        charge = {"code": code["qr_plain"], **order}
        payment = self.ask("/api/v1/pos/charges", charge, self.key)
        assert (payment["status"], payment["final_amount"]) == ("completed", "10.00")
        assert payment["tx_no"] not in self.paid, "one number for two payments"
        self.paid[payment["tx_no"]] = Decimal("10.00")
        if give_back:
            refunds = f"/api/v1/pos/charges/{payment['tx_no']}/refunds"
            refund = self.ask(refunds, {"amount": "4.00"}, self.key)
            self.refunds.append(refund["tx_no"])
            self.paid[payment["tx_no"]] -= 4

    def ask(self, path: str, body: dict[str, Any], key: str) -> Any:
        """Send a request under a key of its own until it is answered."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
                "Idempotency-Key": uuid.uuid4().hex,
            },
        )
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.replayed += answer.headers.get("Idempotent-Replayed") == "true"
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                assert error.code == 503, f"{path}: {error.code} {error.read().decode()}"
                assert int(error.headers["Retry-After"]) >= 1
                self.unanswered["503"] += 1
            except (OSError, EOFError, ValueError) as error:
                # Refused, cut off, or half an answer.
                self.unanswered[type(error).__name__] += 1
            time.sleep(0.05)


@dataclass
class Mps:
    """All of MPS under a data folder, and its tills."""

    launcher: Launched
    data_dir: Path
    tills: list[Till]

    @property
    def state(self) -> state.State:
        known = state.load(self.data_dir)
        assert known is not None
        return known

    @property
    def done(self) -> int:
        return min(len(till.paid) for till in self.tills)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.state.database_url("superuser")) as connection:
            return connection.execute(sql).fetchall()

    def kill_web(self) -> None:
        """Kill the whole of web."""
        os.kill(self._child("granian"), signal.SIGKILL)

    def kill_web_worker(self) -> None:
        """Kill one of web's processes while it answers."""
        os.kill(descendants(self._child("granian"))[-1], signal.SIGKILL)

    def kill_worker(self) -> None:
        """Kill the worker of jobs."""
        os.kill(self._child("worker@%h"), signal.SIGKILL)

    def kill_postgres(self) -> None:
        """Kill PostgreSQL."""
        lock = places.home(self.data_dir, self.state) / "postgres" / "postmaster.pid"
        os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)

    def kill_backend(self) -> None:
        """Kill the process of one connection; PostgreSQL then ends all others and recovers."""
        sql = "SELECT pid FROM pg_stat_activity WHERE usename = 'mps_web' ORDER BY xact_start DESC"
        os.kill(self.fetch(sql)[0][0], signal.SIGKILL)

    def kill_valkey(self) -> None:
        """Kill Valkey."""
        valkey = redis.Redis.from_url(self.state.redis_url())
        os.kill(valkey.info("server")["process_id"], signal.SIGKILL)

    def _child(self, name: str) -> int:
        """Return the process started by the launcher whose command has this word."""
        for pid in descendants(self.launcher.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if name in words and parent == self.launcher.process.pid:
                return pid
        raise AssertionError(f"no {name} in:\n{self.launcher.text}")


@contextmanager
def running(data_dir: Path) -> Iterator[Mps]:
    """Start MPS, open a shop with tills, and a card with money for each."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"MPS_DATA_DIR": str(data_dir), "MPS_PORT": str(port), "MPS_DEMO": "0"}
    settings["MPS_WEBHOOK_ALLOW_PRIVATE"] = "1"
    with launched("-m", "mps.launcher", "run", **settings) as launcher:
        launcher.wait_for("MPS is ready after")
        made = _manage(data_dir, "manage.py", "create_service_key", "--name", "tests")
        asking = Till(f"http://127.0.0.1:{port}", json.loads(made)["key"], "")

        def call(function: str, **arguments: Any) -> Any:
            body = {f"p_{name}": value for name, value in arguments.items()}
            return asking.ask(f"/rest/v1/rpc/{function}", body, asking.service_key)

        call("create_merchant", code="SHOP001", name="Corner Shop", fee_rate=0.02)
        tills = []
        for number in range(TILLS):
            member = call("create_member_profile", name=f"Member {number}")
            card = call("create_prepaid_card", owner_member_id=member, fixed_discount=1)
            call("user_recharge_card", card_id=card, amount=str(START), payment_method="wechat")
            [till] = call(
                *["create_terminal"],
                **{"merchant_code": "SHOP001", "name": f"Till {number}"},
                can_manage_webhooks=True,
            )
            tills.append(Till(asking.url, asking.service_key, card, till["key"]))
        yield Mps(launcher, data_dir, tills)


def _manage(data_dir: Path, *arguments: str) -> str:
    ours = ("DATABASE_", "MPS_", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "DEBUG")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"MPS_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "mps.settings"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def work_through(mps: Mps, kills: list[Callable[[], None]], *, pause_seconds: float = 0) -> None:
    """Let all tills work; do the next kill whenever each has done some work since the last."""
    stopping = threading.Event()
    threads = [threading.Thread(target=till.work, args=(stopping,)) for till in mps.tills]
    for thread in threads:
        thread.start()
    try:
        for kill in [*kills, None]:
            wanted = mps.done + AT_LEAST
            wait_until(
                lambda wanted=wanted: mps.done >= wanted or any(t.faults for t in mps.tills),  # type: ignore[misc]
                lambda: mps.launcher.text,
            )
            if kill is not None:
                time.sleep(pause_seconds)
                kill()
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def assert_exactly_once(mps: Mps) -> None:
    """What tills were told is what there is: in transactions, in balances, in the ledger."""
    assert [fault for till in mps.tills for fault in till.faults] == []
    numbers = "SELECT tx_no FROM payments_transaction WHERE type = '{}' AND status = 'completed'"
    for kind, told in (
        ("payment", [number for till in mps.tills for number in till.paid]),
        ("refund", [number for till in mps.tills for number in till.refunds]),
    ):
        assert sorted(each for (each,) in mps.fetch(numbers.format(kind))) == sorted(told)
    balances = dict(
        mps.fetch(
            "SELECT c.id::text, a.balance FROM cards_card c"
            " JOIN ledger_account a ON a.id = c.money_account_id WHERE c.card_type = 'PPD'"
        )
    )
    assert balances == {till.card_id: START - sum(till.paid.values()) for till in mps.tills}
    _manage(mps.data_dir, "-c", _CHECKS)


def test_tills_are_answered_exactly_once_whatever_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "data") as mps:
        work_through(mps, [mps.kill_web_worker, mps.kill_postgres, mps.kill_worker])

        assert_exactly_once(mps)
        mps.launcher.wait_for("postgres was killed by SIGKILL; restarting it")
        mps.launcher.wait_for("worker was killed by SIGKILL; restarting it")
        # They were hit at work.
        assert sum((till.unanswered for till in mps.tills), Counter[str]()).total() > 0
        assert mps.launcher.finish(signal.SIGTERM) == 0


@pytest.mark.long
def test_a_hundred_seconds_of_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    with receiving() as receiver, running(tmp_path / "data") as mps:
        mps.tills[0].ask("/api/v1/pos/webhook-endpoints", {"url": receiver.url}, mps.tills[0].key)
        kinds = [
            *(mps.kill_web_worker, mps.kill_postgres, mps.kill_worker),
            *(mps.kill_backend, mps.kill_web, mps.kill_valkey),
        ]

        work_through(mps, kinds * 4, pause_seconds=3)

        assert_exactly_once(mps)
        unanswered = sum((till.unanswered for till in mps.tills), Counter[str]())
        assert unanswered["503"] > 0
        assert unanswered.total() > unanswered["503"]
        # Some had been paid though the answer was lost; they were not paid again.
        assert sum(till.replayed for till in mps.tills) > 0
        told = {number for till in mps.tills for number in [*till.paid, *till.refunds]}
        events: dict[str, set[str]] = {}

        def all_told() -> bool:
            for message in list(receiver.messages):
                data = json.loads(message.body)["data"]
                events.setdefault(data["tx_no"], set()).add(message.id)
            return set(events) == told

        # What a killed worker had taken is free again when its lease is over.
        patience = time.monotonic() + 240
        while not all_told() and time.monotonic() < patience:
            time.sleep(1)
        assert set(events) == told
        assert {len(ids) for ids in events.values()} == {1}
        assert mps.launcher.finish(signal.SIGTERM) == 0
