"""Cells stay text, and files open, whatever somebody once called themselves."""

import io

import pytest
from openpyxl import Workbook, load_workbook

from mps.base.console.exports import ConsoleResource, CsvWithBom
from mps.base.core import spreadsheets


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "|x", "%x", "\t=1", "＝1+1", "＋1", "－1", "＠x"]
)
def test_what_would_be_computed_gets_an_apostrophe(text: str) -> None:
    assert spreadsheets.as_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["Café", "小鎮", "a=b", "", "👩‍👧"])
def test_anything_else_stays_as_it_is(text: str) -> None:
    assert spreadsheets.as_text(text) == text


@pytest.mark.parametrize("text", ["-12.50", "+3", "0.95"])
def test_a_number_keeps_its_sign(text: str) -> None:
    assert spreadsheets.as_cell(text) == text


@pytest.mark.parametrize("text", ["a\uffffb", "\x0bb", "x\ufffe", "\x00"])
def test_a_workbook_with_it_opens(text: str) -> None:
    book = Workbook()
    book.active["A1"] = spreadsheets.printable(text)
    file = io.BytesIO()
    book.save(file)

    assert load_workbook(file).active["A1"].value == text.translate(
        {0: "\ufffd", 0x0B: "\ufffd", 0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
    )


def test_the_consoles_csv_begins_with_a_byte_order_mark() -> None:
    class Rows(ConsoleResource):
        pass

    dataset = Rows().export(queryset=[])

    assert CsvWithBom().export_data(dataset).startswith("\ufeff")
    assert CsvWithBom().get_title() == "csv"
