// Take a payment. It is written down in localStorage before it is sent, with its Idempotency-Key and its order: whatever
// fails on the way, asking again is safe.

import { newKey } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showMoney, showTime } from "../common/money.js";
import { amount, clearAmount, press, showAmount, type } from "./amount.js";
import { clearCode, digitsOf, method, preview, scan, showPrice, stopCamera } from "./code.js";
import { $, alone, fail, isBusy, pause } from "./dom.js";
import { describe, showResult } from "./result.js";
import { currency, isAnswer, pos, refusedKey } from "./session.js";
import { beep } from "./sound.js";

const UNFINISHED = "mps.till.unfinished";
const RETRIES = 3;
// In seconds. A clerk with a customer before them waits no longer, whatever the server would like.
const LONGEST_PAUSE = 5;

let wantsUndo = false;

const askedFor = (attempt) => [[t("amount"), showMoney(attempt.body.amount, currency)]];

function remember(attempt) {
  localStorage.setItem(UNFINISHED, JSON.stringify(attempt));
}

function forget() {
  localStorage.removeItem(UNFINISHED);
  $("unfinished").hidden = true;
}

export function remind() {
  const attempt = JSON.parse(localStorage.getItem(UNFINISHED) || "null");
  $("unfinished").hidden = !attempt;
  if (attempt) {
    $("unfinished-text").textContent = t("unfinished-text", {
      amount: showMoney(attempt.body.amount, currency),
      order: attempt.body.external_order_id,
      time: showTime(attempt.at),
    });
  }
  return attempt;
}

async function take(event) {
  event.preventDefault();
  fail("charge-error", "");
  const entered = amount();
  if (!entered) return fail("charge-error", t("enter-amount"));
  if (isBusy()) return;
  // One at a time: writing down another would forget this one.
  if (remind()) return fail("charge-error", t("settle-first"));
  const order = $("order").value.trim() || `T${Date.now().toString(36)}-${newKey().slice(0, 8)}`.toUpperCase();
  // A voucher without a card is presented by itself, with cash or the like.
  const [code, voucher] = ["code", "voucher"].map(digitsOf);
  const attempt = {
    key: newKey(),
    at: new Date().toISOString(),
    body: {
      code: code || voucher,
      amount: entered,
      external_order_id: order,
      payment_method: method(),
      ...(code && voucher ? { voucher_code: voucher } : {}),
    },
  };
  stopCamera();
  remember(attempt);
  await finish(attempt);
}

// Send a charge, again and again with the same key, until its outcome is known or patience ends.
async function finish(attempt) {
  wantsUndo = false;
  $("take").disabled = true;
  try {
    await alone(() => send(attempt));
  } finally {
    $("take").disabled = false;
  }
}

async function send(attempt) {
  showResult("", "…", t("working"), "", askedFor(attempt), {});
  for (let tries = 0; ; ) {
    try {
      const answer = await pos("POST", "/charges", { body: attempt.body, idempotencyKey: attempt.key });
      if (answer.status !== 202) return succeed(answer.body);
      await wait(answer.body);
      if (wantsUndo) return await reverseOrder(attempt);
    } catch (error) {
      if (isAnswer(error)) return refuse(error, attempt);
      if (++tries >= RETRIES) return doubt(attempt);
      showResult("", "…", t("asking-again"), t("asking-again-text"), askedFor(attempt), {});
      await pause(Math.min(error.retryAfter || tries, LONGEST_PAUSE) * 1000);
    }
  }
}

// The member is asked; the clerk need not wait for it.
async function wait(asked) {
  const seconds = Math.max(0, Math.round((new Date(asked.expires_at) - Date.now()) / 1000));
  showResult("", "…", t("waiting"), t("waiting-text", { seconds }), [[t("to-pay"), showMoney(asked.final_amount, currency)]], { canUndo: true });
  for (let waited = 0; waited < 2000 && !wantsUndo; waited += 100) await pause(100);
}

function succeed(paid) {
  forget();
  beep(true);
  showResult("good-result", "✓", t("paid"), showMoney(paid.final_amount, paid.currency), describe(paid), {});
  clearAmount();
  $("order").value = "";
  clearCode();
}

function refuse(error, attempt) {
  // A key that is refused now says nothing of the request that was lost before: it stays written down.
  if (refusedKey(error)) return $("result").close();
  forget();
  beep(false);
  clearCode();
  showResult("bad-result", "✕", t("failed"), explain(error), askedFor(attempt), { isBad: true });
}

function doubt(attempt) {
  beep(false);
  showResult("open-result", "?", t("unknown"), t("unknown-text"), askedFor(attempt), { isBad: true, canAsk: true, canUndo: true });
  remind();
}

async function undo() {
  const attempt = remind();
  if (isBusy() || !attempt) {
    wantsUndo = isBusy();
    return;
  }
  await alone(() => reverseOrder(attempt));
}

async function reverseOrder(attempt) {
  try {
    await pos("POST", `/orders/${encodeURIComponent(attempt.body.external_order_id)}/reverse`, { body: {} });
    forget();
    clearCode();
    showResult("good-result", "↩", t("undone"), t("undone-text"), [], { isWords: true });
  } catch (error) {
    if (refusedKey(error)) return $("result").close();
    showResult("open-result", "?", t("unknown"), explain(error), askedFor(attempt), { isBad: true, canAsk: true, canUndo: true });
    remind();
  }
}

export function startCharge() {
  $("keypad").addEventListener("click", (event) => {
    const what = event.target.dataset.key;
    if (!what) return;
    press(what);
    showPrice();
  });
  $("amount").addEventListener("input", () => {
    type($("amount").value);
    showPrice();
  });
  $("amount-shown").addEventListener("click", () => $("amount").focus());
  $("amount").addEventListener("keydown", (event) => event.key === "Enter" && ($("code").focus(), event.preventDefault()));
  $("code").addEventListener("input", preview);
  $("charge-form").addEventListener("submit", take);
  $("scan").addEventListener("click", scan);
  $("camera-stop").addEventListener("click", stopCamera);
  for (const id of ["result-again", "unfinished-retry"]) {
    $(id).addEventListener("click", () => {
      const attempt = remind();
      if (attempt && !isBusy()) finish(attempt);
    });
  }
  for (const id of ["result-undo", "unfinished-undo"]) $(id).addEventListener("click", undo);
  showAmount();
}
