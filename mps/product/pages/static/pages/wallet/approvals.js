// Payments above the threshold wait for the member: asked for while the wallet is open, shown on top of everything.

import { Lost, Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showMoney, toCents } from "../common/money.js";
import { $, announce, clearForm, fill, onSubmit, say } from "./dom.js";
import { me, token } from "./session.js";

const EVERY = 2000;
let waiting = null;
let timer = 0;
let settled = () => {};

export function watchApprovals(whenSettled) {
  settled = whenSettled;
  onSubmit("approval-set-pin", async () => {
    await me("PUT", "/pin", { body: { password: $("approval-password").value, pin: $("approval-new-pin").value } });
    $("approval-set-pin").reset();
    askForPin(true);
  });
  $("approval-form").addEventListener("submit", approve);
  $("approval-decline").addEventListener("click", decline);
  // It waits for an answer; the Escape key is none.
  $("approval").addEventListener("cancel", (event) => event.preventDefault());
  document.addEventListener("visibilitychange", look);
  setInterval(countDown, 500);
  look();
}

export async function look() {
  clearTimeout(timer);
  if (token() && !document.hidden && navigator.onLine && !waiting) {
    try {
      const [first] = (await me("GET", "/approvals")).results;
      const hasPin = !first || (await me("GET", "")).pin_set;
      if (first && !waiting) show(first, hasPin);
    } catch {
      // Whoever shows something says what is wrong; this only looks again.
    }
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY);
}

function show(approval, hasPin) {
  waiting = approval;
  const isLess = toCents(approval.final_amount) < toCents(approval.amount);
  $("approval-amount").textContent = showMoney(approval.final_amount, approval.currency);
  fill($("approval-lines"), [
    [t("shop"), approval.merchant_name],
    [t("amount"), isLess ? showMoney(approval.amount, approval.currency) : ""],
    [t("card"), approval.card_no],
    [t("order"), approval.external_order_id],
  ]);
  $("approval-form").reset();
  clearForm("approval-set-pin");
  say($("approval-error"), "");
  countDown();
  if (!waiting) return;
  if (!$("approval").open) $("approval").showModal();
  askForPin(hasPin);
  announce($("approval-title").textContent);
}

function askForPin(hasPin) {
  $("approval-form").hidden = !hasPin;
  $("approval-set-pin").hidden = hasPin;
  say($("approval-error"), "");
  $(hasPin ? "approval-pin" : "approval-password").focus();
}

function countDown() {
  if (!waiting) return;
  const seconds = Math.max(0, Math.round((new Date(waiting.expires_at) - Date.now()) / 1000));
  $("approval-left").textContent = t("seconds-left", { seconds });
  if (seconds === 0) close(null);
}

function close(payment) {
  const about = waiting;
  waiting = null;
  $("approval").close();
  settled(about, payment);
  look();
}

async function answer(act) {
  const buttons = $("approval").querySelectorAll("button");
  buttons.forEach((each) => (each.disabled = true));
  try {
    await act();
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) close(null);
    else if (error instanceof Refusal && error.code === "PERMISSION_DENIED") askForPin(false);
    else if (error instanceof Lost || ["INVALID_CREDENTIALS", "RATE_LIMITED", "UNAVAILABLE", "INVALID_REQUEST"].includes(error.code)) {
      say($("approval-error"), explain(error));
      $("approval-pin").select();
    } else if (error.code === "NOT_AUTHENTICATED") {
      waiting = null;
      $("approval").close();
    } else {
      // The payment itself was refused; the card's page shows why.
      close(null);
    }
  } finally {
    buttons.forEach((each) => (each.disabled = false));
  }
}

function approve(event) {
  event.preventDefault();
  answer(async () => close(await me("POST", `/approvals/${waiting.id}/approve`, { body: { pin: $("approval-pin").value } })));
}

function decline() {
  answer(async () => {
    await me("POST", `/approvals/${waiting.id}/decline`, { body: {} });
    announce(t("declined"));
    close(null);
  });
}
