"""Console pages of staff and their groups."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from mps.base import console
from mps.base.staff import users

# The framework's own pages, of which ours are made.
_UserAdmin: Any = DjangoUserAdmin
_GroupAdmin: Any = DjangoGroupAdmin
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(console.ConsoleAdmin, _UserAdmin):  # type: ignore[misc]
    """Who works here. The accounts of members are not shown: their door is another one.

    Nobody but a superuser grants rights, or touches a superuser's account.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    can_add = True
    list_display = ("username", "first_name", "last_name", "is_staff", "is_superuser", "last_login")
    list_filter = (
        ("is_staff", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
        ("is_active", BooleanRadioFilter),
    )
    ordering = ("username",)
    search_fields = ("username", "first_name", "last_name", "email")
    history_fields = ("username",)
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    editable = (
        "username",
        "first_name",
        "last_name",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
    )
    rights = ("is_staff", "is_superuser", "groups")
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "password_link")}),
        (_("Permissions"), {"fields": ("is_active", *rights)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return who works here."""
        return users.working_here(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what may not be changed; rights, for all but superusers."""
        fixed = list(super().get_readonly_fields(request, obj))
        if obj is not None and not request.user.is_superuser:
            fixed += [name for name in self.rights if name not in fixed]
        return fixed

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether who is signed in may change this account."""
        return super().has_change_permission(request, obj) and (
            request.user.is_superuser or not isinstance(obj, User) or not obj.is_superuser
        )

    @console.shown(_("password"))
    def password_link(self, user: User) -> Any:
        """Show where the password is set, and nothing of it."""
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            reverse("admin:auth_user_password_change", args=[user.pk]),
            _("Change password") if user.has_usable_password() else _("Set password"),
        )


_RIGHTS = {"view": _("can view"), "change": _("can change"), "add": _("can add")}


@admin.register(Group)
class GroupAdmin(console.ConsoleAdmin, _GroupAdmin):  # type: ignore[misc]
    """Rights that are given together."""

    can_add = True
    editable = ("name", "permissions")
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    history_fields = ("name",)
    ordering = ("name",)
    search_fields = ("name",)
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the rights the console knows: to look and to change, and to add by a form."""
        pages: dict[Any, Any] = self.admin_site._registry
        names = [
            (model._meta.app_label, f"{right}_{model._meta.model_name}")
            for model, page in pages.items()
            for right in ("view", "change", *(["add"] if getattr(page, "can_add", False) else []))
        ]
        known = Q()
        for app, name in names:
            known |= Q(content_type__app_label=app, codename=name)
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        kwargs["queryset"] = Permission.objects.filter(known).select_related("content_type")
        field = db_field.formfield(**kwargs)
        field.label_from_instance = _right
        return field


def _right(permission: Permission) -> str:
    """Say what somebody may, in the reader's language."""
    right = _RIGHTS.get(permission.codename.partition("_")[0], permission.name)
    return f"{permission.content_type} | {right}"
