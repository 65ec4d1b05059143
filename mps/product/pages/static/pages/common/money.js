// Amounts are strings with two decimals, as the API gives them; sums are made in whole cents.

import { t } from "./i18n.js";

const locale = document.documentElement.lang || "en";

export function toCents(amount) {
  const [whole, part = ""] = String(amount).split(".");
  return BigInt(whole) * 100n + BigInt((part + "00").slice(0, 2)) * (whole.startsWith("-") ? -1n : 1n);
}

export function fromCents(cents) {
  const sign = cents < 0n ? "-" : "";
  const size = cents < 0n ? -cents : cents;
  return `${sign}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
}

export function showMoney(amount, currency) {
  if (amount === null || amount === undefined) return "–";
  return new Intl.NumberFormat(locale, currency ? { style: "currency", currency, currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(String(amount));
}

export function showNumber(number) {
  return new Intl.NumberFormat(locale).format(number);
}

// "one, two or three"
export const showList = (texts) => new Intl.ListFormat(locale, { type: "disjunction" }).format(texts);

export function showTime(text, options = { dateStyle: "medium", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(locale, options).format(new Date(text));
}

// The day of the last moment before an end: at midnight, the day before.
export const showLastDay = (end) => showTime(new Date(end).getTime() - 1, { dateStyle: "medium" });

// What a rate takes off: 0.85 is "15% off". Chinese names what is left to pay: "85 折", and "9 折" for 0.9.
export function showDiscount(rate) {
  const basis = Math.round(Number(rate) * 10000);
  if (locale.startsWith("zh") && basis > 0) return `${basis % 1000 ? basis / 100 : basis / 1000} 折`;
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 });
  return t("off", { off: percent.format((10000 - basis) / 10000) });
}
