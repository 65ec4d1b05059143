// The terminal's key, and calls of the POS API with it.
//
// The key is in localStorage: a till is a device of its own, and is to work after a reload.

import { call, Refusal } from "../common/api.js";

export const API = "/api/v1/pos";
const KEY = "mps.till.key";

// Others see each new value of these, as imports do.
export let key = localStorage.getItem(KEY) || "";
export let currency = "";

let refused = () => {};
export const onRefusedKey = (act) => (refused = act);
export const pos = (method, path, options = {}) => call(method, API + path, { token: key, ...options });
// The page of a list that the server named as its next.
export const page = (path) => call("GET", path, { token: key });

// Whether the server has said no. A failure of its own, or of something between, is no answer.
export function isAnswer(error) {
  return error instanceof Refusal && error.status < 500 && error.status !== 429;
}

// Returns today's takings, which name the shop's day.
export async function useKey(candidate) {
  key = candidate.trim();
  // Without a day it is the shop's own today, wherever this device believes it is.
  const today = (await pos("GET", "/summary")).body;
  currency = today.currency;
  localStorage.setItem(KEY, key);
  return today;
}

export function dropKey() {
  key = "";
}

export function forgetKey() {
  localStorage.removeItem(KEY);
  key = "";
}

export function refusedKey(error) {
  if (!(error instanceof Refusal) || error.status !== 401) return false;
  forgetKey();
  refused();
  return true;
}
