"""Load the demo: a few people and shops and a week of history, posted through the services.

The history is back-dated: the owner's own database sessions may shift the clock (see
`core_clock_shift()`), so the services run as they are on a connection signed in as `mps_owner`.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model

from cards import issuing, payment_codes, sharing, vouchers
from cards.models import Card, CardType
from members.models import Member
from merchants import merchant_users
from merchants import selectors as merchant_selectors
from merchants import services as merchants
from merchants.models import Merchant, MerchantUser
from merchants.selectors import Till
from merchants.webhooks import endpoints
from mps.base import console
from mps.base.approvals import services as approvals
from mps.base.approvals.models import Approval
from mps.base.audit import services as audit
from mps.base.console import four_eyes
from mps.base.core import context, db_scope
from mps.base.core.keys import parse_key
from mps.launcher import state
from mps.product.accounts import services as accounts
from mps.product.demo import plan as planned
from mps.product.rpc import services as rpc
from payments import charges, member_topups, refunds, topup_confirmations, topups
from payments.errors import InsufficientBalanceError
from payments.idempotency import Answer
from payments.providers import sandbox
from settlements import services as settlements
from settlements.errors import NoTransactionsInPeriodError
from settlements.models import Settlement

# When days are settled, every shop's being over, and when staff look at that.
_NIGHT, _MORNING = time(1, 30), time(9, 30)
_SINCE_YESTERDAY = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Wallet:
    """A card as one member uses it, and the ways it pays."""

    card: Card
    member: Member
    methods: tuple[str, ...]
    # How often it is taken out, relative to the others.
    weight: int


@dataclass(slots=True)
class World:
    """What was made, by name; the history moves in it."""

    service_key: str
    service_key_id: UUID
    tills: dict[str, Till] = field(default_factory=dict)
    till_keys: dict[str, str] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)

    def wallets(self) -> list[Wallet]:
        """Return who pays with what."""
        mei, ming, wen = self.members
        outside = ("cash", "cash", "wechat", "alipay")
        return [
            Wallet(self.cards["family"], mei, ("balance",), 30),
            Wallet(self.cards["family"], ming, ("balance",), 22),
            Wallet(self.cards["company"], wen, ("balance",), 23),
            Wallet(self.cards["mei"], mei, outside, 14),
            Wallet(self.cards["ming"], ming, outside, 8),
            Wallet(self.cards["wen"], wen, outside, 3),
        ]


def load(progress: Callable[[str], None]) -> str:
    """Load the demonstration into an empty database; do nothing where there are members.

    :param progress: is told what is being done.
    :return: one sentence about what was done.
    """
    with db_scope.principal_scope("platform_admin"):
        if Member.objects.exists():
            return "There are members already: no demonstration data was loaded."
    now = datetime.now(UTC)
    random = Random(planned.SEED)  # noqa: S311 -- it makes up a history, no secret.
    visits = planned.plan(random, now)
    with _writing_as_owner():
        progress("Making the demonstration's people, shops and cards ...")
        _shift_clock(visits[0].at - timedelta(hours=2))
        world = _make_world()
        _write_credentials(world)
        progress(
            f"Posting a week of history: {len(visits)} visits to {len(planned.SHOPS)} shops ..."
        )
        _History(world, random).play(visits, now)
    return (
        f"Demonstration data loaded: {len(planned.PEOPLE)} members, {len(planned.SHOPS)} shops,"
        f" {len(visits)} visits in {planned.DAYS} days."
    )


# --- people, shops, cards ------------------------------------------------------------------------


def _make_world() -> World:
    with context.acting("system", "demo"):
        key, service_key = rpc.create_service_key(name=planned.BACKEND_NAME)
        world = World(service_key, key.id)
        for name, password in (
            (planned.STAFF_NAME, planned.STAFF_PASSWORD),
            (planned.CHECKER_NAME, planned.CHECKER_PASSWORD),
        ):
            get_user_model().objects.create_superuser(name, email="", password=password)
            audit.record("STAFF_CREATED", object_type="user", object_id=name)
        for shop in planned.SHOPS:
            world.tills[shop.code], world.till_keys[shop.code] = _open_shop(shop)
        _let_manager_in(world.tills[planned.SHOPS[0].code])
        for nickname, (name, phone) in zip(("mei", "ming", "wen"), planned.PEOPLE, strict=True):
            member, standard = accounts.register_member(
                name=name, phone=phone, password=planned.MEMBER_PASSWORD
            )
            world.members.append(member)
            world.cards[nickname] = standard
        _issue_cards(world)
    return world


def _open_shop(shop: planned.Shop) -> tuple[Till, str]:
    _merchant, _terminal, key = merchants.open_shop(
        code=shop.code,
        name=shop.name,
        settlement_mode=shop.settlement_mode,
        fee_rate=shop.fee_rate,
        time_zone=shop.time_zone,
        terminal_name="Till 1",
        can_top_up=True,
        can_manage_webhooks=True,
    )
    presented = parse_key(key)
    till = merchant_selectors.find_till_by_key(presented) if presented else None
    assert till is not None
    return till, key


def _let_manager_in(till: Till) -> None:
    user = get_user_model().objects.create_user(
        planned.MANAGER_NAME, password=planned.MANAGER_PASSWORD
    )
    with db_scope.principal_scope("platform_admin"):
        right = MerchantUser.objects.create(
            merchant_id=till.merchant_id, user=user, role=MerchantUser.Role.MANAGER
        )
        audit.record(
            "MERCHANT_USER_ADDED",
            object_type="merchant_user",
            object_id=right.id,
            details={
                "user": planned.MANAGER_NAME,
                "merchant": till.merchant_code,
                "role": right.role,
            },
        )


def _issue_cards(world: World) -> None:
    mei, ming, wen = world.members
    family = issuing.issue_shared_card(
        card_type=CardType.PREPAID,
        owner_id=mei.id,
        name="家庭卡",
        fixed_discount=Decimal("0.95"),
        binding_password=planned.FAMILY_PASSWORD,
    )
    sharing.bind_member(card_id=family.id, member_id=ming.id)
    company = issuing.issue_shared_card(
        card_type=CardType.CORPORATE,
        owner_id=wen.id,
        name="公司卡",
        fixed_discount=Decimal("0.88"),
    )
    world.cards["percent"] = vouchers.issue_voucher_card(
        owner_id=mei.id, kind="percent", value=Decimal(20), min_spend=Decimal(200)
    )
    world.cards["amount"] = vouchers.issue_voucher_card(
        owner_id=ming.id, kind="amount", value=Decimal(100), min_spend=Decimal(500)
    )
    world.cards |= {"family": family, "company": company}


def _write_credentials(world: World) -> None:
    numbers = {name: card.number for name, card in world.cards.items()}
    mei, ming, wen = (
        f"member    {phone} {planned.MEMBER_PASSWORD}  {name}" for name, phone in planned.PEOPLE
    )
    lines = [
        "The demonstration's sign-ins. Their passwords are public: for trying out only.",
        f"staff     {planned.STAFF_NAME} {planned.STAFF_PASSWORD}",
        f"staff     {planned.CHECKER_NAME} {planned.CHECKER_PASSWORD}"
        f" (agrees to what {planned.STAFF_NAME} asks for)",
        f"shop      {planned.MANAGER_NAME} {planned.MANAGER_PASSWORD}"
        f" (manages {planned.SHOPS[0].code})",
        f"{mei}: {numbers['mei']}, {numbers['family']} (shared), {numbers['percent']}",
        f"{ming}: {numbers['ming']}, {numbers['family']}, {numbers['amount']}",
        f"{wen}: {numbers['wen']}, {numbers['company']}",
        f"password  {numbers['family']} {planned.FAMILY_PASSWORD}  for members who join this card",
        *(f"terminal  {code} {key}" for code, key in world.till_keys.items()),
        f"service   {planned.BACKEND_NAME} {world.service_key}",
    ]
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    state.write_private(
        settings.DATA_DIR / planned.CREDENTIALS_FILE,
        "\n".join(lines) + "\n",
        owner=settings.DATA_DIR,
    )


# --- the history ---------------------------------------------------------------------------------


class _History:
    """Plays the planned visits, and what follows from them: declines, top-ups, refunds."""

    TOP_UP = Decimal(3000)
    REFUND_REASONS = ("商品瑕疵", "點錯餐", "客人取消")

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.wallets = world.wallets()
        # Due time, transaction number, shop, amount.
        self.refunds: list[tuple[datetime, str, str, Decimal]] = []
        self.voucher: Card | None = world.cards["amount"]
        self.office = _Office(world)
        self.keys = 0

    def play(self, visits: list[planned.Visit], now: datetime) -> None:
        """Post everything up to `now`, in the order it happened."""
        _shift_clock(visits[0].at - timedelta(hours=1))
        self._top_up("family", None)
        self._top_up("company", None)
        self.office.plan(visits[0].at, now)
        mistaken, reversed_later = visits[len(visits) // 2], visits[len(visits) * 3 // 4]
        for visit in visits:
            self.office.work(until=visit.at)
            if self.refunds and self.refunds[0][0] <= visit.at:
                _shift_clock(visit.at)
                self._refund()
            _shift_clock(visit.at + timedelta(seconds=self.random.randrange(5, 25)))
            if visit is mistaken:
                # Declined: a standard card has no balance to pay by.
                self._charge(visit, replace(self.wallets[3], methods=("balance",)))
            elif visit is reversed_later:
                self._charge_and_reverse(visit)
            else:
                self._visit(visit)
        # The newcomer's first payment shall not fail.
        self._top_up("family", None)
        self.office.work(until=now)
        _shift_clock(now - timedelta(minutes=1))
        self.office.leave()

    def _visit(self, visit: planned.Visit) -> None:
        wallet = self.random.choices(self.wallets, [each.weight for each in self.wallets])[0]
        answer = self._charge(visit, wallet)
        if answer.body.get("code") == InsufficientBalanceError.code:
            # Too little on it: they top it up by phone, or now and then at the till.
            _shift_clock(visit.at + timedelta(seconds=40))
            name = "family" if wallet.card is self.world.cards["family"] else "company"
            self._top_up(name, visit.shop if self.random.random() < 0.12 else None)
        elif not answer.refused and self.random.random() < 0.04:
            paid = Decimal(answer.body["final_amount"])
            amount = paid if self.random.random() < 0.5 else (paid / 2).quantize(Decimal("1.00"))
            due = visit.at + timedelta(minutes=self.random.randrange(10, 180))
            heapq.heappush(self.refunds, (due, answer.body["tx_no"], visit.shop.code, amount))

    def _charge(self, visit: planned.Visit, wallet: Wallet) -> Answer:
        till = self.world.tills[visit.shop.code]
        method = self.random.choice(wallet.methods)
        voucher_code = ""
        voucher = self.voucher
        with context.acting("member", wallet.member.number):
            code = payment_codes.issue_code(card_id=wallet.card.id, member_id=wallet.member.id).code
            if voucher and wallet.member.id == voucher.owner_id and visit.amount >= 500:
                voucher_code = payment_codes.issue_code(
                    card_id=voucher.id, member_id=wallet.member.id
                ).code
        with context.acting("terminal", str(till.terminal_id)):
            answer = charges.charge_card(
                till=till,
                code=code,
                amount=visit.amount,
                idempotency_key=self._key(),
                external_order_id=visit.order,
                payment_method=method,
                voucher_code=voucher_code,
            )
        if voucher_code and not answer.refused:
            self.voucher = None
        return answer

    def _charge_and_reverse(self, visit: planned.Visit) -> None:
        """Play a till that lost the connection, and does not know whether it was paid."""
        self._charge(visit, replace(self.wallets[3], methods=("cash",)))
        till = self.world.tills[visit.shop.code]
        with context.acting("terminal", str(till.terminal_id)):
            refunds.reverse_order(till=till, external_order_id=visit.order)

    def _refund(self) -> None:
        _due, tx_no, shop_code, amount = heapq.heappop(self.refunds)
        till = self.world.tills[shop_code]
        with context.acting("terminal", str(till.terminal_id)):
            refunds.refund_payment(
                till=till,
                tx_no=tx_no,
                amount=amount,
                idempotency_key=self._key(),
                reason=self.random.choice(self.REFUND_REASONS),
            )

    def _top_up(self, name: str, shop: planned.Shop | None) -> None:
        """Top a card up with cash at a shop's till, or through the backend."""
        card = self.world.cards[name]
        if shop is not None:
            till = self.world.tills[shop.code]
            with context.acting("terminal", str(till.terminal_id)):
                topups.top_up_at_till(
                    till=till,
                    card_no=card.number,
                    amount=self.TOP_UP,
                    idempotency_key=self._key(),
                )
            return
        key = self._key()
        with context.acting("service", planned.BACKEND_NAME):
            topups.recharge_card(
                card_id=card.id,
                amount=self.TOP_UP,
                scope_id=self.world.service_key_id,
                idempotency_key=key,
                payment_method="wechat",
                provider_order_id=f"WX-{key}",
            )

    def _key(self) -> str:
        self.keys += 1
        return f"demo-{self.keys}"


# --- the office ----------------------------------------------------------------------------------


class _Office:
    """What happens away from the tills: nights settle, and staff pay out, two of them together."""

    def __init__(self, world: World) -> None:
        self.world = world
        users = get_user_model().objects
        self.maker, self.checker = (
            users.get(username=planned.STAFF_NAME),
            users.get(username=planned.CHECKER_NAME),
        )
        self.endpoint_id: UUID | None = None
        # When something is due, and what.
        self.due: list[tuple[datetime, Callable[[datetime], None]]] = []

    def plan(self, since: datetime, now: datetime) -> None:
        """Plan what is due after `since` and before `now`."""
        zone = ZoneInfo(settings.MPS_TIME_ZONE)
        first, today = since.astimezone(zone).date(), now.astimezone(zone).date()
        days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
        found = [
            (datetime.combine(day, hour, zone), act)
            for day in days
            for hour, act in ((_NIGHT, self._settle), (_MORNING, self._pay_out))
        ]
        # A day before there was somebody who listened, and who topped up without a till.
        yesterday = now - timedelta(days=1)
        found += [(yesterday, self._open_endpoint), (yesterday, self._top_up_by_phone)]
        self.due = sorted(
            (each for each in found if since < each[0] < now), key=lambda each: each[0]
        )

    def work(self, until: datetime) -> None:
        """Do what is due by then."""
        while self.due and self.due[0][0] <= until:
            at, act = self.due.pop(0)
            _shift_clock(at)
            act(at)

    def leave(self) -> None:
        """Leave something to do: two requests that wait for somebody else to agree."""
        with db_scope.principal_scope("platform_admin"):
            approved = (
                Settlement.objects.filter(status=Settlement.Status.SETTLED, net__gte=0)
                .select_related("merchant")
                .order_by("id")
                .last()
            )
        if approved is not None:
            self._ask(approved, "mark-paid", payout_reference=f"BANK-{approved.tx_count:05}")
        self._ask(
            self.world.cards["mei"], "adjust-points", delta_points="2000", reason="補登活動點數"
        )
        if self.endpoint_id is not None:
            with context.acting("staff", planned.STAFF_NAME):
                endpoints.disable_endpoint(
                    endpoint_id=self.endpoint_id, reason="示範環境沒有接收端，先停用"
                )

    def _settle(self, at: datetime) -> None:
        for mode in (Merchant.SettlementMode.T_PLUS_1, Merchant.SettlementMode.MONTHLY):
            settlements.settle_all_due(mode=mode)
        # In real time it is done each minute; of the past, a day at once will do.
        day = at.date()
        for shop in planned.SHOPS:
            if shop.settlement_mode != Merchant.SettlementMode.REALTIME:
                continue
            with (
                context.acting("system", "settle realtime"),
                suppress(NoTransactionsInPeriodError),
            ):
                settlements.generate_settlement(
                    merchant_id=self.world.tills[shop.code].merchant_id,
                    mode=shop.settlement_mode,
                    period_start=day - timedelta(days=1),
                    period_end=day,
                )

    def _pay_out(self, at: datetime) -> None:
        """Approve what the night before last was settled; pay what was approved before."""
        with db_scope.principal_scope("platform_admin"):
            waiting = list(
                Settlement.objects.filter(
                    status__in=(Settlement.Status.PENDING, Settlement.Status.SETTLED),
                    created_at__lt=at - _SINCE_YESTERDAY,
                )
                .select_related("merchant")
                .order_by("id")
            )
        for number, each in enumerate(waiting, start=1):
            if each.status == Settlement.Status.PENDING:
                with context.acting("staff", planned.STAFF_NAME):
                    settlements.approve_settlement(settlement_id=each.id)
            elif each.net >= 0:
                reference = f"BANK-{at:%Y%m%d}-{number}"
                self._agree(self._ask(each, "mark-paid", payout_reference=reference))

    def _ask(self, target: Model, name: str, **values: str) -> Approval:
        """Ask for an act of the console's, as one of the staff does on its page."""
        act = console.find_act(type(target), name)
        assert act is not None
        site: Any = admin.site
        with context.acting("staff", planned.STAFF_NAME):
            asked = site.ask_second_pair(
                model=type(target),
                act=act,
                targets=[target],
                values={field: [value] for field, value in values.items()},
                user=self.maker,
            )
        assert isinstance(asked, Approval)
        return asked

    def _agree(self, asked: Approval) -> None:
        with context.acting("staff", planned.CHECKER_NAME):
            approvals.approve(
                approval_id=asked.id,
                payload_hash=asked.payload_hash,
                checker=self.checker,
                execute=lambda approval: four_eyes.execute(approval, self.checker),
            )

    def _open_endpoint(self, at: datetime) -> None:
        if not settings.MPS_WEBHOOK_ALLOW_PRIVATE:
            return
        user = get_user_model().objects.get(username=planned.MANAGER_NAME)
        (person,) = merchant_users.find_people(user)
        with context.acting("merchant_user", planned.MANAGER_NAME):
            endpoint, _secret = endpoints.create_endpoint(
                till=person.till,
                url=planned.WEBHOOK_URL,
                description="門市系統",
                events=["refund.completed", "settlement.generated", "settlement.paid"],
            )
        self.endpoint_id = endpoint.id

    def _top_up_by_phone(self, at: datetime) -> None:
        """Pay one order at the sandbox, and go away from another."""
        if sandbox.Sandbox.name not in settings.MPS_TOPUP_PROVIDERS:
            return
        mei = self.world.members[0]
        for amount, paid in ((Decimal(1000), True), (Decimal(500), False)):
            with context.acting("member", mei.number):
                answer = member_topups.start_top_up(
                    member_id=mei.id,
                    card_no=self.world.cards["family"].number,
                    amount=amount,
                    provider=sandbox.Sandbox.name,
                    idempotency_key=f"demo-phone-{amount}",
                    site_url="",
                )
            order = answer.body["pay_url"].rpartition("/")[2]
            with context.acting("anonymous", ""):
                topup_confirmations.pay_in_sandbox(order_id=order, paid=paid)


# --- the owner's clock ---------------------------------------------------------------------------


@contextmanager
def _writing_as_owner() -> Iterator[None]:
    """Let all services of this thread use a connection signed in as `mps_owner`."""
    usual = connections[DEFAULT_DB_ALIAS]
    owner = connections.create_connection("owner")
    owner.alias = DEFAULT_DB_ALIAS
    connections[DEFAULT_DB_ALIAS] = owner
    try:
        with connection.cursor() as cursor:
            # Whoever loses a demonstration loads it again: no need to wait for the disk each time.
            cursor.execute("SET synchronous_commit = off")
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = usual
        owner.close()


def _shift_clock(at: datetime) -> None:
    """Let the database's clock show `at`, and go on from there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('mps.clock_shift', (%s - clock_timestamp())::text, false)", [at]
        )
