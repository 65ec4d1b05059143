"""What may be written: any script, any space; nothing a screen or a log would act on."""

import pytest

from merchants import services as merchants
from mps.base.audit import services as audit
from mps.base.core import errors
from mps.base.core.text_validation import is_text


@pytest.mark.parametrize(
    "text",
    [
        *("Café", "小鎮　咖啡", "a\u00a0b", "👩‍👩‍👧 shop", "ا ب", "x" * 80),
        *("\u200fا\u200f", "e\u0301", "1", "*"),
    ],
)
def test_any_writing_is_text(text: str) -> None:
    assert is_text(text, at_most=80)


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "　", "a\x00b", "a\nb", "\x7f", "a\x85b", "a\u2028b", "\ud800", "x" * 81),
        # Noncharacters, what turns the direction, and what leaves nothing on the screen.
        *("\uffff", "a\ufffe", "\ufdd0b", "\U0001ffffa", "\u202ebob", "a\u2066b\u2069"),
        *("\u200b", "\u200b\u2060\ufeff", "\u3164", "\u2800 ", "\u0301"),
    ],
)
def test_what_is_no_text(text: str) -> None:
    assert not is_text(text, at_most=80)


def test_a_shop_and_its_till_may_have_a_wide_space_in_their_names(database: str) -> None:
    merchant = merchants.create_merchant(code="CAFE", name="小鎮　咖啡", contact="王　小明")
    terminal, _key = merchants.create_terminal(merchant_id=merchant.id, name="一樓　櫃台")

    assert merchant.name == "小鎮　咖啡"
    assert terminal.name == "一樓　櫃台"
    with pytest.raises(errors.InvalidRequestError):
        merchants.create_merchant(code="BELL", name="a\x07b")


def test_a_reason_of_spaces_is_none() -> None:
    with pytest.raises(errors.InvalidRequestError):
        audit.require_reason("　")


@pytest.mark.parametrize("name", ["\uffff", "\u200b", "\u202eeve", "\ufdd0", "\u3164"])
def test_nobody_registers_under_a_name_that_cannot_be_read(
    database: str, client, name: str
) -> None:
    answer = client.post(
        "/api/v1/members",
        {"name": name, "phone": "0912345678", "password": "a long password"},
        content_type="application/json",
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert "name" in answer.json()["errors"]
