"""`python -m benchmarks.console`: measure the console's pages with a long history.

The first page, and every list of the site's registry: its first and second page, searches, each
choice of each filter, days of its date filters. Through the whole application, as a superuser, in
this process: what is measured is the server's part. Cold is the first call, on a new connection of
the database's, with nothing kept; warm is the median of the next ones.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg

from benchmarks import servers

RESULTS = servers.ROOT / "benchmarks" / "results"
BUDGET_MS = 300
BUDGET_QUERIES = 15
ROUNDS = 5
# What takes so long needs no median.
_HOPELESS_MS = 3000


@dataclass(frozen=True, slots=True)
class View:
    """A page of the console. `what` says which part of it is asked for."""

    page: str
    what: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a page took, in milliseconds."""

    page: str
    what: str
    url: str
    cold_ms: float
    warm_ms: float
    queries: int

    @property
    def is_slow(self) -> bool:
        """Whether it is above a budget."""
        return self.warm_ms > BUDGET_MS or self.queries > BUDGET_QUERIES


def main() -> None:
    """Measure on servers of its own; print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=120, help="over how many days they are spread")
    parser.add_argument("--only", default="", help="only pages with this in their name")
    options = parser.parse_args()
    with servers.prepared_database() as owner:
        load(owner, options.transactions, options.days)
        rows = measure(options.only)
    print_table(rows)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"console-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps([asdict(each) for each in rows], indent=2) + "\n")
    servers.say(f"written to {path.relative_to(servers.ROOT)}")


def load(connection: psycopg.Connection[Any], number: int, days: int) -> None:
    """Load a world with so many transactions, and the people and shops they need."""
    from django.core.management.base import OutputWrapper

    from benchmarks import world
    from mps.base.core import commands

    # No card can pay more than it was given.
    members = max(5000, number // 200)
    servers.say(f"loading {members:,} members and 300 shops ...")
    world.load_merchants(connection, 300)
    world.load_vouchers(connection, world.load_cards(connection, members))
    servers.say(f"loading {number:,} transactions and what they leave behind ...")
    began = time.perf_counter()
    with commands.progress(OutputWrapper(sys.stderr), "transactions") as show:
        world.load_history(connection, number, days=days, on_progress=show)
    servers.say(f"loaded in {time.perf_counter() - began:.0f} s")


def measure(only: str = "") -> list[Row]:
    """Time every view of the console."""
    client = _sign_in()
    client.get("/admin/members/member/")  # what is loaded once in a process's life
    found = [each for each in views() if only in each.page]
    servers.say(f"measuring {len(found)} views ...")
    return [_time(client, each) for each in found]


def views() -> Iterator[View]:
    """Return the first page with each range, and for each list what there is to ask of it."""
    from django.contrib import admin
    from django.urls import reverse

    from payments import dashboard

    for days in dashboard.RANGES:
        yield View("dashboard", f"{days} days", f"{reverse('admin:index')}?days={days}")
    terms = _terms()
    for model in sorted(admin.site._registry, key=lambda each: each._meta.label):
        name = model._meta.label
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield View(name, "first page", url)
        yield View(name, "second page", f"{url}?p=2")
        page = admin.site._registry[model]
        if page.search_fields or getattr(page, "exact_search", ()):
            for what, term in terms.items():
                yield View(name, f"search: {what}", f"{url}?{urlencode({'q': term})}")
        for query in _filters(page):
            yield View(name, urlencode(query), f"{url}?{urlencode(query)}")


def _terms() -> dict[str, str]:
    """Return what is looked for: each kind of number, of an object in the middle."""
    from cards.models import Card
    from members.models import Member
    from merchants.models import Merchant
    from mps.base import console
    from mps.base.ledger.models import Account
    from payments.models import Transaction

    with console.platform():
        payments = Transaction.objects.filter(type="payment").order_by("-id")
        payment = payments[payments[:20_000].count() // 2]
        account = Account.objects.filter(kind="card_money").order_by("id").first()
        assert account is not None
        return {
            "transaction": payment.tx_no,
            "order": payment.external_order_id,
            "card": Card.objects.get(id=payment.card_id).number,
            "member": Member.objects.get(id=payment.member_id).number,
            "merchant": Merchant.objects.get(id=payment.merchant_id).code,
            "action": "PAYMENT_FAILED",
            "account": str(account.id),
            "phone": "+886912345678",
            "nothing": "nothing is called so",
        }


def _filters(page: Any) -> list[dict[str, str]]:
    """Return a query for each choice of each filter of a list."""
    from django.contrib.auth.models import User
    from django.test import RequestFactory

    from mps.base import console

    request = RequestFactory().get("/")
    request.user = User.objects.get(username="bench")
    with console.platform():
        return [
            query
            for spec in page.get_changelist_instance(request).filter_specs
            for query in (_days(spec) if isinstance(spec, console.DayFilter) else _choices(spec))
        ]


def _days(spec: Any) -> Iterator[dict[str, str]]:
    today = datetime.now(UTC).date()
    name = spec.parameter_name
    for first, last in ((0, 0), (30, 30), (90, 60), (400, 390)):
        yield {
            f"{name}_from": str(today - timedelta(days=first)),
            f"{name}_to": str(today - timedelta(days=last)),
        }


def _choices(spec: Any) -> Iterator[dict[str, str]]:
    (name, *_others) = spec.expected_parameters()
    if hasattr(spec, "lookup_choices") and spec.lookup_choices:
        values = [each[0] if isinstance(each, tuple) else each for each in spec.lookup_choices]
    elif spec.field.flatchoices:
        values = [value for value, _text in spec.field.flatchoices]
    else:
        values = [1, 0]
    for value in values:
        yield {name: str(value)}


def _sign_in() -> Any:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.http import HttpRequest
    from django.test import Client

    from mps.base.staff import sessions

    client = Client(SERVER_NAME="localhost")
    request = HttpRequest()
    request.session = client.session
    sessions.sign_in(request, User.objects.create_superuser("bench", password=None))
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    return client


def _time(client: Any, view: View) -> Row:
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    connection.close()
    cache.clear()
    cold = _call(client, view)
    rounds = 1 if cold > _HOPELESS_MS else ROUNDS
    warm = statistics.median(_call(client, view) for _ in range(rounds))
    with CaptureQueriesContext(connection) as queries:
        _call(client, view)
    row = Row(view.page, view.what, view.url, cold, warm, len(queries))
    if row.is_slow:
        servers.say(f"above its budget: {_line(row)}")
    return row


def _call(client: Any, view: View) -> float:
    began = time.perf_counter()
    answer = client.get(view.url)
    taken = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise SystemExit(f"{view.url} answered {answer.status_code}")
    return taken


def print_table(rows: list[Row]) -> None:
    """Print what was measured, and what is above its budget."""
    print(f"{'page':<34} {'what':<52} {'cold ms':>8} {'warm ms':>8} {'queries':>8}")
    for row in rows:
        print(_line(row) + ("  <-- too much" if row.is_slow else ""))
    slow = sum(row.is_slow for row in rows)
    print(
        f"{slow} of {len(rows)} views take more than {BUDGET_MS} ms warm"
        f" or {BUDGET_QUERIES} queries"
    )


def _line(row: Row) -> str:
    return f"{row.page:<34} {row.what:<52} {row.cold_ms:>8.0f} {row.warm_ms:>8.0f} {row.queries:>8}"


if __name__ == "__main__":
    main()
