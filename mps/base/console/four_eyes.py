"""Four-eyes actions: one person requests, another approves exactly that request."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import QueryDict
from django.utils.text import capfirst

from mps.base.approvals import services
from mps.base.approvals.models import Approval
from mps.base.approvals.services import Outcome
from mps.base.console.acts import Act, find_act
from mps.base.console.forms import ActForm
from mps.base.core import db_scope, errors, problems
from mps.base.core.db_scope import Scope


def request_act(
    *,
    model: type[Model],
    act: Act,
    targets: Sequence[Any],
    values: Mapping[str, list[str]],
    user: User,
) -> Approval:
    """Write down exactly what is asked for; return the request.

    :param values: of the form's fields, as they were sent.
    """
    label = model._meta.label_lower
    return services.request_approval(
        act=f"{label}:{act.name}",
        subject=", ".join(str(each) for each in targets) or str(act.label),
        payload={
            "model": label,
            "act": act.name,
            "targets": [str(each.pk) for each in targets],
            "values": dict(values),
        },
        reason=" ".join(values.get("reason", [])),
        maker=user,
    )


def name(approval: Approval) -> str:
    """Return what an act is called in the console, in the reader's language."""
    label, _colon, act_name = approval.act.partition(":")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return approval.act
    act = find_act(model, act_name)
    return approval.act if act is None else f"{act.label} ({model._meta.verbose_name})"


def show(scope: Scope, approval: Approval) -> list[tuple[str, str]]:
    """Return what will happen, line by line."""
    try:
        act, targets, form = _restore(scope, approval)
    except errors.NotFoundError as error:
        return [(approval.act, error.detail)]
    form.is_valid()
    return [
        (str(act.label), str(act.explanation).rstrip(":\N{FULLWIDTH COLON}")),
        *((capfirst(type(each)._meta.verbose_name), str(each)) for each in targets),
        *(
            (str(field.label), " ".join(approval.payload["values"].get(field.name, [])) or "–")
            for field in form
            if field.name != "token"
        ),
    ]


def execute(approval: Approval, checker: User) -> Outcome:
    """Call the act's service with what was asked for, for each of its objects."""
    with db_scope.principal_scope("platform_admin") as scope:
        act, targets, form = _restore(scope, approval)
        if not form.is_valid():
            wrong = "; ".join(
                f"{name}: {' '.join(map(str, texts))}" for name, texts in form.errors.items()
            )
            raise errors.InvalidRequestError(wrong)
    texts, refused = [], False
    for target in targets or [None]:
        try:
            done = act.run(target, form.cleaned_data, checker)
        except Exception as exception:
            error = problems.as_mps_error(exception)
            if error is None:
                raise
            texts.append(f"{target}: {error.detail}" if target is not None else error.detail)
            refused = True
        else:
            texts.append(str(done.text))
            refused = refused or done.refused
    return Outcome(" ".join(texts), refused)


def _restore(scope: Scope, approval: Approval) -> tuple[Act, list[Any], ActForm]:
    """Return the act, its objects and its form as they were when it was asked for.

    The token is the request's own id: a service that knows tokens does it once, come what may.

    :raises NotFoundError: the act or an object is gone.
    """
    payload = approval.payload
    model = apps.get_model(payload["model"])
    act = find_act(model, payload["act"])
    targets = list(model._base_manager.filter(pk__in=payload["targets"]).order_by("pk"))
    if act is None or len(targets) != len(payload["targets"]):
        raise errors.NotFoundError
    data = QueryDict(mutable=True)
    for name, values in payload["values"].items():
        data.setlist(name, values)
    data["token"] = approval.id.hex
    return act, targets, act.form(data, targets=targets)
