"""Console pages and downloads of reports over many shops and cards, for staff."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from cards import reports as cards
from mps.base import console
from mps.base.console import Section
from mps.base.core.days import Days, read_days, read_today
from mps.base.core.db_scope import Scope, current_scope
from mps.base.core.errors import InvalidRequestError
from payments import reports as payments
from payments.charge_decision import name_method

Line = payments.DailyLine | payments.FailureLine | cards.UsageLine


@dataclass(frozen=True, slots=True)
class Page:
    """A report as a page."""

    title: Any
    explanation: Any
    report: Callable[[Scope, Days], Sequence[Line]]
    line: type[Line]
    headers: Sequence[Any]
    permission: str


PAGES = {
    "daily": Page(
        _("Daily report"),
        _("Payments, refunds and top-ups by day, shop and method, in the platform's time zone."),
        payments.daily,
        payments.DailyLine,
        (
            _("Day"),
            _("Shop"),
            _("Method"),
            _("Payments"),
            _("Paid"),
            _("Refunds"),
            _("Refunded"),
            _("Top-ups"),
            _("Topped up"),
        ),
        "payments.view_transaction",
    ),
    "code-usage": Page(
        _("Payment code usage"),
        _("What happened to the codes issued each day. Data is kept for 30 days."),
        cards.code_usage,
        cards.UsageLine,
        (
            _("Day"),
            _("Issued"),
            _("Used"),
            _("Expired unused"),
            _("Revoked"),
            _("Replaced"),
            _("Still valid"),
        ),
        "cards.view_codehistory",
    ),
    "failure-reasons": Page(
        _("Why payments failed"),
        _("Includes unknown and already used codes, which leave no transaction."),
        payments.failure_reasons,
        payments.FailureLine,
        (_("Reason"), _("Count"), _("Share of failures"), _("Share of attempts")),
        "payments.view_transaction",
    ),
}


def show_page(request: HttpRequest, name: str, form: str = "") -> HttpResponseBase:
    """Show a report with the days it is about, or with `form` `.csv` hand it out as a file."""
    page = PAGES[name]
    if not request.user.has_perm(page.permission):
        raise PermissionDenied
    wrong = ""
    today = read_today(settings.MPS_TIME_ZONE)
    try:
        days = read_days(
            {key: text for key, text in request.GET.dict().items() if text}, today=today
        )
    except InvalidRequestError as error:
        if form:
            raise
        days, wrong = read_days({}, today=today), " ".join(*(error.errors or {"": [""]}).values())
    lines = page.report(current_scope(), days)
    if form:
        return _as_csv(page, f"{name}-{days.first}-{days.last}.csv", lines)
    return TemplateResponse(
        request,
        "console/report.html",
        {
            **admin.site.each_context(request),
            "title": page.title,
            "explanation": page.explanation,
            "days": days,
            "wrong": wrong,
            "sections": [Section("", page.headers, [_cells(page, each) for each in lines])],
            "csv_url": f"{name}.csv?from={days.first}&to={days.last}",
        },
    )


def _cells(page: Page, line: Line) -> list[str]:
    """Return a line as a page shows it."""
    return [
        _cell(field.name, value)
        for field, value in zip(fields(page.line), astuple(line), strict=True)
    ]


def _cell(name: str, value: Any) -> str:
    match value:
        case None | "":
            return "–"
        case str() if name == "payment_method":
            return str(name_method(value))
        case str() if name == "failure_code":
            return console.refusal(value)
        case Decimal() if name.startswith("share"):
            return f"{value * 100:.2f} %"
        case Decimal():
            return str(console.amount(value))
        case int():
            return str(console.whole(value))
    return str(value)


def _as_csv(page: Page, name: str, lines: Sequence[Line]) -> HttpResponse:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([field.name for field in fields(page.line)])
    writer.writerows(["" if value is None else value for value in astuple(line)] for line in lines)
    return HttpResponse(
        file.getvalue(),
        content_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
