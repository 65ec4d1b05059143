// What the parts of the till share: elements, lists, tables, one act at a time, a question.

import { t } from "../common/i18n.js";
import { fromCents, toCents } from "../common/money.js";

export const $ = (id) => document.getElementById(id);
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const named = (value) => (value ? t(`value:${value}`).replace(/^value:/, "") : "–");

export function link(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

export function fail(id, text, again) {
  const place = $(id);
  place.textContent = text;
  place.hidden = !text;
  place.classList.remove("wait");
  place.removeAttribute("aria-busy");
  if (again) place.append(" ", link(t("try-again"), again));
}

// Something is being fetched.
export function showWait(id) {
  fail(id, t("working"));
  $(id).classList.add("wait");
  $(id).setAttribute("aria-busy", "true");
}

// Whether an act is under way.
let busy = false;
export const isBusy = () => busy;

export async function alone(act) {
  busy = true;
  try {
    return await act();
  } finally {
    busy = false;
  }
}

// One act at a time; its button shows that it is under way.
export async function during(button, act) {
  if (busy) return;
  button.setAttribute("aria-busy", "true");
  try {
    await alone(act);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

export function fill(list, pairs) {
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
export function addCell(row) {
  const cell = row.insertCell();
  cell.dataset.label = row.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
  return cell;
}

export function cells(row, values) {
  values.forEach(([text, isNumber]) => {
    const cell = addCell(row);
    cell.textContent = text;
    cell.classList.toggle("number", Boolean(isNumber));
  });
}

// Digits and at most two decimals, as the API takes them; null for anything else.
export function readAmount(text, least = 1n) {
  const plain = text.trim().replace(",", ".");
  return /^\d{1,12}(\.\d{1,2})?$/.test(plain) && toCents(plain) >= least ? fromCents(toCents(plain)) : null;
}

// Ask before what cannot be taken back.
export function sure(text) {
  const dialog = $("sure");
  $("sure-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
