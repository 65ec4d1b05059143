"""Write the lines of a settlement as CSV and XLSX.

Written line by line to a temporary file, however many there are. What people and tills have typed
is text to a spreadsheet, never a formula.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, cast
from zoneinfo import ZoneInfo

from django.http import FileResponse
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from mps.base.core import spreadsheets
from mps.base.core.db_scope import Scope
from settlements import selectors
from settlements.errors import SettlementStateError
from settlements.models import Settlement
from settlements.selectors import StatementLine

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS = (
    "tx_no",
    "type",
    "created_at",
    "external_order_id",
    "original_tx_no",
    "card_no",
    "payment_method",
    "amount",
    "payments",
    "refunds",
    "cash_topups",
    "fee",
    "net",
)
_TEXTS = COLUMNS.index("amount")
_IN_MEMORY_BYTES = 1024 * 1024
# A sheet holds 1,048,576 rows.
MAX_SHEET_ROWS = 1_000_000
Cell = str | Decimal | None


@dataclass(slots=True)
class Totals:
    """The sums of the lines written so far."""

    payments: Decimal = Decimal("0.00")
    refunds: Decimal = Decimal("0.00")
    cash_topups: Decimal = Decimal("0.00")
    fee: Decimal = Decimal("0.00")
    count: int = 0

    def add(self, line: StatementLine) -> None:
        """Count a line in."""
        self.payments += line.gross
        self.refunds += line.refund
        self.cash_topups += line.cash_topup
        self.fee += line.fee
        self.count += 1

    @property
    def net(self) -> Decimal:
        """What the lines come to."""
        return self.payments - self.refunds - self.cash_topups - self.fee


def download(scope: Scope, settlement: Settlement, media_type: str) -> FileResponse:
    """Return a settlement's statement as a file to keep.

    :param media_type: `CSV` or `XLSX`.
    :raises SettlementStateError: it failed, and has no lines any more.
    """
    if settlement.status == Settlement.Status.FAILED:
        raise SettlementStateError("A failed settlement has no statement.")
    write, ending = _WRITERS[media_type]
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 -- the answer closes it
    write(settlement, selectors.statement_lines(scope, settlement), file)
    file.seek(0)
    zone = ZoneInfo(settlement.merchant.time_zone)
    name = (
        f"settlement-{settlement.merchant.code}"
        f"-{settlement.period_start.astimezone(zone):%Y%m%dT%H%M}.{ending}"
    )
    return FileResponse(file, as_attachment=True, filename=name, content_type=media_type)


def write_csv(settlement: Settlement, lines: Iterable[StatementLine], file: IO[bytes]) -> Totals:
    """Write a row for each line, then the sums, what was carried in, and the net."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    totals = Totals()
    writer.writerow(COLUMNS)
    for row in _rows(settlement, lines, totals):
        writer.writerow(
            [spreadsheets.as_text(cell) if isinstance(cell, str) else f"{cell:.2f}" for cell in row]
        )
    for closing in _closing_rows(settlement, totals):
        writer.writerow(["" if cell is None else cell for cell in closing])
    text.detach()
    return totals


def write_xlsx(settlement: Settlement, lines: Iterable[StatementLine], file: IO[bytes]) -> Totals:
    """Write a sheet for the settlement, and as many as it takes for its lines."""
    book = Workbook(write_only=True)
    summary = book.create_sheet("Statement")
    totals = Totals()
    sheet: Any = None
    for number, row in enumerate(_rows(settlement, lines, totals)):
        if number % MAX_SHEET_ROWS == 0:
            part = number // MAX_SHEET_ROWS + 1
            sheet = book.create_sheet("Transactions" if part == 1 else f"Transactions {part}")
            sheet.freeze_panes = "A2"
            sheet.append(COLUMNS)
        sheet.append([_cell(sheet, cell) for cell in row])
    for closing in _closing_rows(settlement, totals):
        sheet.append([_cell(sheet, cell) for cell in closing])
    for name, value in _summary(settlement).items():
        summary.append([name, _cell(summary, value)])
    book.save(file)
    return totals


_WRITERS: Mapping[
    str, tuple[Callable[[Settlement, Iterable[StatementLine], IO[bytes]], Totals], str]
] = {CSV: (write_csv, "csv"), XLSX: (write_xlsx, "xlsx")}


def _rows(
    settlement: Settlement, lines: Iterable[StatementLine], totals: Totals
) -> Iterator[list[str | Decimal]]:
    """Yield each line's cells, in the order of `COLUMNS`, and count it in."""
    zone = ZoneInfo(settlement.merchant.time_zone)
    for line in lines:
        totals.add(line)
        yield [
            line.tx_no,
            line.type,
            line.created_at.astimezone(zone).isoformat(timespec="seconds"),
            line.external_order_id,
            line.original_tx_no,
            line.card_no,
            line.payment_method,
            line.amount,
            line.gross,
            line.refund,
            line.cash_topup,
            line.fee,
            line.net,
        ]


def _closing_rows(settlement: Settlement, totals: Totals) -> list[list[Cell]]:
    """Return the rows under the lines: `TOTAL`, `CARRIED_IN`, `NET`.

    The sums are those of the lines above; a statement that does not come to what the settlement
    says is a defect, and no statement.
    """
    assert (totals.count, totals.net + settlement.carried_in) == (
        settlement.tx_count,
        settlement.net,
    )
    empty: list[Cell] = [None] * _TEXTS
    return [
        [
            "TOTAL",
            *empty,
            totals.payments,
            totals.refunds,
            totals.cash_topups,
            totals.fee,
            totals.net,
        ],
        ["CARRIED_IN", *empty, None, None, None, None, settlement.carried_in],
        ["NET", *empty, None, None, None, None, settlement.net],
    ]


def _summary(settlement: Settlement) -> dict[str, Cell]:
    zone = ZoneInfo(settlement.merchant.time_zone)
    return {
        "settlement": str(settlement.id),
        "merchant": settlement.merchant.code,
        "name": settlement.merchant.name,
        "mode": settlement.mode,
        "period_start": settlement.period_start.astimezone(zone).isoformat(),
        "period_end": settlement.period_end.astimezone(zone).isoformat(),
        "status": settlement.status,
        "currency": settlement.currency,
        "transactions": Decimal(settlement.tx_count),
        "payments": settlement.gross,
        "refunds": settlement.refunds,
        "cash_topups": settlement.cash_topups,
        "fee": settlement.fee,
        "carried_in": settlement.carried_in,
        "net": settlement.net,
    }


def _cell(sheet: Any, value: Cell) -> Any:
    """Return a cell of the kind it is meant to be: text stays text, money has two decimals."""
    if value is None or value == "":
        return None
    # It takes decimals, whatever its hints say.
    shown = spreadsheets.printable(value) if isinstance(value, str) else value
    cell: Any = WriteOnlyCell(sheet, value=cast(Any, shown))
    if isinstance(value, str):
        cell.data_type = "s"
    elif value.as_tuple().exponent:
        cell.number_format = "0.00"
    return cell
