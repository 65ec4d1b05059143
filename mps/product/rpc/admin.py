"""Console pages of service keys."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from mps.base import console
from mps.base.console import Act, Done
from mps.product.rpc import services
from mps.product.rpc.models import ServiceKey


@admin.register(ServiceKey)
class ServiceKeyAdmin(console.ConsoleAdmin):
    """Trusted backends. Of a key only its name and times are kept readable."""

    list_display = ("name", "is_working", "created_at", "revoked_at")
    list_filter = (("created_at", console.DayFilter),)
    ordering = ("-created_at",)
    search_fields = ("name",)
    fieldsets = ((None, {"fields": ("id", "name", "created_at", "revoked_at")}),)
    history_fields: ClassVar[tuple[str, ...]] = ()

    @console.shown(_("active"), boolean=True)
    def is_working(self, key: ServiceKey) -> bool:
        """Show whether it is not revoked."""
        return key.revoked_at is None


class NameForm(console.ActForm):
    """Who will use a key."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Who uses this key. Shown in the audit log.")
    )


def _create(nothing: None, values: dict[str, Any], staff: Any) -> Done:
    key, text = services.create_service_key(name=values["name"])
    return Done(text=_("Key of %(name)s:") % {"name": key.name}, secret=text, show=key)


def _revoke(key: ServiceKey, values: dict[str, Any], staff: Any) -> Done:
    services.revoke_service_key(service_key_id=key.id, reason=values["reason"])
    return Done(text=_("The key of %(name)s was revoked.") % {"name": key.name})


console.add_acts(
    ServiceKey,
    Act(
        name="create",
        label=_("Create service key"),
        explanation=_(
            "Creates a key that lets a backend call every RPC function, including "
            "top-ups. It is shown only once, on the next page."
        ),
        run=_create,
        form=NameForm,
        on_object=False,
        icon="key",
        variant=ActionVariant.PRIMARY,
    ),
    Act(
        name="revoke",
        label=_("Revoke"),
        explanation=_("Backends that use these keys lose access immediately and permanently:"),
        run=_revoke,
        bulk=True,
        offered=lambda key: key.revoked_at is None,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
)
