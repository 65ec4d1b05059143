"""Initial groups of staff, with permissions by kind of work.

Each is made once, with the rights below; from then on it belongs to whoever administers it.
"""

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from mps.base.audit import services as audit
from mps.base.core import context
from mps.base.core.db_scope import principal_scope

_ALL_RIGHTS = "administrator"
NAMES = ("support", "finance", "risk", _ALL_RIGHTS)


def rights() -> dict[str, tuple[list[str], list[str]]]:
    """Return by group what it looks at, and what it changes, be it by an act.

    Each app names its own models as `staff_rights` of its AppConfig. Money is moved by an act on a
    card (`cards.change_card`) or a payment, above the limits with a second person's agreement.
    """
    found: dict[str, tuple[list[str], list[str]]] = {
        name: ([], []) for name in NAMES if name != _ALL_RIGHTS
    }
    for config in apps.get_app_configs():
        for name, named in getattr(config, "staff_rights", {}).items():
            for labels, right in zip(found[name], ("view", "change"), strict=True):
                labels += [f"{config.label}.{model}" for model in named.get(right, "").split()]
    return found


def make_missing() -> list[str]:
    """Make the groups that are not there; return their names. Safe to repeat."""
    made = []
    with context.acting("system", "make_groups"), principal_scope("platform_admin"):
        there = set(Group.objects.filter(name__in=NAMES).values_list("name", flat=True))
        for name in NAMES:
            if name in there:
                continue
            permissions = list(Permission.objects.filter(_rights_of(name)))
            group = Group.objects.create(name=name)
            group.permissions.set(permissions)
            audit.record(
                "GROUP_ADDED",
                object_type="group",
                object_id=name,
                details={"permissions": len(permissions)},
            )
            made.append(name)
    return made


def _rights_of(name: str) -> Q:
    """Return the condition of a group's permissions; an administrator's are all the console has."""
    wanted = Q(pk__in=[])
    if name == _ALL_RIGHTS:
        for model in admin.site._registry:
            code = model._meta.model_name
            names = [f"view_{code}", f"change_{code}", f"add_{code}"]
            wanted |= Q(content_type__app_label=model._meta.app_label, codename__in=names)
        return wanted
    for right, labels in zip(("view", "change"), rights()[name], strict=True):
        for label in labels:
            app, _dot, model_name = label.partition(".")
            wanted |= Q(content_type__app_label=app, codename=f"{right}_{model_name}")
    return wanted
