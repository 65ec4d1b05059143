"""Console page of pending four-eyes requests."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant

from mps.base import console
from mps.base.approvals import services
from mps.base.approvals.models import Approval
from mps.base.console import Act, Done, Section, four_eyes
from mps.base.core.db_scope import Scope, current_scope

# Beyond that many it is enough to know that they are many.
_COUNTED = 1000
STATE_COLOURS = {
    "requested": "warning",
    "approved": "info",
    "rejected": "danger",
    "expired": "",
    "done": "success",
    "failed": "danger",
}


@admin.register(Approval)
class ApprovalAdmin(console.LogAdmin):
    """What was asked for, by whom, and who decided."""

    list_display = (
        "created_at",
        "shown_act",
        "subject",
        "reason",
        "maker",
        "shown_state",
        "checker",
        "expires_at",
    )
    list_display_links = ("created_at", "shown_act")
    list_select_related = ("maker", "checker")
    date_hierarchy = "created_at"
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", console.DayByIdFilter))
    search_fields = ("subject",)
    search_help_text = _("Object, such as a card number")
    fieldsets = (
        (None, {"fields": ("shown_act", "subject", "reason", "shown_state", "result")}),
        (_("Who"), {"fields": ("maker", "created_at", "expires_at", "checker", "decided_at")}),
        (_("Checksum"), {"fields": ("payload_hash",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        """Return requests with who asked and who decided at hand."""
        found: QuerySet[Approval] = super().get_queryset(request)
        return found.select_related("maker", "checker")

    @console.shown(_("act"))
    def shown_act(self, each: Approval) -> str:
        """Show what is asked for, as its button says it."""
        return four_eyes.name(each)

    @console.shown(_("state"))
    def shown_state(self, each: Approval) -> Any:
        """Show the state in its colour."""
        return console.badge(each.state, each.get_state_display(), STATE_COLOURS)


class ApproveForm(console.ActForm):
    """Agrees to exactly what the page shows."""

    payload_hash = forms.CharField(widget=forms.HiddenInput, max_length=64)
    details: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for approval in self.targets[:1]:
            self.fields["payload_hash"].initial = approval.payload_hash
            self.details = four_eyes.show(current_scope(), approval)  # type: ignore[misc]


class RejectForm(console.ReasonForm):
    """Why not."""

    details: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for approval in self.targets[:1]:
            self.details = four_eyes.show(current_scope(), approval)  # type: ignore[misc]


def _approve(approval: Approval, values: dict[str, Any], staff: Any) -> Done:
    outcome = services.approve(
        approval_id=approval.id,
        payload_hash=values["payload_hash"],
        checker=staff,
        execute=lambda asked: four_eyes.execute(asked, staff),
    )
    return Done(text=outcome.text, refused=outcome.refused)


def _reject(approval: Approval, values: dict[str, Any], staff: Any) -> Done:
    services.reject(approval_id=approval.id, reason=values["reason"], checker=staff)
    return Done(text=_("%(name)s was rejected.") % {"name": approval})


console.add_acts(
    Approval,
    Act(
        name="approve",
        label=_("Approve"),
        explanation=_(
            "If you approve, this is carried out immediately and recorded "
            "under your name and the requester's:"
        ),
        run=_approve,
        form=ApproveForm,
        replays=True,
        offered=lambda approval: approval.state == Approval.State.REQUESTED,
        icon="how_to_reg",
        variant=ActionVariant.PRIMARY,
    ),
    Act(
        name="reject",
        label=_("Reject"),
        explanation=_(
            "If you reject, none of this is carried out. The requester can "
            "withdraw the request in the same way:"
        ),
        run=_reject,
        form=RejectForm,
        replays=True,
        offered=lambda approval: approval.state == Approval.State.REQUESTED,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
)


def _what(scope: Scope, approval: Approval) -> Section:
    return Section(_("Request"), ["", ""], four_eyes.show(scope, approval))


console.add_sections(Approval, _what)


def _waiting(scope: Scope) -> console.Figure:
    state = Approval.State.REQUESTED
    oldest = list(Approval.objects.filter(state=state).order_by("id")[:_COUNTED])
    more = "+" if len(oldest) == _COUNTED else ""
    return console.Figure(
        title=_("Awaiting approval"),
        value=f"{len(oldest)}{more}",
        href=console.rows_url(Approval, state__exact=state),
        note=_("nothing to approve") if not oldest else "",
        parts=[
            (f"{four_eyes.name(each)} {each.subject}", console.url_of(each)) for each in oldest[:3]
        ],
    )


console.add_figure("approvals.view_approval", _waiting)
