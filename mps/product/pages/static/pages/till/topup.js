// Top up a card for cash.

import { newKey } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showMoney } from "../common/money.js";
import { $, during, fail, readAmount } from "./dom.js";
import { showResult } from "./result.js";
import { currency, isAnswer, pos, refusedKey } from "./session.js";
import { beep } from "./sound.js";

const TOPUP = "mps.till.topup";
// The same card and amount after that is another customer's, or another day's, cash.
const TOPUP_OPEN_MILLISECONDS = 15 * 60 * 1000;

async function topUp(event) {
  event.preventDefault();
  fail("topup-error", "");
  const amount = readAmount($("topup-amount").value);
  if (!amount) return fail("topup-error", t("wrong-amount"));
  await during($("topup-form").querySelector("[type=submit]"), () => credit(amount));
}

async function credit(amount) {
  const which = $("topup-card").value.trim().toUpperCase();
  const body = /^[A-Z]/.test(which) ? { card_no: which, amount } : { code: which.replace(/\D/g, ""), amount };
  // The same key for the same wish until there is an answer: asking again is safe, after a reload as well.
  const wish = JSON.stringify(body);
  let open = JSON.parse(localStorage.getItem(TOPUP) || "null");
  if (open?.wish !== wish || Date.now() - open.at > TOPUP_OPEN_MILLISECONDS) {
    open = { wish, key: newKey(), at: Date.now() };
    localStorage.setItem(TOPUP, JSON.stringify(open));
  }
  try {
    const done = (await pos("POST", "/topups", { body, idempotencyKey: open.key })).body;
    beep(true);
    showResult("good-result", "✓", t("topped-up"), showMoney(done.amount, currency), [[t("card"), done.card_no], [t("number"), done.tx_no]], {});
    $("topup-form").reset();
    localStorage.removeItem(TOPUP);
  } catch (error) {
    if (isAnswer(error) && error.status !== 401) localStorage.removeItem(TOPUP);
    if (!refusedKey(error)) fail("topup-error", isAnswer(error) ? explain(error) : t("topup-open"));
  }
}

export function startTopUp() {
  $("topup-form").addEventListener("submit", topUp);
}
