"""The groups of staff: each sees and does what its work needs, and no more."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from cards.models import Card
from members.models import Member
from mps.base.audit.models import Event
from mps.base.ledger.models import Account
from mps.base.staff import groups
from payments.models import Transaction
from settlements.models import Settlement
from tests.console.conftest import PASSWORD, enter
from tests.console.helpers import act_url, events, list_url

# By group: which lists it opens, which figures it reads, which acts it is asked for.
SEES = {
    "support": {Member, Card, Transaction},
    "finance": {Member, Card, Transaction, Account, Settlement},
    "risk": {Member, Card, Transaction, Event},
    "administrator": {Member, Card, Transaction, Account, Settlement, Event, User, Group},
}
FIGURES = {
    "support": {"Charges", "New members", "Payment codes issued"},
    "finance": {"Charges", "New members", "Outstanding balances", "Settlements due"},
    "risk": {"Charges", "New members", "Payment codes issued", "Open alerts"},
    "administrator": {"Charges", "Outstanding balances", "Settlements due", "Open alerts"},
}
ACTS = {
    "support": {(Member, "suspend")},
    "finance": {(Card, "top-up")},
    "risk": {(Member, "suspend"), (Card, "freeze")},
    "administrator": {(Member, "suspend"), (Card, "freeze"), (Card, "top-up")},
}
NEVER = {
    "support": {(Card, "top-up"), (Card, "freeze")},
    "finance": {(Member, "suspend")},
    "risk": set(),
    "administrator": set(),
}


def someone_of(name: str) -> Client:
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    client = Client()
    enter(client, user)
    return client


@pytest.mark.parametrize("name", groups.NAMES)
def test_each_group_sees_and_does_its_work(world, name: str) -> None:
    groups.make_missing()
    client = someone_of(name)

    for model in SEES["administrator"]:
        expected = 200 if model in SEES[name] else 403
        assert client.get(list_url(model)).status_code == expected, model
    page = client.get(reverse("admin:index"))
    shown = {str(each.title) for group in page.context["groups"] for each in group["figures"]}
    assert shown >= FIGURES[name]
    assert ("Settlements due" in shown) is (Settlement in SEES[name])
    assert ("Outstanding balances" in shown) is (Account in SEES[name])
    targets = {Member: world.member, Card: world.prepaid}
    for model, act in ACTS[name]:
        assert client.get(act_url(model, act, targets[model])).status_code == 200, act
    for model, act in NEVER[name]:
        assert client.get(act_url(model, act, targets[model])).status_code == 403, act


def test_groups_are_made_once_and_then_left_alone(database: str) -> None:
    call_command("make_groups", verbosity=0)
    support = Group.objects.get(name="support")
    support.permissions.clear()

    assert groups.make_missing() == []

    assert not support.permissions.exists()
    assert len(events("GROUP_ADDED")) == len(groups.NAMES)


def test_only_the_administrator_changes_accounts(database: str) -> None:
    groups.make_missing()

    for name in groups.NAMES:
        codes = set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))
        assert ("change_user" in codes) is (name == "administrator"), name
        assert codes, name
