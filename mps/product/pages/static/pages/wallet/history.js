// What was paid, given back and topped up; by card and kind at the server, by text among what was fetched.

import { explain, t } from "../common/i18n.js";
import { showMoney, showNumber, showTime } from "../common/money.js";
import { $, fill, make, say, sayWait } from "./dom.js";
import { describe } from "./pay.js";
import { all, me, relative } from "./session.js";

const named = (value) => (value ? t(`value:${value}`).replace(/^value:/, "") : "");
// The year and the rest stand in the details.
const SHORT = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
let rows = [];
let next = "";
let asked = 0;
let loading = false;

export async function openHistory(cardNo = "") {
  $("history-search").value = "";
  $("history-type").value = "";
  const choose = $("history-card");
  rows = [];
  $("history-list").replaceChildren();
  $("history-more").hidden = true;
  sayWait($("history-text"));
  try {
    const cards = await all("/cards");
    choose.replaceChildren(choose.options[0], ...cards.map((each) => new Option(each.name ? `${each.name} (${each.card_no})` : each.card_no, each.card_no)));
  } catch {
    // The list below says what is wrong.
  }
  choose.value = cardNo;
  if (choose.selectedIndex < 0) choose.selectedIndex = 0;
  await reload();
}

async function reload() {
  rows = [];
  $("history-list").replaceChildren();
  $("history-more").hidden = true;
  sayWait($("history-text"));
  const query = new URLSearchParams({ limit: "30" });
  if ($("history-card").value) query.set("card_no", $("history-card").value);
  if ($("history-type").value) query.set("type", $("history-type").value);
  next = `/transactions?${query}`;
  loading = false;
  asked += 1;
  await more();
}

async function more() {
  if (!next || loading) return;
  const mine = asked;
  loading = true;
  try {
    const page = await me("GET", next);
    if (mine !== asked) return;
    rows.push(...page.results);
    next = page.next ? relative(page.next) : "";
    $("history-list").append(...page.results.map(line));
    loading = false;
    filter();
  } catch (error) {
    if (mine !== asked) return;
    loading = false;
    say($("history-text"), explain(error));
    $("history-more").textContent = t("try-again");
    $("history-more").hidden = false;
  }
}

// Points are adjusted, money is not: there it is a top-up taken back.
const kind = (each) => (each.type === "adjustment" && Number(each.final_amount) ? t("topup-undone") : named(each.type));

function line(each) {
  const isIn = each.type === "refund" || each.type === "recharge";
  const state = each.status === "completed" ? "" : named(each.status);
  const main = make("span", "row-main", "", make("strong", "", each.merchant_name || kind(each)), make("span", "muted", [showTime(each.created_at, SHORT), each.merchant_name && each.type !== "payment" ? kind(each) : "", state].filter(Boolean).join(" · ")));
  const amount = make("span", `row-amount${isIn ? " good" : ""}${each.status === "failed" ? " struck" : ""}`, `${isIn ? "+" : ""}${showMoney(each.final_amount, each.currency)}`);
  const summary = make("summary", "", "", main, amount);
  const list = make("dl");
  const failure = each.failure_code ? [["", explain({ code: each.failure_code, message: each.failure_code })]] : [];
  fill(list, [...describe(each), ...failure]);
  const item = make("li", "", "", make("details", "", "", summary, list));
  item.dataset.text = [each.merchant_name, each.merchant_code, each.tx_no, each.card_no, each.external_order_id, each.final_amount, each.amount, kind(each), showTime(each.created_at), each.points ? showNumber(each.points) : ""].filter(Boolean).join(" ").toLowerCase();
  return item;
}

function filter() {
  const words = $("history-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const item of $("history-list").children) {
    item.hidden = !words.every((word) => item.dataset.text.includes(word));
    if (!item.hidden) count += 1;
  }
  $("history-more").textContent = t("show-more");
  $("history-more").hidden = !next;
  // Nothing so far: what is older is looked through, too.
  if (!count && next && words.length) {
    say($("history-text"), t("searching"));
    $("history-more").hidden = true;
    more();
    return;
  }
  say($("history-text"), count ? (next ? "" : t("history-end")) : words.length && rows.length ? t("no-match") : next ? "" : t("no-history"));
}

export function startHistory() {
  $("history-search").addEventListener("input", filter);
  $("history-card").addEventListener("change", reload);
  $("history-type").addEventListener("change", reload);
  $("history-more").addEventListener("click", more);
  // Reaching the end of the list asks for more of it.
  new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && more(), { rootMargin: "300px" }).observe($("history-more"));
}
