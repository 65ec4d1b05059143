// Passkeys, by the endpoints for programs under /_allauth: they carry a session of their own, by header.

import { Lost, Refusal } from "../common/api.js";
import { t } from "../common/i18n.js";
import { wrong } from "./dom.js";

const BASE = "/_allauth/app/v1";
const isAddress = /^[\d.]+$|^\[/.test(location.hostname);

// A passkey belongs to a host's name; where the page has only an address there is none.
export const hasPasskeys = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON) && !isAddress;

async function talk(method, path, { body, session } = {}) {
  const headers = { Accept: "application/json" };
  if (session) headers["X-Session-Token"] = session;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store" });
  } catch (error) {
    throw new Lost(String(error));
  }
  const found = await response.json().catch(() => ({}));
  if (response.status === 429) throw new Refusal(429, { code: "RATE_LIMITED" }, 0);
  return { status: response.status, data: found.data ?? {}, session: found.meta?.session_token || session, token: found.meta?.access_token };
}

const failed = () => wrong(t("passkey-failed"));

async function prove(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
  return (await navigator.credentials.get({ publicKey }).catch(() => null))?.toJSON() ?? null;
}

async function finish(path, asked) {
  const credential = asked.data.request_options && (await prove(asked.data.request_options));
  if (!credential) throw failed();
  const answer = await talk("POST", path, { body: { credential }, session: asked.session });
  if (!answer.token) throw failed();
  return answer.token;
}

export async function signInByPasskey() {
  return finish("/auth/webauthn/login", await talk("GET", "/auth/webauthn/login"));
}

// With a passkey, a password is only the first half.
export async function signInByBoth(username, password) {
  const half = await talk("POST", "/auth/login", { body: { username, password } });
  if (half.token) return half.token;
  if (half.status !== 401 || !half.session) throw new Refusal(401, { code: "INVALID_CREDENTIALS" }, 0);
  return finish("/auth/webauthn/authenticate", await talk("GET", "/auth/webauthn/authenticate", { session: half.session }));
}

export async function addPasskey(username, password, name) {
  const begun = await talk("POST", "/auth/login", { body: { username, password } });
  if (begun.status === 401 && begun.session) throw failed();
  if (!begun.token) throw new Refusal(401, { code: "INVALID_CREDENTIALS" }, 0);
  const session = begun.session;
  try {
    await talk("POST", "/auth/reauthenticate", { body: { password }, session });
    const asked = await talk("GET", "/account/authenticators/webauthn?passwordless", { session });
    if (!asked.data.creation_options) throw failed();
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked.data.creation_options.publicKey);
    const made = await navigator.credentials.create({ publicKey }).catch(() => null);
    if (!made) throw failed();
    const added = await talk("POST", "/account/authenticators/webauthn", { body: { name, credential: made.toJSON() }, session });
    if (added.status !== 200) throw failed();
  } finally {
    await talk("DELETE", "/auth/session", { session }).catch(() => {});
  }
}
