"""Pages for a shop's users at `/shop/`: payments, settlements, terminals and webhooks.

Signed in by a session; each page looks up anew what somebody may see.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from typing import Any
from uuid import UUID

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from merchants import merchant_users
from merchants.merchant_users import Person
from merchants.webhooks import endpoints as webhook_endpoints
from merchants.webhooks.models import WebhookEvent
from mps.base.core import days, db_scope
from mps.base.core.errors import InvalidRequestError, MpsError, NotFoundError, titles
from mps.product.pages.views import POLICY
from payments import selectors as payments
from payments.charge_decision import name_method
from payments.models import Transaction
from settlements import selectors as settlements
from settlements import statements
from settlements.models import Settlement

ROWS = 50
# A session known by another door (a member's, the console's) is none of ours.
_DOOR = "mps_shop"
_BACKEND = "django.contrib.auth.backends.ModelBackend"
# Points are adjusted; what a till adjusts is a top-up it takes back.
KINDS = {**dict(Transaction.Type.choices), Transaction.Type.ADJUSTMENT: _("top-up cancelled")}
_STATEMENTS = {"csv": statements.CSV, "xlsx": statements.XLSX}
_OF_MANAGERS = {"shop-terminals", "shop-webhooks"}
_PARTS = {"shop-takings", "shop-settlements", *_OF_MANAGERS}
# What the forms call their fields.
_FIELDS = {"name": _("Till name"), "url": _("URL"), "day": _("Day")}
View = Callable[..., HttpResponseBase]


def _page(view: View) -> View:
    return csp_replace(POLICY)(never_cache(view))


def for_people(view: View) -> View:
    """Let only people of a shop in, in their shop's name; a refusal becomes a page."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, **parts: Any) -> HttpResponseBase:
        person = _find_person(request)
        if person is None:
            return _turn_away(request)
        merchant_users.act_as(person)
        try:
            return view(request, person, **parts)
        except MpsError as error:
            return _refuse(request, person, error)

    return _page(guarded)


@_page
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Ask for name and password."""
    error = None
    going_on = request.GET.get("next", "")
    if request.method == "POST":
        try:
            user = merchant_users.sign_in(
                name=request.POST.get("name", ""), password=request.POST.get("password", "")
            )
        except MpsError as refusal:
            error = refusal
        else:
            auth.login(request, user, backend=_BACKEND)
            request.session[_DOOR] = ""
            request.session.set_expiry(settings.MPS_STAFF_SESSION_SECONDS)
            return redirect(going_on if going_on in _PARTS else "shop")
    status = error.status if error else 200
    page = {"error": error, "goes_on": going_on and not error}
    return render(request, "pages/shop/sign_in.html", page, status=status)


@_page
@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """End the session."""
    auth.logout(request)
    return redirect("shop-sign-in")


@require_POST
@for_people
def choose(request: HttpRequest, person: Person) -> HttpResponseBase:
    """Go on at another shop one belongs to; a shop one does not belong to changes nothing."""
    request.session[_DOOR] = request.POST.get("shop", "")[:32]
    return redirect("shop")


@require_safe
@for_people
def transactions(request: HttpRequest, person: Person) -> HttpResponseBase:
    """List what happened, newest first."""
    kind, status = request.GET.get("type", ""), request.GET.get("status", "")
    if kind not in ["", *Transaction.Type.values] or status not in ["", *Transaction.Status.values]:
        raise InvalidRequestError
    day = _day(request)
    with _scope(person) as scope:
        found = payments.shop_transactions(scope, person.till, day=day, kind=kind, status=status)
        rows, older = _newest(found, request)
    for row in rows:
        row.card_no = payments.mask_card_number(row.card_no) if row.card_no else ""
        row.kind = KINDS[row.type]
        row.failure = titles().get(row.failure_code, row.failure_code)
    return _show(
        request,
        person,
        "transactions",
        rows=rows,
        older=older,
        day=day,
        kind=kind,
        status_chosen=status,
        kinds=KINDS.items(),
        statuses=Transaction.Status.choices,
    )


@require_safe
@for_people
def takings(request: HttpRequest, person: Person) -> HttpResponseBase:
    """Show what a day brought."""
    with _scope(person) as scope:
        day = _day(request) or days.read_today(person.till.time_zone)
        lines = [
            {
                **line,
                "type": KINDS[line["type"]],
                "payment_method": name_method(line["payment_method"]),
            }
            for line in payments.summarise_day(scope, person.till, day)
        ]
    return _show(request, person, "takings", lines=lines, day=day)


@require_safe
@for_people
def settled(request: HttpRequest, person: Person) -> HttpResponseBase:
    """List the shop's settlements, newest first."""
    with _scope(person) as scope:
        found = settlements.list_settlements(scope, merchant_id=person.till.merchant_id)
        rows, older = _newest(found, request)
    return _show(
        request, person, "settlements", rows=rows, older=older, failed=Settlement.Status.FAILED
    )


@require_safe
@for_people
def statement(
    request: HttpRequest, person: Person, settlement_id: UUID, form: str
) -> HttpResponseBase:
    """Hand out a statement."""
    if form not in _STATEMENTS:
        raise NotFoundError
    with _scope(person) as scope:
        found = settlements.get_settlement(
            scope, settlement_id=settlement_id, merchant_id=person.till.merchant_id
        )
        return statements.download(scope, found, _STATEMENTS[form])


@require_http_methods(["GET", "HEAD", "POST"])
@for_people
def terminals(request: HttpRequest, person: Person) -> HttpResponseBase:
    """List the shop's tills; open one."""
    if request.method == "POST":
        opened, key = merchant_users.open_terminal(person=person, name=request.POST.get("name", ""))
        return _show(request, person, "secret", secret=key, about=opened.name, back="terminals")
    rows = merchant_users.list_terminals(person=person)
    return _show(request, person, "terminals", rows=rows)


@require_POST
@for_people
def rotate_terminal(request: HttpRequest, person: Person, terminal_id: UUID) -> HttpResponseBase:
    """Show a till's new key, this once."""
    key = merchant_users.rotate_terminal_key(person=person, terminal_id=terminal_id)
    return _show(request, person, "secret", secret=key, about="", back="terminals")


@require_POST
@for_people
def revoke_terminal(request: HttpRequest, person: Person, terminal_id: UUID) -> HttpResponseBase:
    """Shut a till out."""
    merchant_users.revoke_terminal(person=person, terminal_id=terminal_id)
    return redirect("shop-terminals")


@require_http_methods(["GET", "HEAD", "POST"])
@for_people
def endpoints(request: HttpRequest, person: Person) -> HttpResponseBase:
    """List the shop's webhook endpoints; open one."""
    if request.method == "POST":
        chosen = request.POST.getlist("events")
        if not set(chosen) <= set(webhook_endpoints.EVENT_TYPES):
            raise InvalidRequestError
        opened, secret = webhook_endpoints.create_endpoint(
            till=person.till, url=request.POST.get("url", "")[:500], events=chosen
        )
        return _show(request, person, "secret", secret=secret, about=opened.url, back="webhooks")
    # Asked outside the scope, whose end would take the record of a refusal with it.
    webhook_endpoints.require_may_manage(till=person.till, act="list")
    with _scope(person) as scope:
        rows = list(webhook_endpoints.list_endpoints(scope, till=person.till).order_by("-id"))
    names = dict(WebhookEvent.Type.choices)
    shown = [(row, [names[each] for each in row.events]) for row in rows]
    events = [(each, names[each]) for each in webhook_endpoints.EVENT_TYPES]
    return _show(request, person, "webhooks", rows=shown, events=events)


@require_safe
@for_people
def deliveries(request: HttpRequest, person: Person, endpoint_id: UUID) -> HttpResponseBase:
    """List what was or will be sent to an endpoint."""
    webhook_endpoints.require_may_manage(till=person.till, act="list")
    with _scope(person) as scope:
        own = webhook_endpoints.list_endpoints(scope, till=person.till)
        endpoint = own.filter(id=endpoint_id).first()
        if endpoint is None:
            raise NotFoundError
        found = webhook_endpoints.list_deliveries(scope, till=person.till, endpoint_id=endpoint_id)
        rows, older = _newest(found, request)
    return _show(request, person, "deliveries", endpoint=endpoint, rows=rows, older=older)


@require_POST
@for_people
def change_endpoint(
    request: HttpRequest, person: Person, endpoint_id: UUID, act: str
) -> HttpResponseBase:
    """Switch an endpoint on or off, test it, remove it, or show its new secret, this once."""
    till = person.till
    match act:
        case "rotate":
            endpoint, secret = webhook_endpoints.rotate_secret(till=till, endpoint_id=endpoint_id)
            return _show(
                request, person, "secret", secret=secret, about=endpoint.url, back="webhooks"
            )
        case "enable" | "disable":
            webhook_endpoints.change_endpoint(
                till=till, endpoint_id=endpoint_id, changes={"enabled": act == "enable"}
            )
        case "test":
            webhook_endpoints.send_test(till=till, endpoint_id=endpoint_id)
        case "remove":
            webhook_endpoints.remove_endpoint(till=till, endpoint_id=endpoint_id)
        case _:
            raise NotFoundError
    return redirect("shop-webhooks")


def _turn_away(request: HttpRequest) -> HttpResponseBase:
    """Ask who it is; whoever came for a part says why, and comes back to it."""
    part = _part_of(request)
    door = reverse("shop-sign-in")
    return redirect(f"{door}?next={part}" if part else door)


def _part_of(request: HttpRequest) -> str:
    """Return the part of the shop's page an address is in; empty if it is the first."""
    part = f"shop-{request.path_info.removeprefix('/shop/').partition('/')[0]}"
    return part if part in _PARTS else ""


def _find_person(request: HttpRequest) -> Person | None:
    """Return who is signed in by our door, at the shop they chose."""
    if _DOOR not in request.session or not request.user.is_authenticated:
        return None
    found = merchant_users.find_people(request.user)
    chosen = [each for each in found if each.till.merchant_code == request.session[_DOOR]]
    return next(iter(chosen or found), None)


def _show(
    request: HttpRequest, person: Person, name: str, *, status: int = 200, **about: Any
) -> HttpResponse:
    user = request.user
    assert user.is_authenticated
    shops = [each.till.merchant_code for each in merchant_users.find_people(user)]
    page = {
        **about,
        "person": person,
        "shops": shops,
        "here": name,
        "currency": settings.MPS_CURRENCY,
    }
    return render(request, f"pages/shop/{name}.html", page, status=status)


def _refuse(request: HttpRequest, person: Person, error: MpsError) -> HttpResponse:
    """Say in words what was refused, and lead back to where it was asked for."""
    reasons = [
        (_FIELDS.get(field, ""), " ".join(texts)) for field, texts in (error.errors or {}).items()
    ]
    if error.says_more:
        reasons.append(("", error.detail))
    part = _part_of(request)
    may_go_there = part and (person.is_manager or part not in _OF_MANAGERS)
    back = part if may_go_there else "shop"
    return _show(
        request, person, "refused", status=error.status, error=error, reasons=reasons, back=back
    )


def _scope(person: Person) -> AbstractContextManager[db_scope.Scope]:
    return db_scope.principal_scope(person.till.role, person.till.principal_id)


def _day(request: HttpRequest) -> date | None:
    """Return the day asked for; :raises InvalidRequestError: if it is none."""
    return days.read_day(request.GET, "day") if request.GET.get("day") else None


def _newest(found: Any, request: HttpRequest) -> tuple[list[Any], str]:
    """Return a page of the newest, and the address of the next; by id, so no page is slow."""
    before = request.GET.get("before", "")
    try:
        found = found.filter(id__lt=UUID(before)) if before else found
    except ValueError:
        raise InvalidRequestError(errors={"before": [gettext("Page not found.")]}) from None
    rows = list(found.order_by("-id")[: ROWS + 1])
    if len(rows) <= ROWS:
        return rows, ""
    query = request.GET.copy()
    query["before"] = str(rows[ROWS - 1].id)
    return rows[:ROWS], f"?{query.urlencode()}"
