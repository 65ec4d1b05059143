// A card's payment code: shown, renewed before it ends, turned into a receipt once the till has charged.
//
// The code on the screen and its pictures are kept in localStorage until their time is over, so that they can be shown
// without a connection. Nothing else the API says is kept.

import { Lost, Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showDiscount, showMoney, showNumber, showTime, toCents } from "../common/money.js";
import { $, announce, ask, describeVoucher, fill, fillTier, make, say } from "./dom.js";
import { currency, me, picture, showOnline } from "./session.js";

const STORE = "mps.wallet.codes";
const RENEW_BEFORE = 15_000;
const POLL_EVERY = 2000;
const VERIFY_EVERY = 5;

let cardNo = "";
let card = null;
let shown = null;
let polls = 0;
let ticker = 0;
let poller = 0;
let renewing = null;
let pictures = [];

const named = (value) => (value ? t(`value:${value}`).replace(/^value:/, "") : "");
const left = () => (shown ? shown.deadline - Date.now() : 0);
const clock = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  const rest = `${String(Math.floor(seconds / 60) % 60).padStart(hours ? 2 : 1, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest}` : rest;
};

// --- what is kept for the time without a connection

export function keptCodes() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(STORE) || "{}");
  } catch {
    kept = {};
  }
  const live = Object.fromEntries(Object.entries(kept).filter(([, each]) => each.deadline > Date.now()));
  if (Object.keys(live).length !== Object.keys(kept).length) write(live);
  return live;
}

function write(codes) {
  if (Object.keys(codes).length) localStorage.setItem(STORE, JSON.stringify(codes));
  else localStorage.removeItem(STORE);
}

const keep = (each) => write({ ...keptCodes(), [each.cardNo]: each });

function drop(number) {
  const kept = keptCodes();
  delete kept[number];
  write(kept);
}

// --- the view

export function openCard(number) {
  closeCard();
  cardNo = number;
  card = null;
  const kept = keptCodes()[number];
  showAbout(kept?.card || { card_no: number });
  say($("pay-error"), "");
  $("pay-again").hidden = $("pay-code").hidden = $("pay-receipt").hidden = $("pay-acts").hidden = true;
  $("pay-wait").hidden = false;
  if (kept && kept.deadline - Date.now() > RENEW_BEFORE) show(kept);
  loadCard(number);
}

export function closeCard() {
  clearInterval(ticker);
  clearTimeout(poller);
  shown = null;
  cardNo = "";
  renewing = null;
}

async function loadCard(number) {
  try {
    const found = await me("GET", `/cards/${number}`);
    if (number !== cardNo) return;
    card = found;
    calm();
    showAbout(found);
    showActs(found);
    const isUsed = Boolean(found.voucher?.used);
    const pays = found.status === "active" && found.role !== "viewer" && !isUsed;
    if (!pays) {
      drop(number);
      shown = null;
      $("pay-code").hidden = $("pay-wait").hidden = true;
      say($("pay-error"), isUsed ? t("voucher-over") : found.status === "active" ? t("only-looks") : named(found.status));
    } else if (!shown && $("pay-receipt").hidden) {
      await renew();
    }
  } catch (error) {
    if (number === cardNo) trouble(error);
  }
}

function showAbout(about) {
  $("pay-title").textContent = about.name || (about.card_type ? t(`type:${about.card_type}`) : about.card_no);
  document.title = `${$("pay-title").textContent} · MPS`;
  $("pay-about").textContent = about.balance ? `${about.card_no} · ${showMoney(about.balance, currency)}` : about.card_no;
  const parts = [];
  if (about.tier) parts.push(named(about.tier));
  if (about.points !== null && about.points !== undefined) parts.push(t("points-count", { count: showNumber(about.points) }));
  if (about.discount_rate && Number(about.discount_rate) < 1) parts.push(showDiscount(about.discount_rate));
  const voucher = about.voucher ? describeVoucher(about, currency) : { terms: [] };
  if (about.voucher) parts.splice(0, parts.length, voucher.off);
  $("pay-terms").replaceChildren(...voucher.terms.map((text) => make("li", "", text)));
  $("pay-terms").hidden = $("pay-how").hidden = !voucher.terms.length;
  if (about.voucher?.used) $("pay-how").hidden = true;
  $("pay-worth").textContent = parts.join(" · ");
  $("pay-tier-part").hidden = !parts.length;
  fillTier($("pay-tier"), tierText(about), about);
}

export function tierText(about) {
  if (!about.next_tier) return "";
  const [points, from] = [about.points, about.next_tier_points];
  return t("to-tier", { points: showNumber(points), from: showNumber(from), left: showNumber(from - points), tier: named(about.next_tier) });
}

function showActs(about) {
  const leads = about.role === "owner" || about.role === "admin";
  $("pay-acts").hidden = false;
  $("pay-topup").href = `#/card/${about.card_no}/topup`;
  $("pay-topup").hidden = !(leads && about.balance !== null && ["active", "frozen"].includes(about.status));
  $("pay-share").href = `#/card/${about.card_no}/share`;
  $("pay-share").hidden = !["PPD", "COR"].includes(about.card_type);
  $("pay-history").href = `#/history/${about.card_no}`;
  $("pay-lock").hidden = !(about.status === "active" && about.role !== "viewer" && !about.voucher?.used);
  $("pay-unlock").hidden = !(about.status === "frozen" && about.role !== "viewer");
}

function trouble(error) {
  $("pay-wait").hidden = true;
  const live = shown && left() > 0;
  if (error instanceof Lost) {
    showOnline(false);
    $("pay-offline").hidden = !live;
    $("pay-code").classList.toggle("is-offline", Boolean(live));
    if (live) return;
  }
  if (!live) $("pay-code").hidden = true;
  say($("pay-error"), error instanceof Lost && !shown ? t("offline-none") : explain(error));
  $("pay-again").hidden = live || !$("pay-receipt").hidden;
  if (error instanceof Lost && !shown) {
    clearTimeout(poller);
    poller = setTimeout(retry, POLL_EVERY);
  }
}

// A browser says "online" before the way to the server is open, so that what was lost is asked again without a tap.
function retry() {
  if (document.hidden) poller = setTimeout(retry, POLL_EVERY);
  else if (cardNo && !shown && $("pay-receipt").hidden) loadCard(cardNo);
}

function calm() {
  $("pay-offline").hidden = true;
  $("pay-code").classList.remove("is-offline");
  say($("pay-error"), "");
  $("pay-again").hidden = true;
}

function draw(image, svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  pictures.push(url);
  image.src = url;
}

function show(next) {
  pictures.forEach((url) => URL.revokeObjectURL(url));
  pictures = [];
  shown = next;
  draw($("pay-qr"), next.qr);
  draw($("pay-barcode"), next.barcode);
  $("pay-digits").replaceChildren(...next.code.match(/.{1,4}/g).map((group) => make("span", "", group)));
  $("pay-receipt").hidden = $("pay-wait").hidden = true;
  $("pay-code").hidden = false;
  clearInterval(ticker);
  ticker = setInterval(tick, 500);
  tick();
  schedule();
}

function tick() {
  if (!shown) return;
  const offline = $("pay-code").classList.contains("is-offline");
  $("pay-left").textContent = t(offline ? "left-offline" : "left", { time: clock(left()) });
  $("pay-bar").value = Math.max(0, Math.min(1, left() / (shown.ttl * 1000)));
  if (left() <= 0 && offline) {
    drop(shown.cardNo);
    shown = null;
    trouble(new Lost("no code that is still valid"));
  } else if (left() <= RENEW_BEFORE && !document.hidden && !offline) {
    renew();
  }
}

// Make a new code. One at a time: whoever asks meanwhile gets the same.
export function renew() {
  renewing ??= makeCode(cardNo).finally(() => (renewing = null));
  return renewing;
}

async function makeCode(number) {
  try {
    const before = shown;
    // Whatever was paid with the code before is shown, not passed over.
    if (before && (await paidSince(before, number))) return;
    const newest = before ? before.newest : ((await me("GET", `/transactions?card_no=${number}&limit=1`)).results[0]?.tx_no ?? "");
    const made = await me("POST", `/cards/${number}/code`, { body: {} });
    await adopt(number, made, newest, made.ttl_seconds * 1000);
    if (before) announce(t("renewed"));
  } catch (error) {
    if (number === cardNo) trouble(error);
  }
}

async function adopt(number, made, newest, milliseconds) {
  const deadline = Date.now() + milliseconds;
  const [qr, barcode] = await Promise.all([picture(`/cards/${number}/code.svg`), picture(`/cards/${number}/barcode.svg`)]);
  if (number !== cardNo) return;
  const next = { cardNo: number, card, code: made.code, ttl: made.ttl_seconds, deadline, qr, barcode, newest };
  keep(next);
  calm();
  show(next);
}

// --- has it been used?

function schedule() {
  clearTimeout(poller);
  poller = setTimeout(poll, POLL_EVERY);
}

export async function poll() {
  const watched = shown;
  if (!watched || document.hidden || watched.cardNo !== cardNo) return;
  try {
    if (!renewing) {
      const found = await paidSince(watched, watched.cardNo);
      if (shown === watched && !found) {
        const isVoucher = card?.card_type === "VCH";
        if (isVoucher || ++polls % VERIFY_EVERY === 0) await verify(watched, isVoucher);
        if (shown === watched) calm();
      }
    }
  } catch (error) {
    if (shown === watched) trouble(error);
  }
  if (shown) schedule();
}

// Look for a payment that came after the code was made; show it if it is this code's.
async function paidSince(watched, number) {
  const { results } = await me("GET", `/transactions?card_no=${number}&limit=5`);
  if (shown !== watched) return false;
  const known = results.findIndex((each) => each.tx_no === watched.newest);
  const fresh = (known < 0 ? results : results.slice(0, known)).filter((each) => new Date(each.created_at) > Date.now() - 86_400_000);
  if (!fresh.length || fresh.some((each) => each.status === "pending")) return false;
  const payment = fresh.find((each) => each.type === "payment");
  // On a shared card somebody else may have paid: then mine still lives.
  const isShared = ["PPD", "COR"].includes(card?.card_type ?? "PPD");
  if (payment && (!isShared || (await currentCode(number))?.code !== watched.code)) {
    if (shown !== watched) return false;
    showReceipt(payment);
    return true;
  }
  watched.newest = results[0].tx_no;
  keep(watched);
  return false;
}

async function currentCode(number) {
  try {
    return await me("GET", `/cards/${number}/code`);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

async function verify(watched, isVoucher) {
  const live = await currentCode(watched.cardNo);
  if (shown !== watched || live?.code === watched.code) return;
  drop(watched.cardNo);
  if (isVoucher && !live) {
    showReceipt({ status: "completed", type: "payment", card_no: watched.cardNo, created_at: new Date().toISOString() });
  } else if (live) {
    // Another phone of the same member made it.
    await adopt(watched.cardNo, live, watched.newest, new Date(live.expires_at) - Date.now());
  } else {
    renewing ??= makeCode(watched.cardNo).finally(() => (renewing = null));
  }
}

export function showReceipt(payment) {
  clearInterval(ticker);
  clearTimeout(poller);
  shown = null;
  drop(payment.card_no);
  calm();
  const good = payment.status !== "failed" && payment.status !== "cancelled";
  $("pay-code").hidden = $("pay-wait").hidden = true;
  $("pay-receipt").hidden = false;
  $("pay-receipt").classList.toggle("is-bad", !good);
  $("receipt-sign").textContent = good ? "✓" : "✕";
  $("receipt-title").textContent = good ? t("paid") : t("not-paid");
  $("receipt-amount").textContent = payment.final_amount ? showMoney(payment.final_amount, payment.currency) : "";
  fill($("receipt-lines"), describe(payment));
  if (!good && payment.failure_code) $("receipt-lines").before(reason(payment));
  $("receipt-title").focus({ preventScroll: true });
  announce(`${$("receipt-title").textContent} ${$("receipt-amount").textContent}`);
  if (card) me("GET", `/cards/${payment.card_no}`).then((found) => found.card_no === cardNo && showAbout(found), () => {});
}

function reason(payment) {
  document.querySelector(".receipt .reason")?.remove();
  return make("p", "reason bad", explain({ code: payment.failure_code, message: payment.failure_code }));
}

export function describe(payment) {
  const isLess = payment.discount_amount && toCents(payment.discount_amount) > 0n;
  return [
    [t("shop"), payment.merchant_name],
    [t("amount"), isLess ? showMoney(payment.amount, payment.currency) : ""],
    [t("discount"), isLess ? `− ${showMoney(payment.discount_amount, payment.currency)}` : ""],
    [t("points"), payment.points ? `${payment.points > 0 ? "+" : ""}${showNumber(payment.points)}` : ""],
    [t("method"), named(payment.payment_method)],
    [t("card"), payment.card_no],
    [t("number"), payment.tx_no],
    [t("order"), payment.external_order_id],
    [t("time"), showTime(payment.created_at)],
  ];
}

async function setLock(act) {
  const number = cardNo;
  if (act === "lock" && !(await ask(t("ask-lock")))) return;
  try {
    const changed = await me("POST", `/cards/${number}/${act}`, { body: {} });
    if (act === "lock") drop(number);
    announce(named(changed.status));
    if (number === cardNo) openCard(number);
  } catch (error) {
    say($("pay-error"), explain(error));
  }
}

export function startPay() {
  $("receipt-new").addEventListener("click", () => openCard(cardNo));
  $("pay-again").addEventListener("click", () => openCard(cardNo));
  $("pay-lock").addEventListener("click", () => setLock("lock"));
  $("pay-unlock").addEventListener("click", () => setLock("unlock"));
  document.addEventListener("visibilitychange", () => {
    clearTimeout(poller);
    if (!document.hidden) poll();
  });
  addEventListener("offline", () => shown && trouble(new Lost("offline")));
  addEventListener("online", () => cardNo && (shown ? poll() : openCard(cardNo)));
}
