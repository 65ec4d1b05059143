// The amount: digits from the keypad or the keyboard, in cents.

import { fromCents, showMoney } from "../common/money.js";
import { $, fail, readAmount } from "./dom.js";

let digits = "";

export const cents = () => BigInt(digits || "0");
export const amount = () => readAmount(digits ? fromCents(cents()) : "");

export function showAmount() {
  fail("charge-error", "");
  $("amount-shown").textContent = showMoney(fromCents(cents()));
  $("amount").value = digits ? fromCents(cents()) : "";
}

export function press(what) {
  if (what === "back") digits = digits.slice(0, -1);
  else if ((digits + what).length <= 9) digits = (digits + what).replace(/^0+/, "");
  showAmount();
}

export function type(text) {
  digits = text.replace(/\D/g, "").replace(/^0+/, "").slice(0, 9);
  showAmount();
}

export function clearAmount() {
  digits = "";
  showAmount();
}
