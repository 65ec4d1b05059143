// What the platform owes the shop, and its statements.

import { Lost, Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showMoney, showTime } from "../common/money.js";
import { $, fail, fill, named, showWait } from "./dom.js";
import { API, key, page as fetchPage, refusedKey } from "./session.js";

let nextSettlements = null;
let askedSettlements = 0;

export async function loadSettlements(url = `${API}/settlements`) {
  const mine = ++askedSettlements;
  $("more-settlements").hidden = true;
  if (url === `${API}/settlements`) $("settlement-list").replaceChildren();
  showWait("settlements-error");
  try {
    const page = (await fetchPage(url)).body;
    if (mine !== askedSettlements) return;
    fail("settlements-error", "");
    for (const each of page.results) $("settlement-list").append(settlementCard(each));
    if (!$("settlement-list").children.length) $("settlement-list").textContent = t("no-takings");
    nextSettlements = page.next ? new URL(page.next).pathname + new URL(page.next).search : null;
    $("more-settlements").hidden = !nextSettlements;
  } catch (error) {
    if (mine === askedSettlements && !refusedKey(error)) fail("settlements-error", explain(error), () => loadSettlements(url));
  }
}

function settlementCard(each) {
  const card = document.createElement("article");
  card.className = "card";
  const list = document.createElement("dl");
  fill(list, [
    [t("period"), `${showTime(each.period_start)} – ${showTime(each.period_end)}`],
    [t("state"), named(each.status)],
    [t("gross"), showMoney(each.gross, each.currency)],
    [t("refunds"), showMoney(each.refunds, each.currency)],
    [t("cash-topups"), showMoney(each.cash_topups, each.currency)],
    [t("fee"), showMoney(each.fee, each.currency)],
    [t("carried"), showMoney(each.carried_in, each.currency)],
    [t("net"), showMoney(each.net, each.currency)],
  ]);
  const row = document.createElement("div");
  row.className = "row";
  for (const form of ["csv", "xlsx"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "secondary";
    button.textContent = `${t("statement")} ${form.toUpperCase()}`;
    button.addEventListener("click", () => download(each.id, form));
    row.append(button);
  }
  card.append(list, row);
  return card;
}

async function download(id, form) {
  try {
    const response = await fetch(`${API}/settlements/${id}/statement.${form}`, { headers: { Authorization: `Bearer ${key}` }, credentials: "omit" });
    if (!response.ok) throw new Refusal(response.status, await response.json());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `statement-${id}.${form}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    if (!refusedKey(error)) fail("settlements-error", explain(error instanceof Refusal ? error : new Lost()));
  }
}

export function startSettlements() {
  $("more-settlements").addEventListener("click", () => nextSettlements && loadSettlements(nextSettlements));
}
