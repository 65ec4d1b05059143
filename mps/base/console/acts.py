"""Actions of staff on console pages, each calling a service."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from mps.base.console.forms import ActForm, LimitsForm, ReasonForm


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
        run=calling(service, target, _("The limits of %(name)s were saved.")),
        form=LimitsForm,
        four_eyes=always,
        icon="speed",
        group=group,
    )


# An app adds what it does to the pages of the apps below it.
_acts: defaultdict[type[Model], list[Act]] = defaultdict(list)


def add_acts(model: type[Model], *acts: Act) -> None:
    """Offer acts on a model's pages."""
    _acts[model].extend(acts)


def acts_of(model: type[Model]) -> list[Act]:
    """Return the acts of a model."""
    return _acts[model]


def find_act(model: type[Model], name: str) -> Act | None:
    """Return an act of a model by its name."""
    return next((act for act in _acts[model] if act.name == name), None)
