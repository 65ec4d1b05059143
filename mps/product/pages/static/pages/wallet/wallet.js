// The wallet: which part is on the screen. Every act is one call of the public member API.

import { openDoor, openProfile, startAccess } from "./access.js";
import { watchApprovals } from "./approvals.js";
import { closeTopUp, openCards, openShare, openTopUp, startCards } from "./cards.js";
import { $, say } from "./dom.js";
import { openHistory, startHistory } from "./history.js";
import { closeCard, openCard, poll, showReceipt, startPay } from "./pay.js";
import { onEnd, showOnline, token } from "./session.js";
import { t } from "../common/i18n.js";

const DOORS = ["code", "reset", "register"];
let cardOpen = "";
let isFirst = true;
const title = document.querySelector(".brand").textContent.trim();

function route() {
  const [, first = "", second = "", third = ""] = decodeURIComponent(location.hash).split("/");
  if (!token()) return { view: DOORS.includes(first) ? first : "sign-in", door: true };
  const cardNo = /^[A-Z0-9]{6,14}$/.test(second) ? second : "";
  if (first === "card" && cardNo && third === "topup") return { view: "topup", tab: "cards", open: () => openTopUp(cardNo) };
  if (first === "card" && cardNo && third === "share") return { view: "share", tab: "cards", open: () => openShare(cardNo) };
  if (first === "card" && cardNo) return { view: "pay", tab: "cards", cardNo, open: () => openCard(cardNo) };
  if (first === "history") return { view: "history", tab: "history", open: () => openHistory(cardNo) };
  if (first === "me") return { view: "me", tab: "me", open: openProfile };
  if (first === "join") return { view: "join", tab: "cards" };
  return { view: "cards", tab: "cards", open: openCards };
}

function go() {
  const { view, tab, cardNo = "", open, door } = route();
  closeCard();
  closeTopUp();
  cardOpen = cardNo;
  document.querySelectorAll("[data-view]").forEach((each) => (each.hidden = each.dataset.view !== view));
  $("tabs").hidden = Boolean(door);
  document.querySelectorAll("[data-tab]").forEach((each) => {
    if (each.dataset.tab === tab) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  });
  if (door) openDoor(view);
  document.title = `${document.querySelector(`[data-view="${view}"] h1`).textContent || title} · MPS`;
  open?.();
  scrollTo(0, 0);
  // The heading of the new part is read out; the first one needs no such help.
  if (!isFirst) document.querySelector(`[data-view="${view}"] h1`)?.focus({ preventScroll: true });
  isFirst = false;
}

function home() {
  if (location.hash && location.hash !== "#/") location.hash = "#/";
  else go();
}

// A payment that waited was answered, or its time is over: the code on the screen was used up by it.
function settled(approval, paid) {
  if (!approval) return;
  if (!paid) {
    if (cardOpen === approval.card_no) poll();
    return;
  }
  if (cardOpen !== approval.card_no) {
    history.pushState(null, "", `#/card/${approval.card_no}`);
    go();
  }
  // The answer is the till's: it names the card in part only.
  showReceipt({ ...paid, card_no: approval.card_no, merchant_name: approval.merchant_name, points: paid.points_earned });
}

onEnd(() => {
  home();
  say($("sign-in-ended"), t("signed-out"));
});
startAccess(home, home);
startCards();
startHistory();
startPay();
addEventListener("hashchange", go);
addEventListener("offline", () => showOnline(false));
addEventListener("online", () => showOnline(true));
// An installed app has one history for all its parts: what a switch of language reloads is the same part.
document.querySelector(".language").addEventListener("submit", (event) => {
  event.target.elements.next.value = location.pathname + location.hash;
});
go();
showOnline(navigator.onLine);
watchApprovals(settled);
if ("serviceWorker" in navigator) navigator.serviceWorker.register($("script").dataset.worker, { scope: "/wallet/" });
