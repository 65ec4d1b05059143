"""What every page of the console shares.

Staff see the platform's rows: each page runs inside the platform's scope. An act that calls a
service runs outside of it, because the service owns its database transaction. Nothing is deleted
here, and a model's fields are read-only unless its page names them as editable.
"""

import functools
import logging
import operator
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

import redis
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList as _ChangeList
from django.core.cache import cache
from django.core.exceptions import (
    FieldDoesNotExist,
    PermissionDenied,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError
from django.db.models import DecimalField, Func, IntegerField, Model, Q, QuerySet, UUIDField, Value
from django.forms.widgets import Input
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.gzip import gzip_page
from import_export import resources
from import_export.admin import ExportMixin
from import_export.formats import base_formats
from unfold import widgets
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.contrib.import_export.forms import ExportForm
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator
from unfold.sites import UnfoldAdminSite
from unfold.utils import parse_date_str

from mps.core import context, errors, money, principals, problems, staff
from mps.core.calendars import Bar, Period, make_bar, midnight
from mps.core.models import kind_of

logger = logging.getLogger(__name__)

# The framework's bases disagree with each other about types.
_Site: Any = UnfoldAdminSite
_ModelAdmin: Any = ModelAdmin
_ExportMixin: Any = ExportMixin
_ModelResource: Any = resources.ModelResource
ChangeList: Any = _ChangeList
_make_resource: Any = resources.modelresource_factory

MAX_BULK = 200
MAX_EXPORT = 10_000
ROWS_SHOWN = 20
_TOKEN_TTL_SECONDS = 24 * 3600
_NEVER_SHOWN = re.compile("password|secret|hash|nonce|token")
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9.]+", re.ASCII)
_FIGURE = re.compile(r"–|[+-]?[0-9]{1,3}(,[0-9]{3})*(\.[0-9]+)?( %)?")
_SKEW = timedelta(minutes=1)
_UNUSED = {
    "admin/js/urlify.js",
    "admin/js/prepopulate.js",
    "admin/js/vendor/xregexp/xregexp.js",
    "admin/js/vendor/xregexp/xregexp.min.js",
}
_SMALLER = {
    "admin/js/vendor/select2/select2.full.js": "admin/js/vendor/select2/select2.full.min.js",
}


# --- the site ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of an object's history."""

    happened_at: datetime
    actor: str
    action: str
    details: dict[str, Any]


class ConsoleSite(_Site):  # type: ignore[misc]
    """The console's pages, each in the platform's scope and in the name of who is signed in."""

    index_title = _("Today")

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """Return the view for signed-in staff only, inside the platform's scope.

        A view marked `opens_own_scope` calls a service and is left outside.
        """

        @functools.wraps(view)
        def acting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            context.set_actor("staff", request.user.get_username())
            staff.keep_alive(request)
            try:
                if getattr(view, "opens_own_scope", False):
                    return view(request, *args, **kwargs)
                with platform():
                    return rendered(view(request, *args, **kwargs))
            except Exception as exception:
                return self._refuse(request, exception)

        guarded: Callable[..., HttpResponseBase] = super().admin_view(acting, cacheable)
        return gzip_page(guarded)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the apps and their lists once they are looked at.

        Every page is offered them, and as a rule shows the sidebar's lines instead.
        """
        return SimpleLazyObject(functools.partial(super().get_app_list, request, app_label))

    def record(
        self, action: str, *, object_type: str, object_id: object, details: dict[str, Any]
    ) -> None:
        """Write down what staff did, in the log of the site that is installed."""
        raise NotImplementedError

    def history_of(self, object_ids: Sequence[str]) -> list[HistoryLine]:
        """Return the latest of what was written down about an object, newest first."""
        raise NotImplementedError

    def ask_second_pair(
        self,
        *,
        model: type[Model],
        act: "Act",
        targets: Sequence[Any],
        values: Mapping[str, list[str]],
        user: Any,
    ) -> Model:
        """Write an act down that somebody else has to agree to; return the request.

        :param values: of the form's fields, as they were sent.
        """
        raise NotImplementedError

    def _refuse(self, request: HttpRequest, exception: Exception) -> HttpResponseBase:
        """Answer a known refusal with a page; what is unknown is a defect and goes up."""
        if isinstance(exception, (Http404, PermissionDenied, SuspiciousOperation)):
            raise exception
        error = problems.as_mps_error(exception)
        if error is None and isinstance(exception, redis.RedisError):
            error = errors.UnavailableError()
        if error is None and isinstance(exception, DataError):
            # The driver refused a value before the database saw it, such as text with a NUL.
            error = errors.InvalidRequestError()
        if error is None:
            raise exception
        logger.warning("console page refused", extra={"code": error.code})
        return refusal_page(error)


def refusal_page(error: errors.MpsError) -> HttpResponse:
    """Return a refusal as a page that needs nothing: neither the database nor who is asking."""
    return HttpResponse(
        format_html("<!doctype html><title>{0}</title><p>{0}</p>", error.title),
        status=error.status,
        headers=problems.problem_headers(error),
    )


def banner(request: HttpRequest) -> list[Any] | None:
    """Return what every page says of this installation, if there is anything to say."""
    if settings.MPS_STAFF_TOTP:
        return None
    return [_("Demonstration: no second factor"), "warning"]


def platform() -> Any:
    """Return the scope the console reads in."""
    return principals.principal_scope("platform_admin")


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """Return a response rendered now, while the scope its template reads in is open."""
    if isinstance(response, TemplateResponse):
        response.render()
    return response


# --- acts: what calls a service ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an act.

    :param text: one sentence for whoever did it.
    :param refused: it was refused; nothing moved.
    :param secret: a new key, shown on the answer itself, once, and kept nowhere.
    :param show: what to go to next; None: the object acted on, or the list.
    """

    text: str
    refused: bool = False
    secret: str = field(default="", repr=False)
    show: Model | None = None


class ActForm(forms.Form):
    """What an act asks for. Its token tells a double click from a second act."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, targets: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets
        self.fields["token"].initial = new_token()
        for each in self.fields.values():
            _dress(each)


class ReasonForm(ActForm):
    """Why it is done; the log keeps it."""

    reason = forms.CharField(label=_("Reason"), max_length=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something staff may do that a service does.

    :param run: called outside any scope with the object (None for an act on no object), the form's
        values and who is signed in.
    :param explanation: what will happen, for the page that asks.
    :param offered: whether the object's page offers it now; the service decides in the end.
    :param bulk: also for many objects of a list at once.
    :param replays: the service itself knows a repeated token; else a repeated one is stopped here.
    :param four_eyes: whether somebody else has to agree first, by the object and the form's values.
    """

    name: str
    label: Any
    explanation: Any
    run: Callable[[Any, dict[str, Any], Any], Done]
    form: type[ActForm] = ReasonForm
    on_object: bool = True
    bulk: bool = False
    offered: Callable[[Any], bool] = lambda _target: True
    replays: bool = False
    four_eyes: Callable[[Any, dict[str, Any]], bool] = lambda _target, _values: False
    icon: str = "play_arrow"
    variant: ActionVariant = ActionVariant.DEFAULT
    group: Any = ""


def always(target: Any, values: dict[str, Any]) -> bool:
    """Say of an act that it always needs a second pair of eyes."""
    return True


def above_amount(target: Any, values: dict[str, Any]) -> bool:
    """Say whether an act moves more money than one of the staff may alone."""
    return bool(values["amount"] > settings.MPS_FOUR_EYES_AMOUNT)


def above_points(target: Any, values: dict[str, Any]) -> bool:
    """Say whether an act moves more points than one of the staff may alone."""
    return bool(abs(values["delta_points"]) > settings.MPS_FOUR_EYES_POINTS)


def calling(
    service: Callable[..., object], target: str, text: Any
) -> Callable[[Any, dict[str, Any], Any], Done]:
    """Return what an act runs that hands a service the object's id and what its form asks for.

    :param target: by which name the service takes the id, such as `card_id`. It takes the form's
        fields by theirs.
    :param text: what was done, with `%(name)s` for the object.
    """

    def run(obj: Any, values: dict[str, Any], _staff: Any) -> Done:
        asked = {name: value for name, value in values.items() if name != "token"}
        service(**{target: obj.pk, **asked})
        return Done(text=text % {"name": obj})

    return run


def limiting(service: Callable[..., object], target: str, explanation: Any, group: Any = "") -> Act:
    """Return the act that sets the limits of an object of any kind; parameters as of `calling`."""
    return Act(
        name="limits",
        label=_("Set limits"),
        explanation=explanation,
        run=calling(service, target, _("The limits of %(name)s are set.")),
        form=LimitsForm,
        four_eyes=always,
        icon="speed",
        group=group,
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A table under an object's fields: what else is known of it."""

    title: Any
    headers: Sequence[Any]
    rows: Sequence[Sequence[Any]]

    @property
    def table(self) -> dict[str, Any]:
        """The table as the template wants it, its figures marked as such."""
        figures = [
            all(isinstance(cell, str) and _FIGURE.fullmatch(cell) for cell in column)
            and set(column) != {"–"}
            for column in zip(*self.rows, strict=False)
        ]
        rows = [
            [
                format_html('<span class="figures">{}</span>', cell) if is_figure else cell
                for cell, is_figure in zip(row, figures, strict=False)
            ]
            for row in self.rows
        ]
        return {"headers": self.headers, "rows": rows}


@dataclass(frozen=True, slots=True)
class Tab:
    """A section beside an object's fields, by the names the framework's tabs go by."""

    section: Section
    model_name: str
    tab: bool = True

    @property
    def title(self) -> Any:
        """What the tab says."""
        return self.section.title

    @property
    def contents(self) -> str:
        """The table, shown while its tab is chosen."""
        return render_to_string("console/tab.html", {"tab": self})


# Who has no business here, whatever their user says.
_doorkeepers: list[Callable[[Any], bool]] = []


def add_doorkeeper(may_enter: Callable[[Any], bool]) -> None:
    """Let an app say of a user whether they may sign in. Called inside the platform's scope."""
    _doorkeepers.append(may_enter)


def may_sign_in(user: Any) -> bool:
    """Return whether nothing is known that keeps a user out."""
    return all(may_enter(user) for may_enter in _doorkeepers)


# An app adds what it does to the pages of the apps below it.
_acts: defaultdict[type[Model], list[Act]] = defaultdict(list)
_sections: defaultdict[type[Model], list[Callable[[Any], Section | None]]] = defaultdict(list)
_last_sections: defaultdict[type[Model], list[Callable[[Any], Section | None]]] = defaultdict(list)


def add_acts(model: type[Model], *acts: Act) -> None:
    """Offer acts on a model's pages."""
    _acts[model].extend(acts)


def find_act(model: type[Model], name: str) -> Act | None:
    """Return an act of a model by its name."""
    return next((act for act in _acts[model] if act.name == name), None)


def add_sections(
    model: type[Model], *sections: Callable[[Any], Section | None], last: bool = False
) -> None:
    """Show tables on a model's page. Each is called inside the platform's scope.

    :param last: after those that other apps add.
    """
    (_last_sections if last else _sections)[model].extend(sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number of the first page.

    :param href: the rows behind it.
    :param change: how it moved, such as `+12 %`. :param tone: whether that is good: `good`, `bad`.
    :param parts: what it is made of, each with the rows behind it.
    """

    title: Any
    value: Any
    href: str
    note: Any = ""
    change: str = ""
    tone: str = ""
    parts: Sequence[tuple[Any, str]] = ()


_figures: list[tuple[str, Callable[[], Figure]]] = []


def add_figure(permission: str, make: Callable[[], Figure]) -> None:
    """Show a number of what waits on the first page, to those who have a permission.

    It is made inside the platform's scope.
    """
    _figures.append((permission, make))


def figures_for(user: Any) -> list[Figure]:
    """Return the numbers of what waits that somebody may see."""
    return [make() for permission, make in _figures if user.has_perm(permission)]


def refusal(code: str) -> str:
    """Say a refusal in words, with the code that integrators and the log go by."""
    if not code:
        return "–"
    title = errors.titles().get(code)
    return f"{title} ({code})" if title else code


def rows_url(model: type[Model], **filters: Any) -> str:
    """Return the address of a model's list, filtered."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    query = QueryDict(mutable=True)
    for key, value in filters.items():
        query[key] = str(value)
    return f"{reverse(name)}?{query.urlencode()}" if filters else reverse(name)


# --- pages ---------------------------------------------------------------------------------------


class ConsoleAdmin(_ModelAdmin):  # type: ignore[misc]
    """Pages of a model: read-only but for `editable`, acts by services, nothing deleted.

    `exact_search` finds by what is indexed: a pattern and the look-up a matching term is for.
    `history_fields` are the names under which the log knows an object, beside its id.
    `oldest_by` is indexed; by it, the row with the oldest date of `date_hierarchy` comes first.
    """

    editable: ClassVar[tuple[str, ...]] = ()
    can_add = False
    exact_search: ClassVar[tuple[tuple[str, str], ...]] = ()
    history_fields: ClassVar[tuple[str, ...]] = ()
    oldest_by = "id"

    # A row costs 3 to 5 ms: more would make the page slow, and more than a phone should load.
    list_per_page = 25
    list_filter_submit = True
    list_disable_select_all = True
    show_full_result_count = False
    show_facets: Any = ShowFacets.NEVER
    warn_unsaved_form = True
    change_form_outer_after_template = "console/sections.html"
    object_history_template = "console/history.html"

    # Permissions: the framework's, less what the console never offers.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted in the console."""
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether a plain form may add one."""
        return self.can_add and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether a plain form may change its editable fields."""
        return bool(self.editable) and self.may_act(request)

    def may_act(self, request: HttpRequest) -> bool:
        """Return whether who is signed in may change this model, be it by an act."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return bool(request.user.has_perm(name))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether who is signed in may look at it."""
        name = f"{self.opts.app_label}.view_{self.opts.model_name}"
        return self.may_act(request) or bool(request.user.has_perm(name))

    # Forms: named fields only, each change in the log with before and after.

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields, those that are only read with thousands apart."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        return [
            (title, {**options, "fields": [self._field(name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def _field(self, name: Any) -> Any:
        return name if name in self.editable else _column_of(self, name)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """Return all fields that are shown and not editable."""
        if obj is None and self.can_add:
            return ()
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [name for name in shown if name not in self.editable]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write only what was changed: the console's role may write no other column."""
        if not change:
            obj.save(force_insert=True)
        elif changed := [name for name in form.changed_data if obj._meta.get_field(name).concrete]:
            obj.save(update_fields=[name for name in changed if name not in _m2m_names(obj)])

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Return what the log keeps of a form: each changed field with before and after."""
        return {
            name: "changed"
            if _NEVER_SHOWN.search(name)
            else {
                "before": None if add else _plain(form.initial.get(name)),
                "after": _plain(form.cleaned_data.get(name)),
            }
            for name in form.changed_data
            if name in form.cleaned_data or _NEVER_SHOWN.search(name)
        }

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write an addition into the log."""
        self._record("ADDED", obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write a change into the log, if anything was changed."""
        if message:
            self._record("CHANGED", obj, message)

    def _record(self, what: str, obj: Any, details: Any) -> None:
        kind = kind_of(type(obj))
        self.admin_site.record(
            f"{kind.upper()}_{what}",
            object_type=kind,
            object_id=self._log_names(obj)[0],
            details=details if isinstance(details, dict) else {"fields": _plain(details)},
        )

    def _log_names(self, obj: Any) -> list[str]:
        return [*(str(getattr(obj, name)) for name in self.history_fields), str(obj.pk)]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Show what the log knows of an object."""
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        lines = self.admin_site.history_of(self._log_names(obj))
        return TemplateResponse(
            request,
            self.object_history_template,
            {
                **self.admin_site.each_context(request),
                "title": _("History of %(name)s") % {"name": obj},
                "opts": self.opts,
                "object": obj,
                "original": obj,
                "lines": lines,
                "table": {
                    "headers": [_("When"), _("Who"), _("What"), _("Details")],
                    "rows": [
                        [moment(line.happened_at), line.actor, line.action, _say(line.details)]
                        for line in lines
                    ],
                },
            },
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with what their names need at hand: an act runs outside the scope."""
        found: QuerySet[Any] = super().get_queryset(request)
        related = self.list_select_related
        return found.select_related(*related) if isinstance(related, tuple) and related else found

    # Lists.

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        """Return the columns, figures with thousands apart."""
        return [_column_of(self, name) for name in super().get_list_display(request)]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        """Return the list that is narrowed without a walk through all rows."""
        return ConsoleList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by an indexed field if the term has the form of one, else by `search_fields`.

        Where each of these is to be equal to the term (`=`), it is looked up as it is, by index.
        """
        term = search_term.strip()
        for pattern, lookup in self.exact_search:
            if term and re.fullmatch(pattern, term, re.ASCII | re.IGNORECASE):
                return queryset.filter(self.exact_match(lookup, term)), False
        fields = self.get_search_fields(request)
        if term and fields and all(name.startswith("=") for name in fields):
            terms = [term, term.upper(), term.lower()]
            equal = (_equal(self.model, name[1:], terms) for name in fields)
            return queryset.filter(functools.reduce(operator.or_, equal)), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term
        )
        return found

    def exact_match(self, lookup: str, term: str) -> Q:
        """Return the condition of an exact search; numbers are written in capitals."""
        return _equal(self.model, lookup, [term.upper()])

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Show the list, with the acts that need no object."""
        response: HttpResponseBase = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            acts = [act for act in self._allowed_acts(request) if not act.on_object]
            response.context_data["actions_list"] = self._buttons(acts)
            if "media" in response.context_data:
                response.context_data["media"] = _lighter(
                    response.context_data["media"], {"admin/js/admin/RelatedObjectLookups.js"}
                )
            cl = response.context_data.get("cl")
            if cl is not None and not cl.query and not cl.has_active_filters:
                # Nothing is filtered out: what was counted is all there is.
                cl.full_result_count = cl.result_count
        return response

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the acts on many objects, beside what the framework offers."""
        actions: dict[str, Any] = super().get_actions(request)
        for act in self._allowed_acts(request):
            if act.bulk:
                actions[act.name] = (_bulk_action(act), act.name, act.label)
        return actions

    # Objects.

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show an object with the acts it takes now and what else is known of it."""
        obj = kwargs.get("obj") or context.get("original")
        if obj is not None:
            acts = [
                act for act in self._allowed_acts(request) if act.on_object and act.offered(obj)
            ]
            context["actions_detail"] = self._buttons(acts, obj)
            makers = [*_sections[self.model], *_last_sections[self.model]]
            context.update(_place([make(obj) for make in makers]))
        # The framework adds what the list's filters need; here are none.
        plain: forms.Media = admin.ModelAdmin.media.fget(self)  # type: ignore[attr-defined]
        context["media"] = _lighter(plain + context["adminform"].media)
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Return the model's pages and those of its acts."""
        view = self.admin_site.admin_view(self.act_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        urls: list[URLPattern] = super().get_urls()
        return [
            path("act/<slug:act_name>/", view, name=f"{name}_act"),
            path("<uuid:object_id>/act/<slug:act_name>/", view, name=f"{name}_act_object"),
            *urls,
        ]

    # Acts.

    def act_view(
        self, request: HttpRequest, act_name: str, object_id: UUID | None = None
    ) -> HttpResponseBase:
        """Ask, and when the form comes back, call the service."""
        act = find_act(self.model, act_name)
        if act is None or (object_id is not None and not act.on_object):
            raise Http404
        if not self.may_act(request):
            self.admin_site.record(
                "CONSOLE_ACT_REFUSED",
                object_type=self.opts.model_name,
                object_id=object_id or "",
                details={"act": act.name, "error": errors.PermissionDeniedError.code},
            )
            raise PermissionDenied
        sent = request.method == "POST" and "token" in request.POST
        with platform():
            targets = self._targets(request, act, object_id)
            form = act.form(request.POST if sent else None, targets=targets)
            if not sent or not form.is_valid():
                return rendered(self._ask(request, act, targets, form))
        token = form.cleaned_data["token"]
        second_pair = settings.MPS_FOUR_EYES and any(
            act.four_eyes(target, form.cleaned_data) for target in targets or [None]
        )
        if (second_pair or not act.replays) and not _is_first(request, token):
            messages.warning(request, _("This form was sent before; nothing was done again."))
            return redirect(self._next_url(targets, None))
        if second_pair:
            return self._ask_second_pair(request, act, targets, form)
        return self._carry_out(request, act, targets, form)

    act_view.opens_own_scope = True  # type: ignore[attr-defined]

    def _targets(self, request: HttpRequest, act: Act, object_id: UUID | None) -> list[Any]:
        """Return the objects to act on, each of those asked for; none for an act on no object."""
        if not act.on_object:
            return []
        wanted = [str(object_id)] if object_id else request.POST.getlist("id")[: MAX_BULK + 1]
        if not wanted or (object_id is None and not act.bulk) or len(wanted) > MAX_BULK:
            raise Http404
        try:
            keys = {self.opts.pk.to_python(each) for each in wanted}
        except forms.ValidationError as error:
            raise Http404 from error
        targets = list(self.get_queryset(request).filter(pk__in=keys).order_by("pk"))
        if len(targets) != len(keys):
            raise Http404
        return targets

    def _ask(
        self, request: HttpRequest, act: Act, targets: Sequence[Any], form: ActForm
    ) -> TemplateResponse:
        single = targets[0] if len(targets) == 1 else None
        return TemplateResponse(
            request,
            "console/act.html",
            {
                **self.admin_site.each_context(request),
                "title": act.label,
                "opts": self.opts,
                "act": act,
                "danger": act.variant == ActionVariant.DANGER,
                "original": single,
                "targets": targets,
                "form": form,
                "act_url": self._act_url(act, single),
                "back_url": self._next_url(targets, None),
            },
        )

    def _ask_second_pair(
        self, request: HttpRequest, act: Act, targets: Sequence[Any], form: ActForm
    ) -> HttpResponseBase:
        """Write down what is asked for, exactly as it was sent; somebody else decides."""
        sent = request.POST
        self.admin_site.ask_second_pair(
            model=self.model,
            act=act,
            targets=targets,
            values={name: sent.getlist(name) for name in form.fields if name != "token"},
            user=request.user,
        )
        messages.info(request, _("Nothing is done yet: somebody else has to agree to it."))
        return redirect(self._next_url(targets, None))

    def _carry_out(
        self, request: HttpRequest, act: Act, targets: Sequence[Any], form: ActForm
    ) -> HttpResponseBase:
        """Call the service once per object; say what came of it."""
        done: list[Done] = []
        refused: list[tuple[Any, errors.MpsError]] = []
        for target in targets or [None]:
            try:
                done.append(act.run(target, form.cleaned_data, request.user))
            except Exception as exception:
                error = problems.as_mps_error(exception)
                if error is None:
                    raise
                refused.append((target, error))
        if refused and len(targets) <= 1:
            return self._ask_again(request, act, targets, form, refused[0][1])
        for target, error in refused:
            messages.error(request, f"{target}: {error.detail}")
        secret = next((each for each in done if each.secret), None)
        if secret is not None:
            return self._show_secret(request, act, targets, secret)
        for each in done:
            (messages.error if each.refused else messages.success)(request, each.text)
        return redirect(self._next_url(targets, done[-1].show if done else None))

    def _ask_again(
        self,
        request: HttpRequest,
        act: Act,
        targets: Sequence[Any],
        form: ActForm,
        error: errors.MpsError,
    ) -> HttpResponseBase:
        """Show the form again with what the service said. It may be sent again, as a new act."""
        data = request.POST.copy()
        data["token"] = new_token()
        with platform():
            again = act.form(data, targets=targets)
            again.is_valid()
            unplaced = []
            for name, texts in (error.errors or {}).items():
                if name in again.fields and name in again.cleaned_data:
                    again.add_error(name, texts)
                else:
                    unplaced.append(f"{name}: {' '.join(texts)}")
            messages.error(request, " ".join([error.detail, *unplaced]))
            response = rendered(self._ask(request, act, targets, again))
        response.status_code = error.status
        return response

    def _show_secret(
        self, request: HttpRequest, act: Act, targets: Sequence[Any], done: Done
    ) -> HttpResponseBase:
        """Show a new key on this answer and nowhere else."""
        with platform():
            return rendered(
                TemplateResponse(
                    request,
                    "console/secret.html",
                    {
                        **self.admin_site.each_context(request),
                        "title": act.label,
                        "opts": self.opts,
                        "text": done.text,
                        "secret": done.secret,
                        "back_url": self._next_url(targets, done.show),
                    },
                )
            )

    def _allowed_acts(self, request: HttpRequest) -> list[Act]:
        return _acts[self.model] if self.may_act(request) else []

    def _buttons(self, acts: Iterable[Act], obj: Any = None) -> list[dict[str, Any]]:
        """Return acts as the templates want them; those of a group share a drop-down."""
        buttons: list[dict[str, Any]] = []
        groups: dict[str, dict[str, Any]] = {}
        for act in acts:
            button = {
                "title": act.label,
                "icon": act.icon,
                "variant": act.variant,
                "attrs": {},
                "dialog": None,
                "path": self._act_url(act, obj),
            }
            if not act.group:
                buttons.append(button)
            elif str(act.group) in groups:
                groups[str(act.group)]["items"].append(button)
            else:
                groups[str(act.group)] = {
                    "title": act.group,
                    "icon": act.icon,
                    "variant": ActionVariant.DEFAULT,
                    "method_name": act.name.replace("-", "_"),
                    "items": [button],
                }
                buttons.append(groups[str(act.group)])
        return buttons

    def _act_url(self, act: Act, obj: Any) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_act"
        if obj is None:
            return reverse(name, args=[act.name])
        return reverse(f"{name}_object", args=[obj.pk, act.name])

    def _next_url(self, targets: Sequence[Any], show: Model | None) -> str:
        obj = show if show is not None else targets[0] if len(targets) == 1 else None
        if obj is not None:
            return url_of(obj) or reverse(f"{self.admin_site.name}:index")
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(f"{self.admin_site.name}:{name}")


class LogAdmin(ConsoleAdmin):
    """Pages of rows that are only ever appended: newest first, never counted, never sorted."""

    paginator = InfinitePaginator
    ordering = ("-id",)
    sortable_by = ()


class ConsoleResource(_ModelResource):  # type: ignore[misc]
    """Rows for a spreadsheet, where text must not become a formula."""

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        """Return a cell; text that a spreadsheet would compute gets an apostrophe."""
        value = super().export_field(field, instance, **kwargs)
        if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
            return f"'{value}"
        return value


class Exported(_ExportMixin):  # type: ignore[misc]
    """A list that can be taken along as CSV or XLSX, as it is filtered; that is written down.

    :cvar export_fields: what of a row, by the names of the model's fields.
    """

    export_fields: ClassVar[tuple[str, ...]] = ()
    export_form_class = ExportForm
    formats = [base_formats.CSV, base_formats.XLSX]

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Return whether who is signed in may look at the list."""
        return bool(self.has_view_permission(request))

    def get_export_resource_classes(self, request: HttpRequest) -> list[Any]:
        """Return the one way a row is written."""
        options = {"fields": self.export_fields, "export_order": self.export_fields}
        return [_make_resource(self.model, ConsoleResource, options)]

    def get_export_data(
        self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any
    ) -> Any:
        """Return the file; :raises ValueError: the list is too long, which the page says."""
        rows = queryset[: MAX_EXPORT + 1].count()
        if rows > MAX_EXPORT:
            raise ValueError(
                _("More than %(max)s rows: narrow the list by its filters first.")
                % {"max": MAX_EXPORT}
            )
        self.admin_site.record(
            "DATA_EXPORTED",
            object_type=self.opts.model_name,
            object_id="",
            details={"rows": rows},
        )
        return super().get_export_data(file_format, request, queryset, **kwargs)


def _equal(model: type[Model], path: str, terms: Sequence[str]) -> Q:
    """Return the condition that a field is equal to one of the terms.

    Of a related object, the keys are looked up first: asked for both at once, the database may
    walk through a long table to find few rows of a short one.
    """
    *relations, name = path.split("__")
    related: Any = model
    for each in relations:
        related = related._meta.get_field(each).related_model
    column = related._meta.get_field(name)
    try:
        values = {column.to_python(term) for term in terms}
    except ValidationError:
        return Q(pk__in=[])
    if not relations:
        return Q(**{f"{name}__in": values})
    found = related._base_manager.filter(**{f"{name}__in": values})
    keys = list(found.values_list("pk", flat=True)[:MAX_BULK])
    return Q(**{f"{'__'.join(relations)}__in": keys})


def _bulk_action(act: Act) -> Callable[..., HttpResponseBase | None]:
    """Return the list's action that asks for an act on the objects chosen."""

    def ask(
        admin: ConsoleAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponseBase | None:
        targets = list(queryset.order_by("pk")[: MAX_BULK + 1])
        if len(targets) > MAX_BULK:
            messages.error(request, _("At most %(max)s at once.") % {"max": MAX_BULK})
            return None
        return admin._ask(request, act, targets, act.form(targets=targets))

    return ask


def _is_first(request: HttpRequest, token: str) -> bool:
    """Return whether this token comes for the first time from this person."""
    try:
        return bool(cache.add(f"console:{request.user.pk}:{token}", 1, _TOKEN_TTL_SECONDS))
    except redis.RedisError:
        # A double click is unlikely just while Redis is away; staff must still be able to act.
        logger.warning("console cannot tell a double click: Redis is not reachable")
        return True


def _place(sections: Sequence[Section | None]) -> dict[str, Any]:
    """Return a page's tables: several as tabs, a single one under the fields, seen at once."""
    there = [(number, section) for number, section in enumerate(sections, 1) if section is not None]
    if len(there) > 1:
        return {"datasets": [Tab(section, f"section-{number}") for number, section in there]}
    return {"sections": [section for _number, section in there]}


def _lighter(media: forms.Media, unused: Iterable[str] = ()) -> forms.Media:
    """Return what a page loads, less what only forms with slugs need, and what it does not use."""
    named: Any = media
    without = {*_UNUSED, *unused}
    scripts = [_SMALLER.get(str(each), each) for each in named._js if str(each) not in without]
    return forms.Media(css=named._css, js=scripts)


def _m2m_names(obj: Model) -> set[str]:
    return {each.name for each in obj._meta.many_to_many}


def _plain(value: Any) -> Any:
    """Return a form's value as the log keeps it."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, (list, tuple, set, QuerySet)):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _say(details: dict[str, Any]) -> str:
    """Write a log line's details for a reader."""
    parts = []
    for name, value in details.items():
        if isinstance(value, dict) and set(value) == {"before", "after"}:
            parts.append(f"{name}: {value['before']} → {value['after']}")
        elif value not in ("", None):
            parts.append(f"{name}: {value}")
    return ", ".join(parts)


# --- forms ---------------------------------------------------------------------------------------


class MoneyField(forms.CharField):
    """An amount of money, as strict as the API's."""

    def __init__(self, *, or_zero: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 20, **kwargs})
        self.or_zero = or_zero
        self.widget.attrs.update(inputmode="decimal", autocomplete="off")

    def clean(self, value: Any) -> Any:
        """Return the amount; empty where none is required."""
        text = super().clean(value)
        if not text and not self.required:
            return None
        try:
            return money.parse_amount(text, or_zero=self.or_zero)
        except errors.InvalidAmountError as error:
            raise forms.ValidationError(str(error.title)) from None


class RateField(forms.DecimalField):
    """A factor, such as 0.95, with at most four decimals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{"min_value": Decimal(0), "max_value": Decimal(1), "decimal_places": 4, **kwargs}
        )
        self.widget.attrs.update(step="any")


class LimitsForm(ReasonForm):
    """What may be paid at once and in a day, as it is and as it is to be."""

    limit_per_payment = MoneyField(
        label=_("Limit per payment"), required=False, help_text=_("Empty: no limit.")
    )
    limit_per_day = MoneyField(
        label=_("Limit per day"), required=False, help_text=_("Empty: no limit.")
    )
    field_order = ("limit_per_payment", "limit_per_day", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for held in self.targets[:1]:
            self.initial.update(held.limits)


class MomentField(forms.DateTimeField):
    """A date and time in the platform's time zone."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})


_DRESS: tuple[tuple[type[forms.Widget], type[forms.Widget]], ...] = (
    (forms.PasswordInput, widgets.UnfoldAdminPasswordWidget),
    (forms.Textarea, widgets.UnfoldAdminTextareaWidget),
    (forms.Select, widgets.UnfoldAdminSelectWidget),
    (forms.CheckboxInput, widgets.UnfoldBooleanSwitchWidget),
    (Input, widgets.UnfoldAdminTextInputWidget),
)


def _dress(form_field: forms.Field) -> None:
    """Give a field the console's looks."""
    old = form_field.widget
    if isinstance(old, forms.HiddenInput):
        return
    new_class = next(new for plain, new in _DRESS if isinstance(old, plain))
    attrs = dict(old.attrs)
    kind = attrs.pop("type", getattr(old, "input_type", ""))
    new = new_class(attrs=attrs)
    if isinstance(new, Input):
        new.input_type = kind
    new.is_required = old.is_required
    form_field.widget = new
    if isinstance(form_field, forms.ChoiceField):
        new.choices = form_field.choices  # type: ignore[attr-defined]


def new_token() -> str:
    """Return a token for a form, which is also a sound idempotency key."""
    return uuid.uuid4().hex


# --- lists ---------------------------------------------------------------------------------------


_Method = TypeVar("_Method", bound=Callable[..., Any])


def shown(
    description: Any, *, figures: bool = False, **options: Any
) -> Callable[[_Method], _Method]:
    """Name a column or a field that a method makes; options are those of the framework.

    :param figures: they stand below each other to the right.
    """

    def named(method: _Method) -> _Method:
        made = display(description=description, **options)(method)
        made.figures = figures
        return cast("_Method", made)

    return named


@functools.cache
def _column_of(page: "ConsoleAdmin", name: Any) -> Any:
    """Return a column or a field as what writes it: figures with thousands apart, and a link to
    what has no name of its own here. Others as they are.
    """
    column: Any
    kind = "figures"
    if not isinstance(name, str):
        return name
    if getattr(getattr(page, name, None), "figures", False):
        method = getattr(page, name)

        def column(obj: Any) -> Any:
            return method(obj)

        column.short_description = method.short_description
        column.admin_order_field = getattr(method, "admin_order_field", None)
    else:
        try:
            of_model: Any = page.model._meta.get_field(name)
        except FieldDoesNotExist:
            return name
        named = of_model.verbose_name
        if of_model.many_to_one and isinstance(named, str):
            # The field was not named, so its name is in English: what it leads to has one.
            kind, named = "link", of_model.related_model._meta.verbose_name

            def column(obj: Any) -> Any:
                return link(getattr(obj, name))

        elif (
            isinstance(of_model, (DecimalField, IntegerField))
            and not of_model.primary_key
            and not of_model.choices
        ):
            places = getattr(of_model, "decimal_places", 0)

            def column(obj: Any) -> Any:
                return _grouped(getattr(obj, name), places)

        else:
            return name
        column.short_description = named
        column.admin_order_field = name
    # The style sheet knows figures by this name.
    column.__name__ = f"{kind}_{name}"
    return column


class DayFilter(RangeDateFilter):
    """From a day to a day, both included, in the platform's time zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what lies between the two; what is no date is ignored."""
        first = _day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = _day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first is not None:
            queryset = queryset.filter(self.since(self.field_path, midnight(first)))
        if last is not None:
            next_day = midnight(last + timedelta(days=1))
            queryset = queryset.filter(self.before(self.field_path, next_day))
        return queryset

    @classmethod
    def since(cls, path: str, moment: datetime) -> Q:
        """Return the condition of the lower bound."""
        return Q(**{f"{path}__gte": moment})

    @classmethod
    def before(cls, path: str, moment: datetime) -> Q:
        """Return the condition of the upper bound."""
        return Q(**{f"{path}__lt": moment})


class DayByIdFilter(DayFilter):
    """The same for rows whose id holds their time: it bounds the id, too, which is indexed and
    decides the partition.
    """

    @classmethod
    def since(cls, path: str, moment: datetime) -> Q:
        """Return the lower bound by time and id."""
        return super().since(path, moment) & Q(id__gte=smallest_id(moment - _SKEW))

    @classmethod
    def before(cls, path: str, moment: datetime) -> Q:
        """Return the upper bound by time and id."""
        return super().before(path, moment) & Q(id__lt=smallest_id(moment + _SKEW))


class ConsoleList(ChangeList):  # type: ignore[misc]
    """A list, and the bar by which it is narrowed to a year, a month or a day.

    The framework's own asks the whole table which of them hold rows. Here the oldest row is asked
    for, and the filter of the same field, if there is one, says how to bound it.
    """

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return what the filters read; not what the bar reads."""
        sent: dict[str, Any] = super().get_filters_params(params)
        of_bar = Period().query(self._dated)
        return {name: sent[name] for name in sent if name not in of_bar}

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows shown, of the period chosen."""
        found: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        if not self.period.year:
            return found
        start, end = self.period.bounds
        bound = self._bound()
        self.has_active_filters = True
        return found.filter(bound.since(self._dated, start) & bound.before(self._dated, end))

    @functools.cached_property
    def period(self) -> Period:
        """The period chosen; all of time if none is."""
        return Period.read(self._dated, self.params) if self._dated else Period()

    @functools.cached_property
    def dates(self) -> Bar | None:
        """The bar; it takes one query, for the oldest row by index."""
        if not self._dated:
            return None
        rows = self.model._base_manager.order_by(self.model_admin.oldest_by)
        oldest = rows.values_list(self._dated, flat=True)[:1]
        days = [timezone.localdate(moment) for moment in oldest]
        return make_bar(self.period, days[0], self._narrowed) if days else None

    @property
    def _dated(self) -> str:
        return self.date_hierarchy or ""

    def _narrowed(self, period: Period) -> str:
        return str(self.get_query_string(period.query(self._dated)))

    def _bound(self) -> type[DayFilter]:
        """Return the filter of the same field; there, the id may bound it, too."""
        for each in self.list_filter:
            if isinstance(each, tuple) and each[0] == self._dated:
                return cast("type[DayFilter]", each[1])
        return DayFilter


def smallest_id(moment: datetime) -> Func:
    """Return the smallest id a row of this moment can have."""
    return Func(Value(moment), function="core_uuid_floor", output_field=UUIDField())


def _day(text: Any) -> date | None:
    day = parse_date_str(text) if isinstance(text, str) else None
    # Years the id and the calendar can hold.
    return day if day is not None and 1971 <= day.year <= 9000 else None


def url_of(obj: Model) -> str:
    """Return the address of an object's page; empty if it has none."""
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    try:
        return reverse(name, args=[obj.pk])
    except NoReverseMatch:
        return ""


def link(obj: Model | None, text: Any = None) -> Any:
    """Return a link to an object's page; a dash for nothing."""
    if obj is None:
        return "–"
    label = obj if text is None else text
    url = url_of(obj)
    return format_html('<a class="text-link" href="{}">{}</a>', url, label) if url else label


def badge(value: str, text: Any, colours: dict[str, str]) -> Any:
    """Return a state in its colour."""
    return _label(colours.get(value, ""), str(text))


@functools.lru_cache(maxsize=1000)
def _label(colour: str, text: str) -> str:
    """Return a label, made once: a list has one in each row."""
    return render_to_string("unfold/helpers/label.html", {"type": colour, "text": text})


def amount(value: Decimal | None) -> str:
    """Write an amount with thousands apart; a dash for none."""
    return _grouped(value, 2)


def whole(value: Decimal | int | None) -> str:
    """Write a whole number with thousands apart; a dash for none."""
    return _grouped(None if value is None else int(value), 0)


def _grouped(value: Decimal | int | None, places: int) -> str:
    """Write a number as the reader's language does, with thousands apart; a dash for none."""
    return "–" if value is None else str(number_format(value, places, force_grouping=True))


def moment(value: datetime | None) -> str:
    """Write a moment in the platform's time zone, on one line; a dash for none."""
    if value is None:
        return "–"
    text = timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<span class="whitespace-nowrap">{}</span>', text)
