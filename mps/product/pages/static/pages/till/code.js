// The payment code: typed, or read by the camera, and what it would bring.

import { explain, t } from "../common/i18n.js";
import { fromCents, showDiscount, showMoney } from "../common/money.js";
import { cents } from "./amount.js";
import { $, named } from "./dom.js";
import { startScanner, stopScanner } from "./scanner.js";
import { currency, pos, refusedKey } from "./session.js";
import { beep } from "./sound.js";

// What the code on the screen is good for, as the server said.
let seen = null;

export const method = () => document.querySelector("[name=method]:checked").value;
export const digitsOf = (id) => $(id).value.replace(/\D/g, "");

// A code that was shown is burnt, whatever came of it: the next attempt wants a new one.
export function clearCode() {
  $("code").value = $("voucher").value = "";
  $("code").required = true;
  seen = null;
  showPrice();
}

// What a code would bring, before it is charged. Does not burn it.
export async function preview() {
  const code = digitsOf("code");
  seen = null;
  showPrice();
  if (code.length !== 20) return;
  try {
    const card = (await pos("POST", "/codes/validate", { body: { code } })).body;
    // Another code may stand there by now.
    if (code !== digitsOf("code")) return;
    seen = card;
    if (["STD", "VCH"].includes(card.card_type) && method() === "balance") choose("cash");
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

export function showPrice() {
  if (!seen) return ($("preview").textContent = "");
  if (seen.card_type === "VCH") return ($("preview").textContent = t("preview-voucher", { card: seen.card_no }));
  const basis = BigInt(Math.round(Number(seen.discount_rate) * 10000));
  const text = t(basis < 10000n ? "preview" : "preview-none", {
    card: seen.card_no,
    tier: named(seen.tier),
    off: showDiscount(seen.discount_rate),
  });
  const price = showMoney(fromCents((cents() * basis + 5000n) / 10000n), currency);
  $("preview").textContent = cents() ? `${text} → ${price}` : text;
}

export function stopCamera() {
  stopScanner($("video"));
  $("camera").hidden = true;
}

export async function scan() {
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
