"""The digits of payment codes."""

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from cards import codes

BODIES = st.text("0123456789", min_size=19, max_size=19)
NONCES = st.binary(min_size=16, max_size=16)


def with_check_digit(body: str) -> str:
    return body + str(codes.check_digit(body))


def test_the_check_digit_is_damms() -> None:
    # The example of Damm's dissertation.
    assert codes.check_digit("572") == 4
    assert codes.check_digit("5724") == 0


@given(BODIES)
def test_a_number_with_its_check_digit_checks_to_zero(body: str) -> None:
    assert codes.check_digit(with_check_digit(body)) == 0


@given(BODIES, st.integers(0, 19), st.integers(1, 9))
def test_every_wrong_digit_is_found(body: str, place: int, shift: int) -> None:
    code = with_check_digit(body)
    wrong = str((int(code[place]) + shift) % 10)

    assert codes.check_digit(code[:place] + wrong + code[place + 1 :]) != 0


@given(BODIES, st.integers(0, 18))
def test_every_swap_of_neighbours_is_found(body: str, place: int) -> None:
    code = with_check_digit(body)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]

    assert (codes.check_digit(swapped) != 0) is (swapped != code)


@given(NONCES)
def test_a_code_has_its_form_and_comes_back_from_its_nonce(nonce: bytes) -> None:
    for key in codes.current_keys():
        code = codes.derive_code(key, nonce)

        assert codes.require_code(code) == code
        assert len(code) == 20 and code.startswith("77")
        assert codes.recover_code(key.id, nonce, codes.hash_code(key, code)) == code
        assert codes.hash_code(key, code) in codes.look_up_hashes(code)


@given(NONCES)
def test_keys_make_different_codes_of_one_nonce(nonce: bytes) -> None:
    first, second = codes.current_keys()

    assert codes.derive_code(first, nonce) != codes.derive_code(second, nonce)
    known = codes.hash_code(first, codes.derive_code(first, nonce))
    assert codes.recover_code("gone", nonce, known) is None
    # Another key under the same id would show digits that no till takes.
    assert codes.recover_code(second.id, nonce, known) is None


@given(st.one_of(st.none(), st.integers(), st.booleans(), st.binary(), st.text(max_size=30)))
def test_what_is_no_code_is_refused_before_any_look_up(text: object) -> None:
    with pytest.raises(codes.InvalidCodeError):
        codes.require_code(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda code: code[:-1],
        lambda code: code + "0",
        lambda code: " " + code[1:],
        lambda code: code + "\n",
        lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),
        lambda code: with_check_digit("12" + code[2:19]),
        lambda code: code[:19] + str((int(code[19]) + 1) % 10),
    ],
)
def test_a_spoilt_code_is_refused(spoil) -> None:
    code = codes.derive_code(codes.current_keys()[0], b"0" * 16)

    with pytest.raises(codes.InvalidCodeError):
        codes.require_code(spoil(code))


@pytest.mark.parametrize(
    "configured",
    [
        "",
        "k1",
        "k1:",
        "k1:not base64",
        "k1:" + base64.b64encode(b"short").decode(),
        "k 1:" + base64.b64encode(bytes(32)).decode(),
        "k1:" + base64.b64encode(bytes(32)).decode() + ",",
        ",".join("k1:" + base64.b64encode(bytes([each]) * 32).decode() for each in (1, 2)),
    ],
)
def test_keys_that_are_none_stop_the_start(configured: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        codes.load_keys(configured)


def test_a_code_on_its_way_does_not_show_itself() -> None:
    shown = codes.ShownCode("77" + "1" * 18, None, None)  # type: ignore[arg-type]

    assert "1111" not in repr(shown)
