"""The bar of years, months and days above a list: right days, one cheap query, no harm by junk."""

import re
from datetime import timedelta

from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from members.models import Member
from mps.base.core.db_scope import principal_scope
from mps.base.core.models import JobRun
from mps.base.ledger.models import Entry
from payments.models import Transaction
from tests import factories
from tests.cards.helpers import as_owner
from tests.console.helpers import list_url, page_url

DATED = {
    model: page.date_hierarchy
    for model, page in admin.site._registry.items()
    if page.date_hierarchy
}


def make_runs(*moments: str) -> None:
    """Write runs of a job down, each with the id its moment has."""
    for moment in moments:
        as_owner(
            "INSERT INTO core_jobrun (id, name, started_at, lease_until)"
            " VALUES (core_uuid_floor(%s::timestamptz), %s, %s, %s)",
            [moment] * 4,
        )


def shown(console: Client, **query: object) -> list[str]:
    page = console.get(list_url(JobRun), {f"started_at__{key}": query[key] for key in query})
    return [each.name for each in page.context["cl"].result_list]


def bar_of(console: Client, model: type, **query: object):
    return console.get(list_url(model), query).context["cl"].dates


def test_days_begin_at_midnight_of_the_shown_zone(console: Client) -> None:
    before, first, last, after = (
        "2024-02-28T23:59:59+08:00",
        "2024-02-29T00:00:00+08:00",
        "2024-02-29T23:59:59+08:00",
        "2024-03-01T00:00:00+08:00",
    )
    make_runs(before, first, last, after, "2025-01-01T00:00:00+08:00")

    assert shown(console, year=2024, month=2, day=29) == [last, first]
    assert shown(console, year=2024, month=2) == [last, first, before]
    assert shown(console, year=2024) == [after, last, first, before]
    assert shown(console, year=2023) == []


def test_the_bar_leads_down_and_back_up(console: Client) -> None:
    make_runs("2024-02-29T00:00:00+08:00")
    field = "started_at"

    years = bar_of(console, JobRun, outcome__exact="running")
    assert years.choices[0].text == "2024"
    assert years.choices[-1].text == str(timezone.localdate().year)
    assert "outcome__exact=running" in years.choices[0].link
    months = bar_of(console, JobRun, **{f"{field}__year": 2024})
    assert [each.text for each in months.choices][:2] == ["Feb", "Mar"]
    days = bar_of(console, JobRun, **{f"{field}__year": 2024, f"{field}__month": 2})
    assert [each.text for each in days.choices] == ["29"]
    day = console.get(list_url(JobRun) + days.choices[0].link)
    assert [each.name for each in day.context["cl"].result_list] == ["2024-02-29T00:00:00+08:00"]
    assert day.context["cl"].dates.choices[0].current
    assert day.context["cl"].dates.back.text == "February 2024"
    month = console.get(list_url(JobRun) + day.context["cl"].dates.back.link)
    assert month.context["cl"].dates.here == "February 2024"


def test_a_chosen_day_lives_with_filters_search_and_export(console: Client, world) -> None:
    today = timezone.localdate()
    chosen = {f"created_at__{part}": getattr(today, part) for part in ("year", "month", "day")}
    tomorrow = today + timedelta(days=1)

    found = console.get(list_url(Transaction), {**chosen, "q": world.paid.body["tx_no"]})
    assert len(found.context["cl"].result_list) == 1
    assert f'name="created_at__day" value="{today.day}"' in found.content.decode()
    empty = {"created_at_from": tomorrow.isoformat(), **chosen}
    assert not console.get(list_url(Transaction), empty).context["cl"].result_list
    for query, rows in ((chosen, 3), ({**chosen, "created_at__year": today.year - 1}, 0)):
        query_string = "&".join(f"{key}={value}" for key, value in query.items())
        answer = console.post(
            f"{list_url(Transaction, 'export')}?{query_string}", {"resource": "0", "format": "0"}
        )
        assert len(answer.content.decode().splitlines()) == rows + 1


def test_junk_dates_are_ignored(console: Client, world) -> None:
    for junk in (
        {"year": "x"},
        {"year": "0"},
        {"year": "1"},
        {"year": "9999"},
        {"year": "\x00"},
        {"year": "٢٠٢٥"},
        {"year": "2025", "month": "13"},
        {"year": "2025", "month": "2", "day": "30"},
        {"year": "2025", "day": "1"},
        {"month": "1"},
    ):
        sent = {f"created_at__{part}": value for part, value in junk.items()}
        answer = console.get(list_url(Transaction), sent)
        assert answer.status_code == 200, junk
        assert len(answer.context["cl"].result_list) == 3, junk
    for model, field in DATED.items():
        sent = {f"{field}__year": "9999", f"{field}__month": "x", f"{field}__day": "%00"}
        assert console.get(list_url(model), sent).status_code == 200, model


def test_the_oldest_row_is_found_by_index(console: Client, world) -> None:
    """The only query of the bar walks an index; a chosen period bounds the partitioned id."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    for model, field in DATED.items():
        with principal_scope("platform_admin"):
            rows = model._base_manager.order_by(admin.site._registry[model].oldest_by)
            plan = rows.values_list(field, flat=True)[:1].explain()
        assert "Index" in plan and "Sort" not in plan, (model, plan)
        chosen = {f"{field}__year": 2025, f"{field}__month": 1}
        with CaptureQueriesContext(connection) as queries:
            console.get(list_url(model), chosen)
        assert len(queries) <= 15, model
        asked = [each["sql"] for each in queries if "core_uuid_floor" in each["sql"]]
        assert bool(asked) is (model is not Member and field not in {"period_end", "opened_at"})


def test_amounts_are_shown_with_thousands_apart_and_exported_without(
    console: Client, world
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "12345.50")
    with principal_scope("platform_admin"):
        top_up = Transaction.objects.get(card=card)
        posted = Entry.objects.filter(account=card.money_account).get()

    for url in (list_url(Transaction), page_url(top_up), list_url(Entry), page_url(posted)):
        assert "12,345.50" in console.get(url).content.decode(), url
    listed = console.get(list_url(Transaction)).content.decode()
    assert re.search(r'<td class="field-figures_amount[^>]*>12,345\.50</td>', listed)
    file = console.post(list_url(Transaction, "export"), {"resource": "0", "format": "0"})
    assert ",12345.50," in file.content.decode()
