// The till: every act is one call of the public POS API, with the terminal's key.
//
// The key lies in localStorage: a till is a device of its own, and is to work after a reload. A charge is written down
// there, too, before it is sent, with its Idempotency-Key and its order: whatever fails on the way, asking again is safe.

import { call, Lost, newKey, Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { fromCents, showMoney, showNumber, showPercentOff, showTime, toCents } from "../common/money.js";
import { beep } from "./sound.js";
import { startScanner, stopScanner } from "./scanner.js";

const API = "/api/v1/pos";
const KEY = "mps.till.key";
const UNFINISHED = "mps.till.unfinished";
const RETRIES = 3;
// In seconds. A clerk with a customer before them waits no longer, whatever the server would like.
const LONGEST_PAUSE = 5;
const TOPUP = "mps.till.topup";
// The same card and amount after that is another customer's, or another day's, cash.
const TOPUP_OPEN_MILLISECONDS = 15 * 60 * 1000;
const $ = (id) => document.getElementById(id);

let key = localStorage.getItem(KEY) || "";
let currency = "";
let digits = "";
let found = null;
let busy = false;
let wantsUndo = false;
let said = "";
// What the code on the screen is good for, as the server said.
let seen = null;

const pos = (method, path, options = {}) => call(method, API + path, { token: key, ...options });
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const named = (value) => (value ? t(`value:${value}`).replace(/^value:/, "") : "–");

function fail(id, text, again) {
  const place = $(id);
  place.textContent = text;
  place.hidden = !text;
  place.classList.remove("wait");
  place.removeAttribute("aria-busy");
  if (again) place.append(" ", link(t("try-again"), again));
}

// Something is being fetched.
function showWait(id) {
  fail(id, t("working"));
  $(id).classList.add("wait");
  $(id).setAttribute("aria-busy", "true");
}

// One act at a time; its button shows that it is under way.
async function during(button, act) {
  if (busy) return;
  busy = true;
  button.setAttribute("aria-busy", "true");
  try {
    await act();
  } finally {
    busy = false;
    button.removeAttribute("aria-busy");
  }
}

function fill(list, pairs) {
  list.replaceChildren();
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    const term = document.createElement("dt");
    term.textContent = name;
    const text = document.createElement("dd");
    text.textContent = value;
    list.append(term, text);
  }
}

// A cell that knows its column's name: on a narrow screen it stands above it.
function addCell(row) {
  const cell = row.insertCell();
  cell.dataset.label = row.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
  return cell;
}

function cells(row, values) {
  values.forEach(([text, isNumber]) => {
    const cell = addCell(row);
    cell.textContent = text;
    cell.classList.toggle("number", Boolean(isNumber));
  });
}

// Digits and at most two decimals, as the API takes them; null for anything else.
function readAmount(text, least = 1n) {
  const plain = text.trim().replace(",", ".");
  return /^\d{1,12}(\.\d{1,2})?$/.test(plain) && toCents(plain) >= least ? fromCents(toCents(plain)) : null;
}

// --- pairing

async function pair(candidate) {
  key = candidate.trim();
  // Without a day it is the shop's own today, wherever this device believes it is.
  const today = (await pos("GET", "/summary")).body;
  currency = today.currency;
  $("day").value = today.date;
  $("currency").textContent = currency;
  localStorage.setItem(KEY, key);
}

function showPairing(text = "") {
  $("pair").hidden = false;
  $("tabs").hidden = true;
  document.querySelectorAll("[data-panel]").forEach((panel) => (panel.hidden = true));
  $("unfinished").hidden = true;
  fail("pair-error", text);
  $("pair-key").focus();
}

function openTill() {
  $("pair").hidden = true;
  $("tabs").hidden = false;
  show("charge");
  remind();
}

function show(name) {
  stopCamera();
  document.querySelectorAll("[data-panel]").forEach((panel) => (panel.hidden = panel.id !== name));
  document.querySelectorAll("[data-tab]").forEach((tab) => {
    if (tab.dataset.tab === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  });
  if (name === "charge") $("code").focus({ preventScroll: true });
  if (name === "today") loadDay();
  if (name === "settlements") loadSettlements();
}

function refusedKey(error) {
  if (!(error instanceof Refusal) || error.status !== 401) return false;
  localStorage.removeItem(KEY);
  key = "";
  showPairing(t("wrong-key"));
  return true;
}

// --- the amount

function showAmount() {
  fail("charge-error", "");
  $("amount-shown").textContent = showMoney(fromCents(BigInt(digits || "0")));
  $("amount").value = digits ? fromCents(BigInt(digits)) : "";
}

function press(what) {
  if (what === "back") digits = digits.slice(0, -1);
  else if ((digits + what).length <= 9) digits = (digits + what).replace(/^0+/, "");
  showAmount();
  showPrice();
}

// --- the charge

function remember(attempt) {
  localStorage.setItem(UNFINISHED, JSON.stringify(attempt));
}

function forget() {
  localStorage.removeItem(UNFINISHED);
  $("unfinished").hidden = true;
}

function remind() {
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
  const amount = readAmount(digits ? fromCents(BigInt(digits)) : "");
  if (!amount) return fail("charge-error", t("enter-amount"));
  if (busy) return;
  // One at a time: writing down another would forget this one.
  if (remind()) return fail("charge-error", t("settle-first"));
  const order = $("order").value.trim() || `T${Date.now().toString(36)}-${newKey().slice(0, 8)}`.toUpperCase();
  // A voucher without a card is presented by itself, with cash or the like.
  const [code, voucher] = ["code", "voucher"].map((id) => $(id).value.replace(/\D/g, ""));
  const attempt = {
    key: newKey(),
    at: new Date().toISOString(),
    body: {
      code: code || voucher,
      amount,
      external_order_id: order,
      payment_method: document.querySelector("[name=method]:checked").value,
      ...(code && voucher ? { voucher_code: voucher } : {}),
    },
  };
  stopCamera();
  remember(attempt);
  await finish(attempt);
}

// Send a charge, again and again with the same key, until its outcome is known or patience ends.
async function finish(attempt) {
  busy = true;
  wantsUndo = false;
  $("take").disabled = true;
  showResult("", "…", t("working"), "", askedFor(attempt), {});
  try {
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
  } finally {
    busy = false;
    $("take").disabled = false;
  }
}

// Whether the server has said no. A failure of its own, or of something between, is no answer.
function isAnswer(error) {
  return error instanceof Refusal && error.status < 500 && error.status !== 429;
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
  digits = "";
  showAmount();
  $("order").value = "";
  clearCode();
}

// A code that was shown is burnt, whatever came of it: the next attempt wants a new one.
function clearCode() {
  $("code").value = $("voucher").value = "";
  $("code").required = true;
  seen = null;
  showPrice();
}

// What was not paid, as it waits or was reversed, has less to tell.
function describe(paid) {
  const isLess = toCents(paid.discount_amount || "0.00") > 0n;
  const rate = paid.discount_rate ? ` (${showPercentOff(paid.discount_rate)})` : "";
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

const askedFor = (attempt) => [[t("amount"), showMoney(attempt.body.amount, currency)]];

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
  if (busy || !attempt) {
    wantsUndo = busy;
    return;
  }
  busy = true;
  try {
    await reverseOrder(attempt);
  } finally {
    busy = false;
  }
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

function showResult(kind, sign, title, text, lines, { isBad = false, isWords = false, canAsk = false, canUndo = false }) {
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

// What a code would bring, before it is charged. Does not burn it.
async function preview() {
  const code = $("code").value.replace(/\D/g, "");
  seen = null;
  showPrice();
  if (code.length !== 20) return;
  try {
    const card = (await pos("POST", "/codes/validate", { body: { code } })).body;
    // Another code may stand there by now.
    if (code !== $("code").value.replace(/\D/g, "")) return;
    seen = card;
    const method = document.querySelector("[name=method]:checked").value;
    if (["STD", "VCH"].includes(card.card_type) && method === "balance") choose("cash");
    if (card.card_type === "VCH") keepVoucher(code);
    if (["PPD", "COR"].includes(card.card_type)) choose("balance");
    showPrice();
  } catch (error) {
    if (!refusedKey(error)) $("preview").textContent = explain(error);
  }
}

// A voucher goes to its own field, so that the card can be scanned next.
function keepVoucher(code) {
  $("voucher").value = code;
  $("voucher").closest("details").open = true;
  $("code").value = "";
  $("code").required = false;
}

function choose(method) {
  document.querySelector(`[name=method][value=${method}]`).checked = true;
}

function showPrice() {
  if (!seen) return ($("preview").textContent = "");
  if (seen.card_type === "VCH") return ($("preview").textContent = t("preview-voucher", { card: seen.card_no }));
  const cents = BigInt(digits || "0");
  const basis = BigInt(Math.round(Number(seen.discount_rate) * 10000));
  const text = t(basis < 10000n ? "preview" : "preview-none", {
    card: seen.card_no,
    tier: named(seen.tier),
    off: showPercentOff(seen.discount_rate),
  });
  const price = showMoney(fromCents((cents * basis + 5000n) / 10000n), currency);
  $("preview").textContent = cents ? `${text} → ${price}` : text;
}

// --- the camera

function stopCamera() {
  stopScanner($("video"));
  $("camera").hidden = true;
}

async function scan() {
  $("camera").hidden = $("video").hidden = false;
  $("camera-text").textContent = t("camera-look");
  try {
    await startScanner($("video"), $("script").dataset, (text) => {
      const code = text.replace(/\D/g, "");
      if (code.length !== 20) return false;
      $("code").value = code;
      stopCamera();
      beep(true);
      preview();
      return true;
    });
  } catch {
    stopScanner($("video"));
    $("video").hidden = true;
    $("camera-text").textContent = t("camera-off");
  }
}

// --- find, refund, reverse

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
  if (busy || !(await sure(t("sure-reverse", { order: found.external_order_id })))) return;
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

// --- top up

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

// Cash that was taken by mistake goes back, as long as it is on the card and the day is not over.
async function undoTopUp(number, amount) {
  if (busy || !(await sure(t("sure-topup", { amount: showMoney(amount, currency) })))) return;
  busy = true;
  try {
    await pos("POST", `/topups/${number}/reverse`, { body: {} });
    showResult("good-result", "↩", t("undone"), showMoney(amount, currency), [[t("number"), number]], {});
    await loadDay();
  } catch (error) {
    if (!refusedKey(error)) fail("today-error", explain(error));
  } finally {
    busy = false;
  }
}

// Ask before what cannot be taken back.
function sure(text) {
  const dialog = $("sure");
  $("sure-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// --- takings and settlements

let nextLines = null;
// Which asking is the newest: an answer to an older one comes too late.
let asked = 0;

async function loadDay() {
  const mine = ++asked;
  showWait("today-error");
  try {
    const summary = (await pos("GET", $("day").value ? `/summary?date=${$("day").value}` : "/summary")).body;
    if (mine !== asked) return;
    const day = ($("day").value = summary.date);
    $("summary").replaceChildren();
    for (const line of summary.lines) {
      cells($("summary").insertRow(), [
        [named(line.type)],
        [line.payment_method ? named(line.payment_method) : "–"],
        [showNumber(line.count), true],
        [showMoney(line.amount), true],
        [showMoney(line.final_amount), true],
      ]);
    }
    if (!summary.lines.length) {
      cells($("summary").insertRow(), [[t("no-takings")]]);
      $("summary").rows[0].cells[0].colSpan = 5;
    }
    $("summary-card").hidden = false;
    $("lines-card").hidden = $("more").hidden = true;
    nextLines = `${API}/transactions?date=${day}`;
    $("lines").replaceChildren();
    await loadLines(mine);
  } catch (error) {
    if (mine === asked) failDay(error, loadDay);
  }
}

function failDay(error, again) {
  if (!refusedKey(error)) fail("today-error", explain(error), again);
}

function link(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

async function loadLines(mine) {
  const page = (await call("GET", nextLines, { token: key })).body;
  if (mine !== asked) return;
  fail("today-error", "");
  for (const line of page.results) {
    const row = $("lines").insertRow();
    const number = addCell(row);
    if (line.type === "payment") {
      number.append(link(line.tx_no, () => {
        $("find-text").value = line.tx_no;
        show("find");
        find();
      }));
    } else number.textContent = line.tx_no;
    if (line.type === "recharge" && line.status === "completed") {
      number.append(" ", link(t("undo"), () => undoTopUp(line.tx_no, line.final_amount)));
    }
    cells(row, [[showTime(line.created_at, { timeStyle: "short" })], [named(line.type)], [named(line.status)], [line.status === "failed" ? "–" : showMoney(line.final_amount), true]]);
  }
  nextLines = page.next ? new URL(page.next).pathname + new URL(page.next).search : null;
  $("more").hidden = !nextLines;
  $("lines-card").hidden = !$("lines").rows.length;
}

// Pressing twice asks once.
async function loadMore() {
  const mine = ++asked;
  showWait("more-text");
  $("more").hidden = true;
  try {
    await loadLines(mine);
    fail("more-text", "");
  } catch (error) {
    fail("more-text", "");
    if (mine === asked && !refusedKey(error)) fail("more-text", explain(error), loadMore);
  }
}

let nextSettlements = null;
let askedSettlements = 0;

async function loadSettlements(url = `${API}/settlements`) {
  const mine = ++askedSettlements;
  $("more-settlements").hidden = true;
  if (url === `${API}/settlements`) $("settlement-list").replaceChildren();
  showWait("settlements-error");
  try {
    const page = (await call("GET", url, { token: key })).body;
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

// --- everything in its place

$("pair-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  fail("pair-error", "");
  during($("pair-form").querySelector("[type=submit]"), async () => {
    try {
      await pair($("pair-key").value);
      $("pair-key").value = "";
      openTill();
    } catch (error) {
      key = "";
      fail("pair-error", error instanceof Refusal && error.status === 401 ? t("wrong-key") : explain(error));
    }
  });
});
$("unpair").addEventListener("click", async () => {
  if (!(await sure(t("sure-unpair")))) return;
  localStorage.removeItem(KEY);
  key = "";
  showPairing();
});
$("tabs").addEventListener("click", (event) => event.target.dataset.tab && show(event.target.dataset.tab));
$("keypad").addEventListener("click", (event) => {
  const what = event.target.dataset.key;
  if (what) press(what);
});
$("amount").addEventListener("input", () => {
  digits = $("amount").value.replace(/\D/g, "").replace(/^0+/, "").slice(0, 9);
  showAmount();
  showPrice();
});
$("amount-shown").addEventListener("click", () => $("amount").focus());
$("amount").addEventListener("keydown", (event) => event.key === "Enter" && ($("code").focus(), event.preventDefault()));
$("code").addEventListener("input", preview);
$("charge-form").addEventListener("submit", take);
$("scan").addEventListener("click", scan);
$("camera-stop").addEventListener("click", stopCamera);
$("find-form").addEventListener("submit", find);
$("refund-form").addEventListener("submit", refund);
$("reverse").addEventListener("click", reverse);
$("topup-form").addEventListener("submit", topUp);
$("day").addEventListener("change", loadDay);
$("more").addEventListener("click", loadMore);
$("more-settlements").addEventListener("click", () => nextSettlements && loadSettlements(nextSettlements));
$("result-close").addEventListener("click", () => {
  $("result").close();
  if (!$("charge").hidden) $("code").focus({ preventScroll: true });
});
// Escape does not make a payment under way disappear; Chromium lets it, the second time.
$("result").addEventListener("cancel", (event) => $("result-close").hidden && event.preventDefault());
$("result").addEventListener("keydown", (event) => event.key === "Escape" && $("result-close").hidden && event.preventDefault());
$("result").addEventListener("close", () => (said = ""));
for (const id of ["result-again", "unfinished-retry"]) {
  $(id).addEventListener("click", () => {
    const attempt = remind();
    if (attempt && !busy) finish(attempt);
  });
}
for (const id of ["result-undo", "unfinished-undo"]) $(id).addEventListener("click", undo);

showAmount();
if (key) {
  pair(key).then(openTill, (error) => {
    if (refusedKey(error)) return;
    openTill();
    fail("charge-error", explain(error));
  });
} else showPairing();
