// The takings of a day: sums, and each transaction.

import { explain, t } from "../common/i18n.js";
import { showMoney, showNumber, showTime } from "../common/money.js";
import { $, addCell, alone, cells, fail, isBusy, link, named, showWait, sure } from "./dom.js";
import { showResult } from "./result.js";
import { API, currency, page as fetchPage, pos, refusedKey } from "./session.js";

let nextLines = null;
// Which asking is the newest: an answer to an older one comes too late.
let asked = 0;
let openPayment = () => {};

export async function loadDay() {
  const mine = ++asked;
  showWait("today-error");
  try {
    const summary = (await pos("GET", $("day").value ? `/summary?date=${$("day").value}` : "/summary")).body;
    if (mine !== asked) return;
    const day = ($("day").value = summary.date);
    $("summary").replaceChildren();
    for (const line of summary.lines) {
      cells($("summary").insertRow(), [
        [named(line.type)],
        [line.payment_method ? named(line.payment_method) : "–"],
        [showNumber(line.count), true],
        [showMoney(line.amount), true],
        [showMoney(line.final_amount), true],
      ]);
    }
    if (!summary.lines.length) {
      cells($("summary").insertRow(), [[t("no-takings")]]);
      $("summary").rows[0].cells[0].colSpan = 5;
    }
    $("summary-card").hidden = false;
    $("lines-card").hidden = $("more").hidden = true;
    nextLines = `${API}/transactions?date=${day}`;
    $("lines").replaceChildren();
    await loadLines(mine);
  } catch (error) {
    if (mine === asked) failDay(error, loadDay);
  }
}

function failDay(error, again) {
  if (!refusedKey(error)) fail("today-error", explain(error), again);
}

async function loadLines(mine) {
  const page = (await fetchPage(nextLines)).body;
  if (mine !== asked) return;
  fail("today-error", "");
  for (const line of page.results) {
    const row = $("lines").insertRow();
    const number = addCell(row);
    if (line.type === "payment") {
      number.append(link(line.tx_no, () => openPayment(line.tx_no)));
    } else number.textContent = line.tx_no;
    if (line.type === "recharge" && line.status === "completed") {
      number.append(" ", link(t("undo"), () => undoTopUp(line.tx_no, line.final_amount)));
    }
    cells(row, [[showTime(line.created_at, { timeStyle: "short" })], [named(line.type)], [named(line.status)], [line.status === "failed" ? "–" : showMoney(line.final_amount), true]]);
  }
  nextLines = page.next ? new URL(page.next).pathname + new URL(page.next).search : null;
  $("more").hidden = !nextLines;
  $("lines-card").hidden = !$("lines").rows.length;
}

// Pressing twice asks once.
async function loadMore() {
  const mine = ++asked;
  showWait("more-text");
  $("more").hidden = true;
  try {
    await loadLines(mine);
    fail("more-text", "");
  } catch (error) {
    fail("more-text", "");
    if (mine === asked && !refusedKey(error)) fail("more-text", explain(error), loadMore);
  }
}

// Cash that was taken by mistake goes back, as long as it is on the card and the day is not over.
async function undoTopUp(number, amount) {
  if (isBusy() || !(await sure(t("sure-topup", { amount: showMoney(amount, currency) })))) return;
  await alone(async () => {
    try {
      await pos("POST", `/topups/${number}/reverse`, { body: {} });
      showResult("good-result", "↩", t("undone"), showMoney(amount, currency), [[t("number"), number]], {});
      await loadDay();
    } catch (error) {
      if (!refusedKey(error)) fail("today-error", explain(error));
    }
  });
}

export function startToday(open) {
  openPayment = open;
  $("day").addEventListener("change", loadDay);
  $("more").addEventListener("click", loadMore);
}
