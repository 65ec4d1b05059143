"""JSON is taken strictly, and written as it was."""

import io
from typing import Any

import pytest

from mps.base.core import errors
from mps.base.core.money import JsonNumber
from mps.base.core.parsing import MAX_BODY_BYTES, MAX_DEPTH, FastJSONRenderer, StrictJSONParser


def parse(body: bytes, media_type: str = "application/json") -> Any:
    return StrictJSONParser().parse(io.BytesIO(body), media_type)


@pytest.mark.parametrize("written", ["1", "10.005", "1e400", "-0.00", "9" * 4000, "1E+2"])
def test_a_number_stays_as_it_was_written(written: str) -> None:
    value = parse(f'{{"a": [{written}]}}'.encode())["a"][0]
    assert type(value) is JsonNumber
    assert value == written


def test_a_string_is_no_number() -> None:
    assert type(parse(b'{"a": "1"}')["a"]) is str


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b'{"a":}', b"[]", b'"a"', b"1", b"null", b"true", b"{}{}", b"{'a': 1}"),
        *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 01}', b'{"a": +1}'),
        *(b'{"a": 1, "a": 1}', b'{"a": 1, "\\u0061": 1}', b'{"b": {"a": 1, "a": 1}}'),
        *(b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": "\\ud800"}', b'{"a": ["\\udc00"]}'),
        *(
            b'{"a": "\xff"}',
            b'{"a": "\xed\xa0\x80"}',
            b"\xef\xbb\xbf{}",
            '{"a": 1}'.encode("utf-16"),
        ),
        b'{"a": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    ],
)
def test_what_is_no_plain_object_is_refused(body: bytes) -> None:
    with pytest.raises(errors.InvalidRequestError):
        parse(body)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse(b'{"a": "\\ud83d\\udcb3"}') == {"a": "\N{CREDIT CARD}"}


def test_the_largest_body_is_taken_and_one_byte_more_is_not() -> None:
    largest = b'{"a": "' + b"x" * (MAX_BODY_BYTES - 9) + b'"}'
    assert len(largest) == MAX_BODY_BYTES
    assert parse(largest)
    with pytest.raises(errors.PayloadTooLargeError):
        parse(largest + b" ")


@pytest.mark.parametrize("named", ["", "; charset=utf-8", '; charset="UTF-8"', "; charset=utf8"])
def test_utf_8_may_be_named(named: str) -> None:
    assert parse(b"{}", f"application/json{named}") == {}


@pytest.mark.parametrize(
    "media_type",
    ["", "*/*", "application/*", "text/json", "application/json; charset=latin-1", "a;charset=b"],
)
def test_another_media_type_or_charset_is_refused(media_type: str) -> None:
    with pytest.raises(errors.UnsupportedMediaTypeError):
        parse(b"{}", media_type)


def test_answers_are_written_as_utf_8_and_no_content_as_nothing() -> None:
    render = FastJSONRenderer().render
    assert render({"名": "1.00", "n": None}) == '{"名":"1.00","n":null}'.encode()
    assert render(None) == b""
