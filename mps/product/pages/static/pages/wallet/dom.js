// Small helpers: elements, lists, forms, a question.

import { Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showDiscount, showLastDay, showList, showMoney, toCents } from "../common/money.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, className = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

// How far a card's points are from the next tier: words, and a bar that says the same.
export function fillTier(box, text, card) {
  const isBelow = card.next_tier !== null && card.next_tier !== undefined;
  box.hidden = !isBelow;
  if (!isBelow) return;
  const bar = make("progress");
  bar.max = card.next_tier_points;
  bar.value = Math.max(0, card.points);
  bar.setAttribute("aria-label", text);
  box.replaceChildren(bar, make("span", "", text));
  box.lastChild.setAttribute("aria-hidden", "true");
}

// What a voucher takes off, and its terms, in words.
export function describeVoucher(card, currency) {
  const { kind, value, min_spend: least, merchants } = card.voucher;
  const off = kind === "percent" ? showDiscount(1 - Number(value) / 100) : t("off", { off: showMoney(value, currency) });
  const terms = [
    toCents(least) > 0n ? t("voucher-from", { amount: showMoney(least, currency) }) : "",
    merchants.length ? t("voucher-at", { shops: showList(merchants.map((each) => each.name)) }) : t("voucher-anywhere"),
    card.expires_at ? t("until", { time: showLastDay(card.expires_at) }) : "",
  ];
  return { off, terms: terms.filter(Boolean) };
}

export function fill(list, pairs) {
  list.replaceChildren();
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", "", name), make("dd", "", value));
  }
}

export function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
  element.classList.remove("wait");
  element.removeAttribute("aria-busy");
}

// Something is being fetched.
export function sayWait(element) {
  say(element, t("working"));
  element.classList.add("wait");
  element.setAttribute("aria-busy", "true");
}

// What went wrong, and a way to ask again.
export function sayTrouble(element, text, again) {
  say(element, text);
  const button = make("button", "small secondary", t("try-again"));
  button.type = "button";
  button.onclick = again;
  element.append(" ", button);
}

// What the page itself refuses, before anything is sent.
export const wrong = (text) => new Refusal(0, { code: "WRONG_HERE", title: text }, 0);

// Emptied first, so that the same words are read out again.
export function announce(text) {
  $("live").textContent = "";
  setTimeout(() => ($("live").textContent = text), 50);
}

// What is wrong with which field, in the reader's words: the API names the field, and speaks to programmers.
function hints({ code, errors = {} }) {
  const kind = code === "ALREADY_EXISTS" ? "taken" : "hint";
  const known = Object.keys(errors).map((field) => [`${kind}:${field}`, t(`${kind}:${field}`)]);
  return known.filter(([name, text]) => text !== name).map(([, text]) => text).join(" ");
}

// A form that calls `act` once at a time, and shows what it throws; what it returns is shown as done.
export function onSubmit(id, act) {
  const form = $(id);
  const error = form.querySelector("[data-error]");
  const done = form.querySelector("[data-done]");
  const button = form.querySelector("[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-busy") === "true") return;
    if (error) say(error, "");
    if (done) say(done, "");
    button.setAttribute("aria-busy", "true");
    try {
      const text = await act(form);
      if (done && text) say(done, text);
    } catch (problem) {
      say(error, hints(problem) || explain(problem));
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

export function ask(text) {
  $("question-text").textContent = text;
  $("question").showModal();
  $("question-no").focus();
  return new Promise((resolve) => {
    const answer = (yes) => {
      $("question").onclose = null;
      $("question").close();
      resolve(yes);
    };
    $("question-yes").onclick = () => answer(true);
    $("question-no").onclick = () => answer(false);
    $("question").onclose = () => resolve(false);
  });
}

export function clearForm(id) {
  const form = $(id);
  form.reset();
  form.querySelectorAll("[data-error], [data-done]").forEach((each) => say(each, ""));
}
