"""What those who work here may see and do, by the kind of work: groups to begin with.

Each is made once, with the rights below; from then on it belongs to whoever administers it.
"""

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from mps.base.audit import services as audit
from mps.base.core import context
from mps.base.core.db_scope import principal_scope

_MEMBERS = "members.member members.externalidentity members.membertoken"
_CARDS = "cards.card cards.binding cards.voucher cards.tier cards.paymentcode cards.codehistory"
_MONEY = "payments.transaction payments.topup"
_SHOPS = "merchants.merchant merchants.terminal merchants.merchantuser"
_HOOKS = "merchants.webhookendpoint merchants.webhookevent merchants.webhookdelivery"
_BOOKS = "ledger.account ledger.posting ledger.entry settlements.settlement"

# By group: what it looks at, and what it changes, be it by an act. Money is moved by an act on a
# card (`cards.change_card`) or a payment, above the limits with a second person's agreement.
_RIGHTS = {
    "support": (
        f"{_MEMBERS} {_CARDS} {_MONEY} {_SHOPS} {_HOOKS}",
        "members.member payments.topup merchants.webhookdelivery",
    ),
    "finance": (
        f"members.member {_CARDS} {_MONEY} {_SHOPS} {_BOOKS} approvals.approval",
        "cards.card payments.transaction payments.topup settlements.settlement"
        " merchants.merchant approvals.approval",
    ),
    "risk": (
        f"{_MEMBERS} {_CARDS} {_MONEY} {_SHOPS} audit.event monitoring.incident approvals.approval",
        "members.member cards.card merchants.terminal monitoring.incident approvals.approval",
    ),
}
_ALL_RIGHTS = "administrator"
NAMES = (*_RIGHTS, _ALL_RIGHTS)


def make_missing() -> list[str]:
    """Make the groups that are not there; return their names. Safe to repeat."""
    made = []
    with context.acting("system", "make_groups"), principal_scope("platform_admin"):
        there = set(Group.objects.filter(name__in=NAMES).values_list("name", flat=True))
        for name in NAMES:
            if name in there:
                continue
            rights = list(Permission.objects.filter(_rights_of(name)))
            group = Group.objects.create(name=name)
            group.permissions.set(rights)
            audit.record(
                "GROUP_ADDED",
                object_type="group",
                object_id=name,
                details={"permissions": len(rights)},
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
    seen, changed = _RIGHTS[name]
    for right, labels in (("view", seen), ("change", changed)):
        for label in labels.split():
            app, _dot, model_name = label.partition(".")
            wanted |= Q(content_type__app_label=app, codename=f"{right}_{model_name}")
    return wanted
