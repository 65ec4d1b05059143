"""Guessing the password of a shared card: few wrong ones, by whatever door."""

import bcrypt
import pytest
from django.test import Client

from cards import sharing
from cards.models import Binding, Card
from members.models import Member
from mps.base.core.db_scope import principal_scope
from mps.product.rpc import services as rpc
from tests import factories
from tests.cards.helpers import events, post
from tests.concurrency.racing import run_together

PASSWORD = "our family 7"


@pytest.fixture
def card(database: str) -> Card:
    return factories.make_prepaid(factories.make_member()[0], binding_password=PASSWORD)


def join(member: Member, card_no: str, password: str):
    client = factories.member_client(member)
    return post(client, f"/api/v1/me/cards/{card_no}/bindings", {"password": password})


def bound_to(card: Card) -> int:
    with principal_scope("platform_admin"):
        return Binding.objects.filter(card=card).count()


def assert_limited(answer, longest_seconds: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(answer["Retry-After"]) <= longest_seconds


def test_a_member_has_five_wrong_guesses_whatever_the_card(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesser, _ = factories.make_member()
    other = factories.make_prepaid(factories.make_member()[0], binding_password=PASSWORD)
    evaluations = []
    hashpw = bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "hashpw", lambda *given: evaluations.append(1) or hashpw(*given))

    for number in (card.number, other.number, card.number, "PPD99999999", other.number):
        assert join(guesser, number, "wrong").status_code == 403
    evaluations.clear()
    for password in ("wrong", PASSWORD):
        assert_limited(join(guesser, card.number, password), sharing.MEMBER_GUESS_SECONDS)

    # then nothing was hashed, nobody joined, each refusal is in the log, and others are free
    assert evaluations == []
    assert bound_to(card) == 1
    refused = [event.context["error"] for event in events("CARD_JOIN_REFUSED")]
    assert refused == ["INVALID_BINDING_PASSWORD"] * 5 + ["RATE_LIMITED"] * 2
    assert join(factories.make_member()[0], card.number, PASSWORD).status_code == 201


@pytest.mark.parametrize("there_is_one", [True, False])
def test_a_card_takes_so_many_wrong_guesses_whoever_tries(
    card: Card, monkeypatch: pytest.MonkeyPatch, there_is_one: bool
) -> None:
    monkeypatch.setattr(sharing, "CARD_GUESSES", 3)
    # A number nobody tried before, in whichever test.
    number = card.number if there_is_one else f"PPD{card.id.int % 10**8:08d}"

    for _ in range(3):
        assert join(factories.make_member()[0], number, "wrong").status_code == 403

    answer = join(factories.make_member()[0], number, PASSWORD)
    assert_limited(answer, sharing.CARD_GUESS_SECONDS)
    assert bound_to(card) == 1


def test_who_knows_the_password_is_not_counted(card: Card) -> None:
    member, _ = factories.make_member()

    for _ in range(sharing.MEMBER_GUESSES + 1):
        assert join(member, card.number, PASSWORD).status_code == 201
    # Nor does a right one make room for more wrong ones.
    for _ in range(sharing.MEMBER_GUESSES):
        assert join(member, card.number, "wrong").status_code == 403
    assert_limited(join(member, card.number, "wrong"), sharing.MEMBER_GUESS_SECONDS)


def test_guesses_at_once_are_counted_one_by_one(card: Card) -> None:
    guesser, _ = factories.make_member()

    outcomes = run_together(
        [lambda: sharing.join_card(card_id=card.id, member_id=guesser.id, binding_password="wrong")]
        * 12
    )

    assert sorted(each.code for each in outcomes) == (
        ["INVALID_BINDING_PASSWORD"] * sharing.MEMBER_GUESSES
        + ["RATE_LIMITED"] * (12 - sharing.MEMBER_GUESSES)
    )


def call(key: str, card: Card, member: Member, password: str):
    return post(
        Client(headers={"apikey": key, "Authorization": f"Bearer {key}"}),
        "/rest/v1/rpc/bind_member_to_card",
        {
            "p_card_id": str(card.id),
            "p_member_id": str(member.id),
            "p_binding_password": password,
        },
    )


def test_the_facade_counts_the_same_guesses(card: Card) -> None:
    guesser, _ = factories.make_member()
    token = factories.member_token(guesser)

    for _ in range(sharing.MEMBER_GUESSES):
        answer = call(token, card, guesser, "wrong")
        assert (answer.status_code, answer.json()["message"]) == (403, "INVALID_BINDING_PASSWORD")
    answer = call(token, card, guesser, PASSWORD)

    assert answer.json()["message"] == "RATE_LIMITED"
    assert_limited(join(guesser, card.number, PASSWORD), sharing.MEMBER_GUESS_SECONDS)
    assert bound_to(card) == 1


def test_a_service_key_is_exempt(card: Card) -> None:
    member, _ = factories.make_member()
    _, key = rpc.create_service_key(name="backend")

    for _ in range(sharing.CARD_GUESSES + 1):
        answer = call(key, card, member, "wrong")
        assert answer.json()["message"] == "INVALID_BINDING_PASSWORD"

    assert call(key, card, member, PASSWORD).json() is True
