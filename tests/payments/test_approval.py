"""A payment above the threshold waits for its member (202 AWAITING_MEMBER)."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connections
from django.test import Client

from cards import card_status, vouchers
from members import pins
from members import services as members
from mps.base.core.db_scope import principal_scope
from payments import charges, consents, points, selectors
from payments.errors import ApprovalExpiredError
from payments.models import Consent
from tests import factories
from tests.concurrency.racing import run_together
from tests.payments.test_charge import between_read_and_write
from tests.snapshots import execute, fetch

PIN = "4711"


@pytest.fixture
def shop(database: str, settings: Any) -> Any:
    """A till, a member with a PIN and a card with 500.00; payments above 100.00 are asked about."""
    settings.MPS_APPROVAL_ABOVE = Decimal("100.00")
    return Shop()


class Shop:
    def __init__(self) -> None:
        self.member, self.standard = factories.make_member()
        self.card = factories.make_prepaid(
            self.member, "500.00", fixed_discount=Decimal(1), name="family"
        )
        pins.set_pin(member_id=self.member.id, password=factories.PASSWORD, pin=PIN)
        self.till, self.key = factories.make_till_and_key()
        self.phone = factories.member_client(self.member)

    def post_charge(
        self, code: str, amount: str = "200.00", key: str = "K-1", **fields: str
    ) -> Any:
        return Client().post(
            "/api/v1/pos/charges",
            {"code": code, "amount": amount, **fields},
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", "Idempotency-Key": key},
        )

    def code(self) -> str:
        return factories.make_code(self.card, self.member)

    def waiting(self) -> list[dict[str, Any]]:
        return self.phone.get("/api/v1/me/approvals").json()["results"]  # type: ignore[no-any-return]

    def reverse(self, order: str) -> Any:
        return Client().post(
            f"/api/v1/pos/orders/{order}/reverse",
            {},
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}"},
        )

    def till_finds(self, order: str) -> dict[str, Any]:
        answer = Client().get(
            f"/api/v1/pos/charges?external_order_id={order}",
            headers={"Authorization": f"Bearer {self.key}"},
        )
        return answer.json()  # type: ignore[no-any-return]

    def approve(self, pin: str = PIN) -> Any:
        return self.phone.post(
            f"/api/v1/me/approvals/{self.waiting()[0]['id']}/approve",
            {"pin": pin},
            content_type="application/json",
        )


def balance(shop: Shop) -> Decimal:
    return Decimal(
        fetch("SELECT balance FROM ledger_account WHERE id = %s", [shop.card.money_account_id])
    )


def pass_time() -> None:
    execute("UPDATE payments_consent SET expires_at = now() - interval '1 second'")
    execute(
        "UPDATE payments_idempotency SET body = body || jsonb_build_object('expires_at',"
        " '2020-01-01T00:00:00.000000Z') WHERE status = 202"
    )


def test_the_member_approves_and_the_till_gets_the_payment_for_its_key(shop: Shop) -> None:
    code = shop.code()

    asked = shop.post_charge(code, external_order_id="O-1")
    assert (asked.status_code, asked.json()["code"]) == (202, "AWAITING_MEMBER")
    assert shop.post_charge(code, external_order_id="O-1").status_code == 202
    assert balance(shop) == Decimal("500.00")

    (waits,) = shop.waiting()
    assert (waits["merchant_code"], waits["final_amount"]) == (shop.till.merchant_code, "200.00")
    approved = shop.approve()
    assert approved.status_code == 201

    paid = shop.post_charge(code, external_order_id="O-1")
    assert (paid.status_code, paid.json()) == (201, approved.json())
    assert paid.json()["balance_after"] == "300.00"
    assert balance(shop) == Decimal("300.00")
    assert shop.waiting() == []


def test_up_to_the_threshold_nobody_is_asked(shop: Shop) -> None:
    assert shop.post_charge(shop.code(), "100.00").status_code == 201


def test_the_code_is_burnt_while_the_member_is_asked(shop: Shop) -> None:
    code = shop.code()
    shop.post_charge(code)

    assert shop.post_charge(code, "5.00", key="K-2").json()["code"] == "QR_EXPIRED_OR_INVALID"


def test_a_wrong_pin_moves_nothing_and_five_close_the_door(shop: Shop) -> None:
    shop.post_charge(shop.code())

    answers = [shop.approve("0000") for _ in range(6)]

    assert [answer.json()["code"] for answer in answers] == (
        ["INVALID_CREDENTIALS"] * 5 + ["RATE_LIMITED"]
    )
    assert answers[-1]["Retry-After"]
    assert shop.approve().json()["code"] == "RATE_LIMITED"
    assert balance(shop) == Decimal("500.00")


def test_the_member_declines(shop: Shop) -> None:
    code = shop.code()
    shop.post_charge(code)

    declined = shop.phone.post(
        f"/api/v1/me/approvals/{shop.waiting()[0]['id']}/decline",
        {},
        content_type="application/json",
    )

    assert declined.status_code == 204
    refused = shop.post_charge(code)
    assert (refused.status_code, refused.json()["code"]) == (409, "APPROVAL_DECLINED")
    assert fetch("SELECT failure_code FROM payments_transaction WHERE type = 'payment'") == (
        "APPROVAL_DECLINED"
    )
    assert balance(shop) == Decimal("500.00")


def test_one_that_cannot_be_closed_holds_up_no_other(
    shop: Shop, database: str, superuser: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consents, "_BATCH", 1)
    for key in ("K-1", "K-2", "K-3"):
        assert shop.post_charge(shop.code(), key=key).status_code == 202
    pass_time()
    superuser.execute(f"""ALTER ROLE mps_web IN DATABASE "{database}" SET lock_timeout = '200ms'""")
    connections["default"].close()

    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT payments_lock_name(%s, 'key:K-2')", [shop.till.merchant_id])
        assert consents.close_expired() == 2
        cursor.execute("ROLLBACK")

    assert fetch("SELECT key FROM payments_consent WHERE state = 'awaiting'") == "K-2"
    assert consents.close_expired() == 1


@pytest.mark.parametrize("first", ["till", "job"])
def test_it_closes_by_itself(shop: Shop, first: str) -> None:
    code = shop.code()
    shop.post_charge(code)
    pass_time()

    if first == "job":
        assert (consents.close_expired(dry_run=True), consents.close_expired()) == (1, 1)
    refused = shop.post_charge(code)

    assert (refused.status_code, refused.json()["code"]) == (409, "APPROVAL_EXPIRED")
    assert consents.close_expired() == 0
    assert shop.post_charge(code).json() == refused.json()
    assert shop.waiting() == []


def test_approving_too_late_is_not_found(shop: Shop) -> None:
    shop.post_charge(shop.code())
    (waits,) = shop.waiting()
    pass_time()

    late = shop.phone.post(
        f"/api/v1/me/approvals/{waits['id']}/approve",
        {"pin": PIN},
        content_type="application/json",
    )

    assert late.status_code == 404
    assert balance(shop) == Decimal("500.00")


def test_time_that_runs_out_while_approving_is_too_late(shop: Shop) -> None:
    """Between the look at what waits and the charge; the till is told by its next question."""
    code = shop.code()
    shop.post_charge(code)
    with principal_scope("merchant_api", shop.till.merchant_id):
        approval = Consent.objects.get()
    pass_time()

    with pytest.raises(ApprovalExpiredError):
        charges.charge_approved(
            till=shop.till, approval=approval, code=shop.code(), voucher_code=""
        )

    assert balance(shop) == Decimal("500.00")
    assert shop.post_charge(code).json()["code"] == "APPROVAL_EXPIRED"


def test_questions_that_meet_as_it_closes_get_one_answer(
    shop: Shop, database: str, superuser: psycopg.Connection
) -> None:
    code = shop.code()
    shop.post_charge(code)
    pass_time()
    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN; SELECT id FROM payments_consent FOR UPDATE")
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(ask_and_hang_up, shop, code) for _ in range(2)]
            wait_for_locks(superuser, database, 2)
            cursor.execute("COMMIT")
            answers = [each.result() for each in asked]

    assert [each[0] for each in answers] == [409, 409]
    assert answers[0][1] == answers[1][1]
    assert answers[0][1]["code"] == "APPROVAL_EXPIRED"
    closed = "SELECT count(*) FROM payments_transaction WHERE failure_code = 'APPROVAL_EXPIRED'"
    assert fetch(closed) == 1


def ask_and_hang_up(shop: Shop, code: str, **fields: str) -> tuple[int, dict[str, Any]]:
    try:
        answer = shop.post_charge(code, **fields)
        return answer.status_code, answer.json()
    finally:
        connections["default"].close()


def wait_for_locks(superuser: psycopg.Connection, database: str, number: int) -> None:
    """Wait until so many of a database's sessions wait for a lock."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 30
    while superuser.execute(waiting, [database]).fetchone()[0] < number:
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)


def test_what_changed_meanwhile_counts(shop: Shop) -> None:
    code = shop.code()
    shop.post_charge(code)
    card_status.freeze_card(card_id=shop.card.id, reason="lost phone")

    assert shop.approve().json()["code"] == "CARD_NOT_ACTIVE"
    assert shop.post_charge(code).json()["code"] == "CARD_NOT_ACTIVE"
    assert balance(shop) == Decimal("500.00")


def test_a_reversed_order_is_not_paid_by_a_late_approval(shop: Shop) -> None:
    code = shop.code()
    shop.post_charge(code, external_order_id="O-9")
    shop.reverse("O-9")

    assert shop.waiting() == []
    late = shop.post_charge(code, external_order_id="O-9")
    assert (late.status_code, late.json()["code"]) == (409, "ORDER_REVERSED")
    assert balance(shop) == Decimal("500.00")
    assert shop.till_finds("O-9")["failure_code"] == "ORDER_REVERSED"


def test_a_member_asked_while_the_order_is_being_reversed_is_asked_no_longer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = shop.code()
    find = selectors.find_waiting

    def ask_after_the_first_look(*args: Any, **which: Any) -> Consent | None:
        monkeypatch.setattr(selectors, "find_waiting", find)
        with ThreadPoolExecutor(1) as till:
            asked = till.submit(ask_and_hang_up, shop, code, external_order_id="O-9").result()
        assert asked[0] == 202
        return None

    monkeypatch.setattr(selectors, "find_waiting", ask_after_the_first_look)

    assert shop.reverse("O-9").status_code == 200

    assert shop.waiting() == []
    late = shop.post_charge(code, external_order_id="O-9")
    assert late.json()["code"] == "ORDER_REVERSED"


def test_a_reversal_and_the_members_word_at_once_are_one_of_both(shop: Shop) -> None:
    for number in range(5):
        order = f"O-{number}"
        shop.post_charge(shop.code(), "100.01", f"K-{number}", external_order_id=order)

        results = run_together([shop.approve, lambda order=order: shop.reverse(order)] * 2)  # type: ignore[misc]

        assert all(result.status_code < 500 for result in results)  # type: ignore[union-attr]
        assert shop.waiting() == []
        assert shop.till_finds(order)["status"] == "cancelled"
    assert balance(shop) == Decimal("500.00")


def test_an_order_that_waits_takes_no_second_request(shop: Shop) -> None:
    asked = shop.post_charge(shop.code(), external_order_id="O-1")
    other = shop.code()

    again = shop.post_charge(other, key="K-2", external_order_id="O-1")
    assert (again.status_code, again.json()) == (202, asked.json())
    assert again["Idempotent-Replayed"] == "true"
    more = shop.post_charge(other, "250.00", "K-3", external_order_id="O-1")
    assert more.json()["code"] == "ORDER_AMOUNT_MISMATCH"
    # Below the threshold nobody is asked; but this order waits.
    less = shop.post_charge(other, "50.00", "K-4", external_order_id="O-1")
    assert less.json()["code"] == "ORDER_AMOUNT_MISMATCH"
    assert len(shop.waiting()) == 1

    # Paid: whichever key asks.
    paid = shop.approve()
    assert shop.post_charge(other, key="K-2", external_order_id="O-1").json() == paid.json()
    assert balance(shop) == Decimal("300.00")
    assert shop.post_charge(shop.code(), "50.00", "K-5").status_code == 201


def test_an_order_is_free_again_when_its_member_kept_silent(shop: Shop) -> None:
    code = shop.code()
    shop.post_charge(code, external_order_id="O-1")
    pass_time()

    other = shop.code()
    asked = shop.post_charge(other, "250.00", "K-2", external_order_id="O-1")

    assert (asked.status_code, asked.json()["amount"]) == (202, "250.00")
    (waits,) = shop.waiting()
    assert waits["amount"] == "250.00"
    late = shop.post_charge(code, external_order_id="O-1")
    assert late.json()["code"] == "APPROVAL_EXPIRED"


def test_of_many_requests_for_an_order_at_once_one_waits(shop: Shop) -> None:
    """Each by a card of its own, so that only the order stands between them."""
    cards_ = [factories.make_prepaid(shop.member, "500.00") for _ in range(6)]
    shown = [factories.make_code(card, shop.member) for card in cards_]

    def ask(number: int) -> Any:
        return shop.post_charge(shown[number], key=f"K-{number}", external_order_id="O-1")

    answers = run_together([lambda n=n: ask(n) for n in range(len(shown))])

    assert [answer.status_code for answer in answers] == [202] * len(shown)
    assert len(shop.waiting()) == 1
    assert fetch("SELECT count(*) FROM payments_consent") == 1


def test_the_database_lets_one_payment_of_an_order_wait(shop: Shop) -> None:
    shop.post_charge(shop.code(), external_order_id="O-1")

    columns = (
        "request_hash, card_id, card_no, member_id, external_order_id, payment_method, currency,"
        " amount, final_amount, tag, created_at, expires_at"
    )
    with pytest.raises(IntegrityError, match="payments_consent_one_per_order"):
        execute(
            f"INSERT INTO payments_consent (merchant_id, key, {columns})"
            f" SELECT merchant_id, 'K-2', {columns} FROM payments_consent"
        )


def test_the_till_finds_an_order_that_waits(shop: Shop) -> None:
    def find() -> Any:
        return Client().get(
            "/api/v1/pos/charges?external_order_id=O-1",
            headers={"Authorization": f"Bearer {shop.key}"},
        )

    assert find().status_code == 404
    asked = shop.post_charge(shop.code(), external_order_id="O-1").json()

    found = find().json()
    assert (found["status"], found["tx_no"], found["failure_code"]) == ("pending", None, None)
    shared = ("external_order_id", "amount", "final_amount", "currency", "expires_at")
    assert {name: found[name] for name in shared} == {name: asked[name] for name in shared}

    shop.reverse("O-1")
    found = find().json()
    assert (found["status"], found["tx_no"]) == ("cancelled", None)
    assert (found["failure_code"], found["amount"]) == ("ORDER_REVERSED", None)


def test_nobody_elses_payment_is_approved(shop: Shop) -> None:
    shop.post_charge(shop.code())
    (waits,) = shop.waiting()
    other, _ = factories.make_member()
    pins.set_pin(member_id=other.id, password=factories.PASSWORD, pin="1234")
    phone = factories.member_client(other)

    assert phone.get("/api/v1/me/approvals").json()["results"] == []
    for act in ("approve", "decline"):
        answer = phone.post(
            f"/api/v1/me/approvals/{waits['id']}/{act}",
            {"pin": "1234"} if act == "approve" else {},
            content_type="application/json",
        )
        assert answer.status_code == 404
    assert len(shop.waiting()) == 1


def test_without_a_pin_one_is_to_be_set_with_the_password(shop: Shop) -> None:
    other, standard = factories.make_member()
    phone = factories.member_client(other)
    shop.post_charge(factories.make_code(standard, other), payment_method="cash")
    (waits,) = phone.get("/api/v1/me/approvals").json()["results"]

    def approve() -> Any:
        return phone.post(
            f"/api/v1/me/approvals/{waits['id']}/approve",
            {"pin": "1234"},
            content_type="application/json",
        )

    def set_pin(password: str, pin: str = "1234") -> int:
        return phone.put(  # type: ignore[no-any-return]
            "/api/v1/me/pin", {"password": password, "pin": pin}, content_type="application/json"
        ).status_code

    assert approve().json()["code"] == "PERMISSION_DENIED"
    assert (set_pin("wrong-password-1"), set_pin(factories.PASSWORD, "12a4")) == (401, 400)
    assert phone.get("/api/v1/me").json()["pin_set"] is False
    assert set_pin(factories.PASSWORD) == 204
    assert phone.get("/api/v1/me").json()["pin_set"] is True
    assert approve().status_code == 201


def test_who_has_a_long_password_sets_a_pin(shop: Shop) -> None:
    password = "correct horse battery staple " * 10
    members.set_password(member_id=shop.member.id, password=password)
    phone = factories.member_client(shop.member)

    answer = phone.put(
        "/api/v1/me/pin", {"password": password, "pin": "4712"}, content_type="application/json"
    )

    assert answer.status_code == 204, answer.content


def test_a_voucher_waits_with_its_payment(shop: Shop) -> None:
    voucher = vouchers.issue_voucher_card(
        owner_id=shop.member.id, kind="amount", value=Decimal("50.00")
    )
    shop.post_charge(shop.code(), voucher_code=factories.make_code(voucher, shop.member))

    assert shop.approve().json()["final_amount"] == "150.00"
    assert balance(shop) == Decimal("350.00")


def test_50_twins_ask_once_and_5_approvals_pay_once(shop: Shop) -> None:
    code = shop.code()
    asked = run_together(
        [lambda: factories.charge(shop.till, code, "200.00", idempotency_key="K-1")] * 50
    )
    assert {answer.status for answer in asked} == {202}
    (approval_id,) = [each["id"] for each in shop.waiting()]

    run_together(
        [
            lambda: consents.approve_payment(
                member_id=shop.member.id, approval_id=approval_id, pin=PIN
            )
        ]
        * 5
    )

    assert balance(shop) == Decimal("300.00")
    assert factories.charge(shop.till, code, "200.00", idempotency_key="K-1").status == 201
    assert fetch("SELECT count(*) FROM payments_consent WHERE state = 'approved'") == 1


def test_a_voucher_waits_with_its_card(shop: Shop) -> None:
    voucher = vouchers.issue_voucher_card(owner_id=shop.member.id, kind="amount", value=Decimal(5))
    voucher_code = factories.make_code(voucher, shop.member)

    asked = shop.post_charge(shop.code(), voucher_code=voucher_code)

    assert (asked.status_code, asked.json()["final_amount"]) == (202, "195.00")
    other = shop.post_charge(shop.code(), "50.00", "K-2", voucher_code=voucher_code)
    assert other.json()["code"] == "QR_EXPIRED_OR_INVALID"
    assert shop.approve().json()["final_amount"] == "195.00"


def test_a_voucher_code_that_dies_while_the_member_is_about_to_be_asked(
    shop: Shop, monkeypatch: Any
) -> None:
    voucher = vouchers.issue_voucher_card(owner_id=shop.member.id, kind="amount", value=Decimal(5))
    voucher_code = factories.make_code(voucher, shop.member)
    kill = (
        "UPDATE cards_paymentcode SET ended_at = now(), outcome = 'revoked'"
        " WHERE card_id = %s AND ended_at IS NULL"
    )
    between_read_and_write(monkeypatch, lambda _: execute(kill, [voucher.id]))
    code = shop.code()

    asked = shop.post_charge(code, voucher_code=voucher_code)

    assert asked.json()["code"] == "QR_EXPIRED_OR_INVALID"
    assert shop.waiting() == []
    assert shop.post_charge(code, "5.00", "K-2").status_code == 201


def test_an_approval_whose_time_ends_between_read_and_write_pays_nothing(
    shop: Shop, monkeypatch: Any
) -> None:
    shop.post_charge(shop.code())
    between_read_and_write(monkeypatch, lambda _: pass_time())

    assert shop.approve().json()["code"] == "APPROVAL_EXPIRED"
    assert balance(shop) == Decimal("500.00")


def test_nobody_pays_more_than_they_approved(shop: Shop) -> None:
    card = factories.make_prepaid(shop.member, "5000.00")
    points.adjust_points(card_id=card.id, delta=10000)
    code = factories.make_code(card, shop.member)
    asked = shop.post_charge(code, "1000.00")
    assert asked.json()["final_amount"] == "850.00"
    points.adjust_points(card_id=card.id, delta=-10000)

    assert shop.approve().json()["code"] == "APPROVAL_EXPIRED"

    assert shop.post_charge(code, "1000.00").json()["code"] == "APPROVAL_EXPIRED"
    assert fetch(
        "SELECT balance FROM ledger_account WHERE id = %s", [card.money_account_id]
    ) == Decimal("5000.00")


def test_an_order_that_began_to_wait_between_read_and_write_is_not_paid(
    shop: Shop, monkeypatch: Any
) -> None:
    cheap = factories.make_prepaid(shop.member, "500.00", fixed_discount=Decimal("0.5"))
    dear, other = shop.code(), factories.make_code(cheap, shop.member)

    def ask_first(tries: int) -> None:
        if tries == 1:
            assert shop.post_charge(dear, "150.00", external_order_id="O-1").status_code == 202

    between_read_and_write(monkeypatch, ask_first)

    late = shop.post_charge(other, "150.00", "K-2", external_order_id="O-1")

    assert (late.status_code, late.json()["code"]) == (202, "AWAITING_MEMBER")
    assert fetch("SELECT count(*) FROM payments_transaction WHERE type = 'payment'") == 0


def test_the_shop_is_told_of_what_was_not_approved(shop: Shop) -> None:
    execute(
        "INSERT INTO merchants_webhookendpoint (merchant_id, url, secret_key_id)"
        " VALUES (%s, 'https://example.com/', 'none')",
        [shop.till.merchant_id],
    )
    shop.post_charge(shop.code())
    (waits,) = shop.waiting()
    consents.decline_payment(member_id=shop.member.id, approval_id=waits["id"])
    shop.post_charge(shop.code(), key="K-2")
    pass_time()
    consents.close_expired()

    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT payload ->> 'failure_code' FROM merchants_webhookevent"
            " WHERE type = 'payment.failed' ORDER BY id"
        )
        assert cursor.fetchall() == [("APPROVAL_DECLINED",), ("APPROVAL_EXPIRED",)]
