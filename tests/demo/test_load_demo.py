import io
import stat
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections

from cards import selectors as cards
from cards.models import Binding, Card
from members import selectors as member_selectors
from members import services as members
from members.models import Member
from merchants import merchant_users
from merchants import selectors as merchants
from merchants.models import Merchant
from merchants.webhooks.models import WebhookDelivery, WebhookEndpoint
from mps.base.approvals.models import Approval
from mps.base.core import db_scope, keys
from mps.product.demo import plan
from payments.models import TopUp, Transaction
from settlements.models import Line, Settlement


@pytest.fixture
def data_dir(settings, tmp_path: Path) -> Path:
    settings.MPS_DEMO = True
    settings.DATA_DIR = tmp_path / "data"
    return settings.DATA_DIR


@pytest.fixture
def short(data_dir: Path, monkeypatch) -> Path:
    """A day instead of a week, where the history does not matter."""
    monkeypatch.setattr(plan, "DAYS", 1)
    return data_dir


def load() -> tuple[str, str]:
    out, progress = io.StringIO(), io.StringIO()
    call_command("load_demo", stdout=out, stderr=progress)
    return out.getvalue(), progress.getvalue()


def read_credentials(data_dir: Path) -> list[list[str]]:
    text = (data_dir / plan.CREDENTIALS_FILE).read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines()]


def test_demo_is_a_plausible_week_and_all_invariants_hold(database: str, data_dir: Path) -> None:
    # when; the fixture checks the invariants afterwards
    said, progress = load()

    assert said.startswith("Demonstration data loaded")
    assert said.count("\n") == 1
    assert "Posting a week of history" in progress
    with db_scope.principal_scope("platform_admin"):
        assert [member.name for member in Member.objects.order_by("number")] == [
            name for name, _phone in plan.PEOPLE
        ]
        assert set(Merchant.objects.values_list("code", flat=True)) == {
            shop.code for shop in plan.SHOPS
        }
        assert len(set(Merchant.objects.values_list("settlement_mode", flat=True))) == 3
        assert len(set(Merchant.objects.values_list("fee_rate", flat=True))) == 4
        assert len(set(Merchant.objects.values_list("time_zone", flat=True))) == 2
        assert set(Card.objects.values_list("card_type", flat=True)) == {"STD", "PPD", "COR", "VCH"}
        assert Binding.objects.filter(card__card_type="PPD").count() == 2
        kinds = set(Transaction.objects.values_list("type", "status"))
        methods = set(Transaction.objects.values_list("payment_method", flat=True))
        failures = set(Transaction.objects.values_list("failure_code", flat=True))
        payments = Transaction.objects.filter(type="payment").count()
        times = list(Transaction.objects.order_by("id").values_list("created_at", flat=True))
        vouchers = Transaction.objects.exclude(voucher_card=None).count()
        family = Card.objects.get(card_type="PPD")
    assert {
        ("payment", "completed"),
        ("payment", "failed"),
        ("payment", "refunded"),
        ("payment", "cancelled"),
        ("refund", "completed"),
        ("recharge", "completed"),
    } <= kinds
    assert {"balance", "cash", "wechat", "alipay"} <= methods
    assert {"INSUFFICIENT_BALANCE", "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT"} <= failures
    assert 40 * plan.DAYS <= payments <= 80 * plan.DAYS
    assert vouchers == 1
    # What newcomers try first works.
    money, _points = cards.balances_of(family)
    assert money is not None
    assert money >= Decimal(1000)
    # Back-dated, in the order it happened, and nothing in the future.
    now = datetime.now(UTC)
    assert times == sorted(times)
    assert now - timedelta(days=plan.DAYS, hours=2) < times[0] < now - timedelta(days=5)
    assert now - timedelta(days=1) < times[-1] < now
    # Ids and audit events, too, are of the time things happened.
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE abs(extract(epoch FROM"
            "   uuid_extract_timestamp(id) - created_at)) > 5), count(*)"
            " FROM payments_transaction"
        )
        late, transactions = cursor.fetchone()
        cursor.execute(
            "SELECT count(DISTINCT happened_at::date), min(happened_at) < now() - interval '6 days'"
            " FROM audit_event"
        )
        days, early = cursor.fetchone()
        cursor.execute("SELECT actor_type, count(*) FROM audit_event GROUP BY 1")
        actors = dict(cursor.fetchall())
    assert transactions > 0
    assert late == 0
    assert days >= plan.DAYS
    assert early
    assert {"system", "member", "terminal", "service", "staff"} <= set(actors)


def test_days_are_settled_and_two_of_the_staff_pay_them_out(
    database: str, data_dir: Path, monkeypatch
) -> None:
    # given; a settlement is paid two mornings after its night
    monkeypatch.setattr(plan, "DAYS", 4)

    # when; the fixture checks the invariants afterwards
    load()

    with db_scope.principal_scope("platform_admin"):
        found = list(Settlement.objects.select_related("merchant").order_by("id"))
        done = Approval.objects.filter(act__endswith=":mark-paid", state="done")
        paid = list(done.select_related("maker", "checker"))
        waiting = set(
            Approval.objects.filter(state="requested").values_list("act", "maker__username")
        )
        endpoint = WebhookEndpoint.objects.get()
        told = set(WebhookDelivery.objects.values_list("state", "attempts"))
        top_ups = set(TopUp.objects.values_list("status", flat=True))
        lines = Line.objects.filter(settlement_id=found[0].id).count()
    # Each day of each shop that is settled by day, back-dated, in all its states.
    assert {each.status for each in found} == {"pending", "settled", "paid"}
    assert {each.merchant.code for each in found} >= {"SHOP001", "SHOP002", "SHOP004"}
    assert len(found) >= 3 * (plan.DAYS - 1)
    assert found[0].created_at < datetime.now(UTC) - timedelta(days=plan.DAYS - 2)
    assert lines == found[0].tx_count > 0
    assert len(paid) == sum(each.status == "paid" for each in found)
    assert {(each.maker.username, each.checker.username) for each in paid} == {
        (plan.STAFF_NAME, plan.CHECKER_NAME)
    }
    # Something is left to agree to; nothing is sent to anybody.
    assert waiting == {
        ("settlements.settlement:mark-paid", plan.STAFF_NAME),
        ("cards.card:adjust-points", plan.STAFF_NAME),
    }
    assert not endpoint.enabled
    assert told == {("failed", 0)}
    assert top_ups == {"completed", "cancelled"}


def test_credentials_work_and_only_their_owner_reads_them(database: str, short: Path) -> None:
    load()

    file = short / plan.CREDENTIALS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = read_credentials(short)
    staff = next(line for line in lines if line[0] == "staff")
    user = authenticate(username=staff[1], password=staff[2])
    assert user is not None
    assert user.is_superuser
    (shop,) = (line for line in lines if line[0] == "shop")
    assert (
        merchant_users.sign_in(name=shop[1], password=shop[2]).get_username() == plan.MANAGER_NAME
    )
    signed_up = [line for line in lines if line[0] == "member"]
    assert len(signed_up) == 3
    for _kind, phone, password, *_rest in signed_up:
        assert members.check_credentials(identifier=phone, password=password) is not None
    tills = [line for line in lines if line[0] == "terminal"]
    assert [line[1] for line in tills] == [shop.code for shop in plan.SHOPS]
    for _kind, code, text in tills:
        presented = keys.parse_key(text)
        assert presented is not None
        till = merchants.find_till_by_key(presented)
        assert till is not None
        assert (till.merchant_code, till.can_top_up) == (code, True)
    service = keys.parse_key(next(line for line in lines if line[0] == "service")[2])
    assert service is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM rpc_authenticate_service(%s, %s)", [service.id, service.secret_hash]
        )
        assert cursor.fetchall() == [(plan.BACKEND_NAME,)]


def test_the_family_card_takes_further_members_by_its_password(database: str, short: Path) -> None:
    from cards import sharing

    load()
    wen = member_selectors.find_sign_in(plan.PEOPLE[2][1])
    line = next(line for line in read_credentials(short) if line[0] == "password")

    assert wen is not None
    binding = sharing.join_card(card_no=line[1], member_id=wen.member_id, binding_password=line[2])

    assert binding.role == "member"


def test_loading_again_does_nothing(database: str, short: Path) -> None:
    load()
    (short / plan.CREDENTIALS_FILE).write_text("mine")
    with db_scope.principal_scope("platform_admin"):
        before = Transaction.objects.count()

    said, progress = load()

    assert said == "There are members already: no demonstration data was loaded.\n"
    assert progress == ""
    assert (short / plan.CREDENTIALS_FILE).read_text() == "mine"
    with db_scope.principal_scope("platform_admin"):
        assert (Transaction.objects.count(), Member.objects.count()) == (before, 3)


def test_afterwards_the_web_login_serves_again(database: str, short: Path) -> None:
    load()

    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, current_setting('mps.clock_shift', true)")
        assert cursor.fetchone() in {("mps_web", None), ("mps_web", "")}


def test_without_the_switch_it_is_refused_and_nothing_is_made(database: str, settings) -> None:
    settings.MPS_DEMO = False

    with pytest.raises(CommandError, match="MPS_DEMO"):
        load()

    with db_scope.principal_scope("platform_admin"):
        assert not Member.objects.exists()


def test_without_the_owner_it_is_refused(database: str, data_dir: Path, monkeypatch) -> None:
    others = {"default": connections.databases["default"]}
    monkeypatch.setattr(connections, "settings", others)

    with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
        load()

    monkeypatch.undo()
    assert not data_dir.exists()
