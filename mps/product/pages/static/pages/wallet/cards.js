// The cards, who shares them, and their top-ups.

import { Lost } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showDiscount, showLastDay, showMoney, showNumber, showTime } from "../common/money.js";
import { $, ask, clearForm, describeVoucher, fillTier, make, onSubmit, say, sayTrouble, sayWait, wrong } from "./dom.js";
import { keptCodes, tierText } from "./pay.js";
import { all, currency, me, newKey, readAmount } from "./session.js";

const TOPUP = "mps.wallet.topup";
const named = (value) => (value ? t(`value:${value}`).replace(/^value:/, "") : "");
let number = "";
let mine = "";
let changed = "";
let topupKey = null;
let offered = [];
let topupTimer = 0;

// --- the list

function tile(card) {
  const link = make("a", `tile tile-${card.card_type || "STD"}`);
  link.href = `#/card/${card.card_no}`;
  const top = make("span", "tile-top", "", make("span", "tile-name", card.name || t(`type:${card.card_type}`)));
  if (card.tier) top.append(make("span", "tile-badge", named(card.tier)));
  if (card.status !== "active") top.append(make("span", "tile-badge", named(card.status)));
  link.append(top);
  if (card.voucher) return voucherTile(card, link, top);
  if (card.balance) link.append(make("span", "tile-balance", showMoney(card.balance, currency)));
  else if (card.points !== null && card.points !== undefined) link.append(make("span", "tile-balance", t("points-count", { count: showNumber(card.points) })));
  const rest = [card.card_no];
  if (card.balance && card.points !== null && card.points !== undefined) rest.push(t("points-count", { count: showNumber(card.points) }));
  if (Number(card.discount_rate) < 1) rest.push(showDiscount(card.discount_rate));
  if (card.role !== "owner") rest.push(named(card.role));
  if (card.expires_at) rest.push(t("until", { time: showLastDay(card.expires_at) }));
  link.append(make("span", "tile-rest", rest.join(" · ")));
  const tier = make("span", "tier");
  fillTier(tier, tierText(card), card);
  if (!tier.hidden) link.append(tier);
  return make("li", "", "", link);
}

function voucherTile(card, link, top) {
  const { off, terms } = describeVoucher(card, currency);
  if (card.voucher.used) {
    top.append(make("span", "tile-badge", t("voucher-used")));
    link.classList.add("is-over");
  }
  link.append(make("span", "tile-balance", off), ...[...terms, card.card_no].map((text) => make("span", "tile-rest", text)));
  return make("li", "", "", link);
}

// What can still be used comes first.
const isOver = (card) => Number(card.status !== "active" || card.voucher.used);

export async function openCards() {
  say($("cards-text"), "");
  if (!$("card-list").children.length) sayWait($("cards-text"));
  try {
    const cards = await all("/cards");
    say($("cards-text"), "");
    $("card-list").replaceChildren(...cards.filter((each) => !each.voucher).map(tile));
    const vouchers = cards.filter((each) => each.voucher).sort((one, other) => isOver(one) - isOver(other));
    $("voucher-list").replaceChildren(...vouchers.map(tile));
    $("voucher-part").hidden = !vouchers.length;
    if (!cards.length) say($("cards-text"), t("no-cards"));
  } catch (error) {
    // Without a connection, only the cards with a code that still lives.
    const kept = Object.values(keptCodes());
    if (error instanceof Lost) {
      $("card-list").replaceChildren(...kept.map((each) => tile({ ...each.card, balance: null, points: null, next_tier: null })));
      $("voucher-part").hidden = true;
    }
    sayTrouble($("cards-text"), error instanceof Lost && !kept.length ? t("offline-none") : explain(error), openCards);
  }
}

// --- sharing

export async function openShare(cardNo) {
  number = cardNo;
  $("share-back").href = `#/card/${number}`;
  clearForm("share-invite");
  clearForm("share-password");
  $("share-change").hidden = $("share-owner").hidden = $("share-leave").hidden = true;
  $("share-list").replaceChildren();
  await loadShare();
}

async function loadShare() {
  sayWait($("share-error"));
  try {
    mine = (await me("GET", "")).number;
    const [card, bindings] = [await me("GET", `/cards/${number}`), await all(`/cards/${number}/bindings`)];
    const leads = card.role === "owner" || card.role === "admin";
    $("share-list").replaceChildren(...bindings.map((each) => shareRow(each, leads)));
    $("share-owner").hidden = !leads;
    $("share-password").hidden = card.role !== "owner";
    $("share-leave").hidden = card.role === "owner" && bindings.filter((each) => each.role === "owner").length < 2;
    say($("share-error"), "");
  } catch (error) {
    sayTrouble($("share-error"), explain(error), loadShare);
  }
}

function shareRow(binding, leads) {
  const isMe = binding.member_no === mine;
  const limits = [
    binding.limit_per_payment && t("limit-once", { amount: showMoney(binding.limit_per_payment, currency) }),
    binding.limit_per_day && t("limit-day", { amount: showMoney(binding.limit_per_day, currency) }),
  ];
  const about = [named(binding.role), ...limits].filter(Boolean).join(" · ");
  const row = make("li", "", "", make("span", "row-main", "", make("strong", "", isMe ? `${binding.name} (${t("you")})` : binding.name), make("span", "muted", `${binding.member_no} · ${about}`)));
  if (leads && !isMe) {
    const change = make("button", "small secondary", t("change"));
    change.type = "button";
    change.setAttribute("aria-label", `${t("change")}: ${binding.name}`);
    change.onclick = () => openChange(binding);
    const remove = make("button", "small secondary", t("remove"));
    remove.type = "button";
    remove.setAttribute("aria-label", `${t("remove")}: ${binding.name}`);
    remove.onclick = () => unbind(binding.member_no, t("ask-remove", { name: binding.name }));
    row.append(make("span", "row-acts", "", change, remove));
  }
  return row;
}

function openChange(binding) {
  changed = binding.member_no;
  clearForm("share-change");
  $("share-change-title").textContent = `${binding.name}, ${binding.member_no}`;
  $("share-change-role").value = binding.role;
  $("share-change-once").value = binding.limit_per_payment ?? "";
  $("share-change-day").value = binding.limit_per_day ?? "";
  $("share-change").hidden = false;
  $("share-change-title").focus();
}

function limit(id) {
  const text = $(id).value;
  if (!text.trim()) return null;
  const amount = readAmount(text);
  if (!amount) throw wrong(t("wrong-amount"));
  return amount;
}

async function unbind(memberNo, question) {
  if (!(await ask(question))) return;
  try {
    await me("DELETE", `/cards/${number}/bindings/${memberNo}`);
    if (memberNo === mine) location.hash = "#/";
    else await loadShare();
  } catch (error) {
    say($("share-error"), explain(error));
  }
}

// --- top-ups

export async function openTopUp(cardNo) {
  number = cardNo;
  clearTimeout(topupTimer);
  clearForm("topup-form");
  topupKey = null;
  $("topup-back").href = `#/card/${number}`;
  $("topup-state").hidden = true;
  $("topup-past").replaceChildren();
  $("topup-past-title").hidden = true;
  $("topup-form").hidden = true;
  await offerProviders();
  if (number !== cardNo) return;
  const begun = JSON.parse(localStorage.getItem(TOPUP) || "null");
  if (begun?.cardNo === number) await followTopUp(begun);
  await loadTopUps();
}

// Which providers there are is the installation's own choice; where there is one, there is nothing to choose.
async function offerProviders() {
  sayWait($("topup-none"));
  try {
    offered = (await me("GET", "/topup-providers")).providers;
    say($("topup-none"), "");
  } catch (error) {
    offered = [];
    const asked = number;
    sayTrouble($("topup-none"), explain(error), () => openTopUp(asked));
  }
  const known = (name) => t(`provider:${name}`).replace(/^provider:/, "");
  $("topup-form").hidden = !offered.length;
  $("topup-via").textContent = t("topup-via", { provider: known(offered[0]) });
  $("topup-via").hidden = $("topup-providers").hidden = true;
  if (offered.length === 1) $("topup-via").hidden = false;
  else if (offered.length) {
    $("topup-providers").hidden = false;
    $("topup-provider-list").replaceChildren(...offered.map((name, index) => providerChoice(name, known(name), index === 0)));
  } else if ($("topup-none").hidden) say($("topup-none"), t("topup-none"));
}

function providerChoice(name, text, isFirst) {
  const input = make("input");
  Object.assign(input, { type: "radio", name: "provider", value: name, checked: isFirst });
  return make("label", "choice", "", input, make("span", "", text));
}

const provider = () => $("topup-form").querySelector("[name=provider]:checked")?.value ?? offered[0];

export const closeTopUp = () => clearTimeout(topupTimer);

async function followTopUp(begun) {
  clearTimeout(topupTimer);
  if (number !== begun.cardNo) return;
  try {
    const found = await me("GET", `/cards/${begun.cardNo}/topups/${begun.id}`);
    const amount = showMoney(found.amount, found.currency);
    const kind = ["pending", "completed"].includes(found.status) ? found.status : "other";
    $("topup-state").hidden = false;
    $("topup-state-title").textContent = t(`topup-${kind}`);
    $("topup-state-title").className = kind === "completed" ? "good" : "";
    $("topup-state-text").textContent = t(`topup-${kind}-text`, { amount });
    $("topup-pay").hidden = !(kind === "pending" && found.pay_url);
    if (found.pay_url) $("topup-pay").href = found.pay_url;
    if (kind !== "pending") {
      localStorage.removeItem(TOPUP);
      await loadTopUps();
      return;
    }
  } catch (error) {
    if (!(error instanceof Lost)) return localStorage.removeItem(TOPUP);
  }
  if (!$("topup-state").closest("[data-view]").hidden) topupTimer = setTimeout(() => followTopUp(begun), 2000);
}

async function loadTopUps() {
  try {
    const { results } = await me("GET", `/cards/${number}/topups?limit=5`);
    $("topup-past-title").hidden = !results.length;
    $("topup-past").replaceChildren(...results.map(topUpRow));
  } catch {
    // The form says what is wrong once it is used.
  }
}

function topUpRow(each) {
  const state = make("span", "row-main", "", make("strong", "", named(each.status) || each.status), make("span", "muted", showTime(each.created_at)));
  const row = make("li", "", "", state, make("span", "row-amount", showMoney(each.amount, each.currency)));
  if (each.pay_url) {
    const onward = make("a", "button secondary", t("topup-pay"));
    onward.href = each.pay_url;
    onward.addEventListener("click", () => localStorage.setItem(TOPUP, JSON.stringify({ cardNo: number, id: each.id })));
    row.append(onward);
  }
  return row;
}

async function startTopUp() {
  const amount = readAmount($("topup-amount").value);
  if (!amount) throw wrong(t("wrong-amount"));
  const by = provider();
  // The same amount again is the same top-up until an answer came.
  if (topupKey?.amount !== amount || topupKey.by !== by) topupKey = { amount, by, key: newKey() };
  const body = { amount, provider: by, return_path: `/wallet/#/card/${number}/topup` };
  const begun = await me("POST", `/cards/${number}/topups`, { body, idempotencyKey: topupKey.key });
  topupKey = null;
  localStorage.setItem(TOPUP, JSON.stringify({ cardNo: number, id: begun.id }));
  if (begun.pay_url) location.assign(new URL(begun.pay_url, location.href));
}

export function startCards() {
  onSubmit("share-invite", async () => {
    const body = { member_no: $("share-member").value.trim().toUpperCase(), role: $("share-role").value, limit_per_day: limit("share-day") };
    try {
      await me("POST", `/cards/${number}/bindings`, { body });
    } catch (error) {
      throw error.code === "NOT_FOUND" ? wrong(t("no-member")) : error;
    }
    clearForm("share-invite");
    await loadShare();
  });
  onSubmit("share-change", async () => {
    const body = { role: $("share-change-role").value, limit_per_payment: limit("share-change-once"), limit_per_day: limit("share-change-day") };
    await me("PATCH", `/cards/${number}/bindings/${changed}`, { body });
    $("share-change").hidden = true;
    await loadShare();
    $("share-title").focus();
  });
  onSubmit("share-password", async () => {
    await me("PUT", `/cards/${number}/binding-password`, { body: { password: $("share-secret").value } });
    $("share-secret").value = "";
    return t("saved");
  });
  onSubmit("join-form", async () => {
    const cardNo = $("join-card").value.trim().toUpperCase();
    await me("POST", `/cards/${encodeURIComponent(cardNo)}/bindings`, { body: { password: $("join-password").value } });
    clearForm("join-form");
    location.hash = `#/card/${cardNo}`;
  });
  onSubmit("topup-form", startTopUp);
  $("share-change-no").onclick = () => ($("share-change").hidden = true);
  $("share-leave").onclick = () => unbind(mine, t("ask-leave"));
  $("share-secret-off").onclick = async () => {
    if (!(await ask(t("ask-no-password")))) return;
    try {
      await me("DELETE", `/cards/${number}/binding-password`);
      say($("share-password").querySelector("[data-done]"), t("saved"));
    } catch (error) {
      say($("share-password").querySelector("[data-error]"), explain(error));
    }
  };
  $("topup-form").querySelectorAll("[data-amount]").forEach((each) => (each.onclick = () => ($("topup-amount").value = each.dataset.amount)));
}
