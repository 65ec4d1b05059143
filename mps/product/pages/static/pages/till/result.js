// What came of a payment: one dialog, which says it once.

import { t } from "../common/i18n.js";
import { showDiscount, showMoney, showNumber, toCents } from "../common/money.js";
import { $, fill, named } from "./dom.js";

let said = "";

// What was not paid, as it waits or was reversed, has less to tell.
export function describe(paid) {
  const isLess = toCents(paid.discount_amount || "0.00") > 0n;
  const rate = paid.discount_rate ? ` (${showDiscount(paid.discount_rate)})` : "";
  return [
    [t("amount"), isLess ? showMoney(paid.amount, paid.currency) : ""],
    [t("discount"), isLess ? `− ${showMoney(paid.discount_amount, paid.currency)}${rate}` : ""],
    [t("method"), paid.payment_method ? named(paid.payment_method) : ""],
    [t("points"), paid.points_earned ? `+${showNumber(paid.points_earned)}` : ""],
    [t("tier"), paid.tier ? named(paid.tier) : ""],
    [t("balance"), paid.balance_after ? showMoney(paid.balance_after, paid.currency) : ""],
    [t("card"), paid.card_no],
    [t("number"), paid.tx_no],
    [t("order"), paid.external_order_id],
  ];
}

export function showResult(kind, sign, title, text, lines, { isBad = false, isWords = false, canAsk = false, canUndo = false }) {
  const dialog = $("result");
  dialog.className = kind;
  $("result-sign").textContent = sign;
  $("result-title").textContent = title;
  $("result-text").textContent = text;
  $("result-text").classList.toggle("words", isWords);
  fill($("result-lines"), lines);
  $("result-again").hidden = !canAsk;
  $("result-undo").hidden = !canUndo;
  $("result-close").hidden = !kind;
  $("result-close").classList.toggle("secondary", canAsk);
  $("result-close").textContent = isBad ? t("close-bad") : t("close-ok");
  if (!dialog.open) dialog.showModal();
  // Said once: a countdown that is read out every two seconds helps nobody.
  if (said === kind + title) return;
  said = kind + title;
  $("result-title").focus();
  $("live").textContent = `${title}. ${text}`;
}

export function startResult() {
  $("result-close").addEventListener("click", () => {
    $("result").close();
    if (!$("charge").hidden) $("code").focus({ preventScroll: true });
  });
  // Escape does not make a payment under way disappear; Chromium lets it, the second time.
  $("result").addEventListener("cancel", (event) => $("result-close").hidden && event.preventDefault());
  $("result").addEventListener("keydown", (event) => event.key === "Escape" && $("result-close").hidden && event.preventDefault());
  $("result").addEventListener("close", () => (said = ""));
}
