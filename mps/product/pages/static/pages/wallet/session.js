// Who is signed in. The member's token lies in localStorage: an installed app is opened anew many times a day, and the
// way to a payment provider and back leaves the page. It is one member's, ends after a day, and signing out ends it.
// It never becomes a cookie, so no other site can make the browser use it.

import { call, Lost, newKey, Refusal } from "../common/api.js";
import { toCents, fromCents } from "../common/money.js";
import { $ } from "./dom.js";

const TOKEN = "mps.wallet.token";
const OURS = "mps.wallet.";
export const currency = document.getElementById("script").dataset.currency;

let ended = () => {};
export const onEnd = (act) => (ended = act);
export const token = () => localStorage.getItem(TOKEN) || "";
export const begin = (value) => localStorage.setItem(TOKEN, value);

export function forget() {
  Object.keys(localStorage).filter((name) => name.startsWith(OURS)).forEach((name) => localStorage.removeItem(name));
}

export function showOnline(isOnline) {
  $("offline").hidden = isOnline;
}

// One call of the member API as the member who is signed in.
export async function me(method, path, options = {}) {
  const used = token();
  try {
    const answer = await call(method, `/api/v1/me${path}`, { token: used, ...options });
    showOnline(true);
    return answer.body;
  } catch (error) {
    if (error instanceof Lost) showOnline(navigator.onLine);
    else showOnline(true);
    if (error instanceof Refusal && error.code === "NOT_AUTHENTICATED" && used && used === token()) {
      forget();
      ended();
    }
    throw error;
  }
}

export const open = async (path, body) => (await call("POST", `/api/v1/${path}`, { body })).body;

// A picture that only its owner may fetch, as text.
export async function picture(path) {
  let response;
  try {
    response = await fetch(`/api/v1/me${path}`, {
      headers: { Accept: "image/svg+xml", Authorization: `Bearer ${token()}` },
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(15000),
    });
  } catch (error) {
    throw new Lost(String(error));
  }
  if (!response.ok) throw new Refusal(response.status, {}, 0);
  return response.text();
}

// Every page of a list that is short by nature.
export async function all(path) {
  const found = [];
  for (let next = path; next; ) {
    const page = await me("GET", next);
    found.push(...page.results);
    next = page.next ? relative(page.next) : "";
  }
  return found;
}

export function relative(link) {
  const url = new URL(link, location.href);
  return url.pathname.replace(/^\/api\/v1\/me/, "") + url.search;
}

// Digits and at most two decimals, as the API takes them; null for anything else.
export function readAmount(text) {
  const plain = text.trim().replace(",", ".");
  return /^\d{1,12}(\.\d{1,2})?$/.test(plain) && toCents(plain) > 0n ? fromCents(toCents(plain)) : null;
}

export { newKey };
