"""Somebody who works here, signed in, and a little of everything to look at."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import Client

from cards import vouchers
from merchants.webhooks import endpoints
from mps.base.staff import sessions
from mps.product.rpc import services as rpc
from payments import member_topups, refunds
from tests import factories

PASSWORD = "a-long-password-1"


@pytest.fixture
def boss(database: str) -> User:
    """A superuser."""
    return User.objects.create_superuser("boss", password=PASSWORD)


@pytest.fixture
def console(boss: User) -> Client:
    """The console, with the superuser signed in."""
    client = Client()
    enter(client, boss)
    return client


def enter(client: Client, user: User) -> None:
    """Sign somebody in, past password and second factor."""
    request = HttpRequest()
    request.session = client.session
    sessions.sign_in(request, user)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key


def staff_client(*permissions: str) -> Client:
    """Return the console with somebody signed in who has just these permissions."""
    user = User.objects.create_user("clerk", password=PASSWORD, is_staff=True)
    for name in permissions:
        app, code = name.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=code)
        )
    client = Client()
    enter(client, user)
    return client


@pytest.fixture
def world(database: str) -> SimpleNamespace:
    """A member with cards of each type, a shop, a payment, its refund, a top-up."""
    return make_world()


def make_world() -> SimpleNamespace:
    """Make a member with cards of each type, a shop, a payment, its refund, a top-up."""
    member, standard = factories.make_member(
        name="Ada <b>", email="ada@example.com", provider="wechat", external_id="openid-1"
    )
    till, key = factories.make_till_and_key(can_manage_webhooks=True)
    endpoints.create_endpoint(till=till, url="http://127.0.0.1:9/mps")
    prepaid = factories.make_prepaid(member, "1000.00")
    corporate = factories.make_corporate(member)
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="percent", value=Decimal(20))
    code = factories.make_code(prepaid, member)
    paid = factories.charge(till, code, "100.00", external_order_id="ORDER-1")
    refund = refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("10.00"), idempotency_key="refund-1"
    )
    factories.make_code(prepaid, member)
    member_topups.start_top_up(
        member_id=member.id,
        card_no=prepaid.number,
        amount=Decimal("5.00"),
        provider="sandbox",
        idempotency_key="top-up-1",
        site_url="https://pay.example.com",
    )
    service_key, service_text = rpc.create_service_key(name="backend")
    return SimpleNamespace(
        member=member,
        standard=standard,
        prepaid=prepaid,
        corporate=corporate,
        voucher=voucher,
        till=till,
        key=key,
        code=code,
        paid=paid,
        refund=refund,
        service_key=service_key,
        service_text=service_text,
    )
