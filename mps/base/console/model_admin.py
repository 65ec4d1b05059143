"""Console pages of a model: list, objects, actions and history."""

import functools
import logging
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import redis
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from mps.base.console.acts import Act, Done, acts_of, find_act
from mps.base.console.cells import column_of, details_text, moment, url_of
from mps.base.console.forms import ActForm, new_token
from mps.base.console.lists import ConsoleList
from mps.base.console.sections import Section, Tab, sections_of
from mps.base.console.site import platform, rendered
from mps.base.core import db_scope, errors, problems
from mps.base.core.models import kind_of

logger = logging.getLogger(__name__)
# The framework's bases disagree with each other about types, here and beside.
_ModelAdmin: Any = ModelAdmin
MAX_BULK = 200
ROWS_SHOWN = 20
_TOKEN_TTL_SECONDS = 24 * 3600
_NEVER_SHOWN = re.compile("password|secret|hash|nonce|token")
_UNUSED = {
    "admin/js/urlify.js",
    "admin/js/prepopulate.js",
    "admin/js/vendor/xregexp/xregexp.js",
    "admin/js/vendor/xregexp/xregexp.min.js",
}
_SMALLER = {
    "admin/js/vendor/select2/select2.full.js": "admin/js/vendor/select2/select2.full.min.js",
}


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
        return name if name in self.editable else column_of(self, name)

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
                    "headers": [_("When"), _("Who"), _("Action"), _("Details")],
                    "rows": [
                        [
                            moment(line.happened_at),
                            line.actor,
                            line.action,
                            details_text(line.details),
                        ]
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
        return [column_of(self, name) for name in super().get_list_display(request)]

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
            scope, makers = db_scope.current_scope(), sections_of(self.model)
            context.update(_place([make(scope, obj) for make in makers]))
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
            messages.warning(
                request, _("This form was already submitted. It was not processed again.")
            )
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
        messages.info(
            request, _("Sent for approval. It takes effect when someone else approves it.")
        )
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
        return acts_of(self.model) if self.may_act(request) else []

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
            messages.error(request, _("Select at most %(max)s at a time.") % {"max": MAX_BULK})
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
