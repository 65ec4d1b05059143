// Find a payment, give money back, reverse an order.

import { newKey } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { fromCents, showMoney, showNumber, showTime, toCents } from "../common/money.js";
import { $, during, fail, fill, isBusy, named, readAmount, showWait, sure } from "./dom.js";
import { describe, showResult } from "./result.js";
import { currency, isAnswer, pos, refusedKey } from "./session.js";
import { beep } from "./sound.js";

let found = null;

async function find(event) {
  event?.preventDefault();
  fail("find-error", "");
  $("found").hidden = true;
  const text = $("find-text").value.trim();
  showWait("find-error");
  const path = /^PAY\d{10,}$/.test(text) ? `/charges/${text}` : `/charges?external_order_id=${encodeURIComponent(text)}`;
  try {
    found = (await pos("GET", path)).body;
    fail("find-error", "");
    showFound();
  } catch (error) {
    if (!refusedKey(error)) fail("find-error", error.code === "NOT_FOUND" ? t("error:ORIGINAL_TX_NOT_FOUND") : explain(error));
  }
}

function showFound() {
  const remaining = fromCents(toCents(found.final_amount || "0.00") - toCents(found.refunded_total));
  const list = document.createElement("dl");
  fill(list, [
    [t("state"), `${named(found.status)}${found.failure_code ? `: ${t(`error:${found.failure_code}`).replace(/^error:/, "")}` : ""}`],
    [t("time"), showTime(found.created_at)],
    [t("to-pay"), found.final_amount && showMoney(found.final_amount, found.currency)],
    ...describe(found),
    ...found.refunds.map((each) => [t("refunds"), [each.tx_no, showMoney(each.amount, found.currency), each.credited_to === "unclaimed" ? named("unclaimed") : ""].filter(Boolean).join(" · ")]),
    [t("remaining"), found.status === "completed" ? showMoney(remaining, found.currency) : ""],
  ]);
  $("found-details").replaceChildren(list);
  $("refund-form").hidden = found.status !== "completed";
  $("refund-amount").value = remaining;
  $("reverse").hidden = !found.external_order_id;
  $("found").hidden = false;
  // One key for one refund: pressing twice gives back once.
  $("refund-form").dataset.key = newKey();
  fail("refund-error", "");
}

async function refund(event) {
  event.preventDefault();
  fail("refund-error", "");
  // Of a payment of nothing, nothing goes back but its points and its voucher.
  const amount = readAmount($("refund-amount").value, toCents(found.final_amount) ? 1n : 0n);
  if (!amount) return fail("refund-error", t("wrong-amount"));
  await during($("refund-form").querySelector("[type=submit]"), () => giveBack(amount));
}

async function giveBack(amount) {
  try {
    const back = (
      await pos("POST", `/charges/${found.tx_no}/refunds`, {
        body: { amount, reason: $("refund-reason").value },
        idempotencyKey: $("refund-form").dataset.key,
      })
    ).body;
    beep(true);
    showResult("good-result", "↩", t("refunded"), showMoney(back.amount, currency), [
      [t("number"), back.tx_no],
      [t("points"), back.points_reversed ? `−${showNumber(back.points_reversed)}` : ""],
      [t("remaining"), showMoney(back.remaining, currency)],
      ["", back.credited_to === "unclaimed" ? named("unclaimed") : ""],
    ], {});
    $("refund-reason").value = "";
    await find();
  } catch (error) {
    // Refused: the next press is another refund. Lost: it is the same one, and has the same key.
    if (isAnswer(error)) $("refund-form").dataset.key = newKey();
    if (!refusedKey(error)) fail("refund-error", explain(error));
  }
}

async function reverse() {
  if (isBusy() || !(await sure(t("sure-reverse", { order: found.external_order_id })))) return;
  fail("refund-error", "");
  await during($("reverse"), async () => {
    try {
      await pos("POST", `/orders/${encodeURIComponent(found.external_order_id)}/reverse`, { body: {} });
      showResult("good-result", "↩", t("undone"), t("undone-text"), [], { isWords: true });
      await find();
    } catch (error) {
      if (!refusedKey(error)) fail("refund-error", explain(error));
    }
  });
}

export function findPayment(number) {
  $("find-text").value = number;
  find();
}

export function startFind() {
  $("find-form").addEventListener("submit", find);
  $("refund-form").addEventListener("submit", refund);
  $("reverse").addEventListener("click", reverse);
}
