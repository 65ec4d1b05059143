"""Public names of the console; other apps use them as `console.<name>`."""

from mps.base.console.acts import (
    Act,
    Done,
    above_amount,
    above_points,
    add_acts,
    always,
    calling,
    find_act,
    limiting,
)
from mps.base.console.cells import (
    amount,
    badge,
    link,
    moment,
    refusal,
    rows_url,
    shown,
    url_of,
    whole,
)
from mps.base.console.exports import Exported
from mps.base.console.forms import (
    ActForm,
    LimitsForm,
    MomentField,
    MoneyField,
    RateField,
    ReasonForm,
)
from mps.base.console.lists import DayByIdFilter, DayFilter, smallest_id
from mps.base.console.model_admin import ROWS_SHOWN, ConsoleAdmin, LogAdmin
from mps.base.console.sections import Figure, Section, add_figure, add_sections, figures_for
from mps.base.console.site import (
    ConsoleSite,
    HistoryLine,
    banner,
    platform,
    refusal_page,
    rendered,
)

__all__ = [
    "ROWS_SHOWN",
    "Act",
    "ActForm",
    "ConsoleAdmin",
    "ConsoleSite",
    "DayByIdFilter",
    "DayFilter",
    "Done",
    "Exported",
    "Figure",
    "HistoryLine",
    "LimitsForm",
    "LogAdmin",
    "MomentField",
    "MoneyField",
    "RateField",
    "ReasonForm",
    "Section",
    "above_amount",
    "above_points",
    "add_acts",
    "add_figure",
    "add_sections",
    "always",
    "amount",
    "badge",
    "banner",
    "calling",
    "figures_for",
    "find_act",
    "limiting",
    "link",
    "moment",
    "platform",
    "refusal",
    "refusal_page",
    "rendered",
    "rows_url",
    "shown",
    "smallest_id",
    "url_of",
    "whole",
]
