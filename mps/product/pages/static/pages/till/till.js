// The till: pairing, and which part is on the screen. Every act is one call of the public POS API, with the terminal's key.

import { Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { remind, startCharge } from "./charge.js";
import { stopCamera } from "./code.js";
import { $, during, fail, sure } from "./dom.js";
import { findPayment, startFind } from "./find.js";
import { startResult } from "./result.js";
import { currency, dropKey, forgetKey, key, onRefusedKey, refusedKey, useKey } from "./session.js";
import { loadSettlements, startSettlements } from "./settlements.js";
import { loadDay, startToday } from "./today.js";
import { startTopUp } from "./topup.js";

async function pair(candidate) {
  const today = await useKey(candidate);
  $("day").value = today.date;
  $("currency").textContent = currency;
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

$("pair-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  fail("pair-error", "");
  during($("pair-form").querySelector("[type=submit]"), async () => {
    try {
      await pair($("pair-key").value);
      $("pair-key").value = "";
      openTill();
    } catch (error) {
      dropKey();
      fail("pair-error", error instanceof Refusal && error.status === 401 ? t("wrong-key") : explain(error));
    }
  });
});
$("unpair").addEventListener("click", async () => {
  if (!(await sure(t("sure-unpair")))) return;
  forgetKey();
  showPairing();
});
$("tabs").addEventListener("click", (event) => event.target.dataset.tab && show(event.target.dataset.tab));
onRefusedKey(() => showPairing(t("wrong-key")));
startResult();
startCharge();
startFind();
startTopUp();
startToday((number) => {
  show("find");
  findPayment(number);
});
startSettlements();
if (key) {
  pair(key).then(openTill, (error) => {
    if (refusedKey(error)) return;
    openTill();
    fail("charge-error", explain(error));
  });
} else showPairing();
