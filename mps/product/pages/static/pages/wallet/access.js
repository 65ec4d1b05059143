// Ways in, and what members look after themselves: profile, PIN, password, passkey, sessions.

import { Refusal } from "../common/api.js";
import { explain, t } from "../common/i18n.js";
import { showTime } from "../common/money.js";
import { $, announce, ask, clearForm, make, onSubmit, say, sayTrouble, sayWait } from "./dom.js";
import { addPasskey, hasPasskeys, signInByBoth, signInByPasskey } from "./passkey.js";
import { begin, forget, me, open, token } from "./session.js";

let profile = null;
let entered = () => {};

function enter(value) {
  begin(value);
  profile = null;
  say($("sign-in-ended"), "");
  ["sign-in-form", "register-form", "code-ask", "code-use", "reset-ask", "reset-use"].forEach(clearForm);
  entered();
}

export function startAccess(whenEntered, whenLeft) {
  entered = whenEntered;
  onSubmit("sign-in-form", async () => {
    const [identifier, password] = [$("sign-in-name").value.trim(), $("sign-in-password").value];
    try {
      enter((await open("auth/login", { identifier, password })).token);
    } catch (error) {
      if (!(error instanceof Refusal && error.code === "NOT_AUTHENTICATED" && hasPasskeys)) throw error;
      announce(t("second-factor"));
      enter(await signInByBoth(identifier, password));
    }
  });
  $("sign-in-passkey").hidden = $("passkeys").hidden = !hasPasskeys;
  $("sign-in-passkey").onclick = async () => {
    const error = $("sign-in-form").querySelector("[data-error]");
    say(error, "");
    try {
      enter(await signInByPasskey());
    } catch (problem) {
      say(error, explain(problem));
    }
  };
  onSubmit("register-form", async () => {
    const password = $("register-password").value;
    const body = { name: $("register-name").value.trim(), phone: $("register-phone").value.trim(), email: $("register-email").value.trim(), password };
    const made = await open("members", body);
    enter((await open("auth/login", { identifier: made.number, password })).token);
  });
  onSubmit("code-ask", async () => {
    await open("auth/code", { identifier: $("code-name").value.trim() });
    $("code-use").hidden = false;
    $("code-digits").focus();
  });
  onSubmit("code-use", async () => {
    enter((await open("auth/code/confirm", { identifier: $("code-name").value.trim(), code: $("code-digits").value.trim() })).token);
  });
  onSubmit("reset-ask", async () => {
    await open("auth/password/reset", { identifier: $("reset-name").value.trim() });
    $("reset-use").hidden = false;
    $("reset-digits").focus();
  });
  onSubmit("reset-use", async () => {
    const identifier = $("reset-name").value.trim();
    const password = $("reset-password").value;
    await open("auth/password/reset/confirm", { identifier, code: $("reset-digits").value.trim(), password });
    enter((await open("auth/login", { identifier, password })).token);
  });
  startProfile();
  $("sign-out").onclick = async () => {
    if (!(await ask(t("ask-sign-out")))) return;
    const ending = token();
    forget();
    whenLeft();
    // The server may be away; the phone has forgotten the token all the same.
    await fetch("/api/v1/auth/logout", { method: "POST", headers: { Authorization: `Bearer ${ending}` }, credentials: "omit" }).catch(() => {});
  };
}

export function openDoor(view) {
  if (view === "code") $("code-use").hidden = true;
  if (view === "reset") $("reset-use").hidden = true;
}

export async function openProfile() {
  ["me-form", "pin-form", "password-form", "passkey-form", "verify-ask", "verify-use"].forEach(clearForm);
  $("verify-use").hidden = true;
  say($("session-error"), "");
  // What stands there is of the member who was here before, or of nobody.
  $("me-parts").hidden = !profile;
  if (profile) say($("me-text"), "");
  else {
    $("me-number").textContent = "";
    sayWait($("me-text"));
  }
  try {
    showProfile(await me("GET", ""));
    $("me-parts").hidden = false;
    say($("me-text"), "");
    if ($("sessions").open) await loadSessions();
  } catch (error) {
    sayTrouble($("me-text"), explain(error), openProfile);
  }
}

function showProfile(found) {
  profile = found;
  $("me-number").textContent = t("member-number", { number: found.number });
  $("me-name").value = found.name;
  $("me-phone").value = found.phone ?? "";
  $("me-email").value = found.email ?? "";
  $("me-phone-state").textContent = found.phone ? `(${t(found.phone_verified ? "verified" : "not-verified")})` : "";
  $("me-email-state").textContent = found.email ? `(${t(found.email_verified ? "verified" : "not-verified")})` : "";
  showPin(found.pin_set);
  $("verify-contact").value = (!found.phone_verified && found.phone) || (!found.email_verified && found.email) || "";
}

function showPin(isSet) {
  $("pin-state").textContent = `(${t(isSet ? "pin-set" : "pin-not-set")})`;
  $("pin-submit").textContent = t(isSet ? "pin-change" : "pin-first");
}

function startProfile() {
  onSubmit("me-form", async () => {
    const wanted = { name: $("me-name").value.trim(), phone: $("me-phone").value.trim() || null, email: $("me-email").value.trim() || null };
    const body = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== profile[name]));
    const changed = await me("PATCH", "", { body });
    // A contact that must be proved first is as it was.
    const pending = (wanted.phone && changed.phone !== wanted.phone && "phone" in body && !sameDigits(changed.phone, wanted.phone) && wanted.phone) || (wanted.email && "email" in body && changed.email?.toLowerCase() !== wanted.email.toLowerCase() && wanted.email);
    showProfile(changed);
    if (!pending) return t("saved");
    $("verify").open = true;
    $("verify-contact").value = pending;
    $("verify-use").hidden = false;
    return t("check-contact");
  });
  onSubmit("verify-ask", async () => {
    await me("POST", "/verifications", { body: { contact: $("verify-contact").value.trim() } });
    $("verify-use").hidden = false;
    $("verify-digits").focus();
  });
  onSubmit("verify-use", async () => {
    showProfile(await me("POST", "/verifications/confirm", { body: { contact: $("verify-contact").value.trim(), code: $("verify-digits").value.trim() } }));
    $("verify-digits").value = "";
    return t("verified-done");
  });
  onSubmit("pin-form", async () => {
    await me("PUT", "/pin", { body: { password: $("pin-password").value, pin: $("pin-new").value } });
    $("pin-form").reset();
    profile.pin_set = true;
    showPin(true);
    return t("saved");
  });
  onSubmit("password-form", async () => {
    await me("POST", "/password", { body: { current_password: $("password-old").value, new_password: $("password-new").value } });
    $("password-form").reset();
    return t("saved");
  });
  onSubmit("passkey-form", async () => {
    await addPasskey(profile.number, $("passkey-password").value, navigator.platform || "Phone");
    $("passkey-form").reset();
    return t("passkey-added");
  });
  $("sessions").addEventListener("toggle", () => $("sessions").open && loadSessions());
}

const sameDigits = (one, other) => one !== null && one.replace(/\D/g, "").slice(-9) === other.replace(/\D/g, "").slice(-9);

async function loadSessions() {
  try {
    const { results } = await me("GET", "/sessions");
    $("session-list").replaceChildren(...results.map(sessionRow));
  } catch (error) {
    say($("session-error"), explain(error));
  }
}

function sessionRow(session) {
  const since = t("signed-in-at", { time: showTime(session.created_at) });
  const row = make("li", "", "", make("span", "row-main", "", make("strong", "", [session.address, session.current ? t("this-device") : ""].filter(Boolean).join(" · ")), make("span", "muted", since)));
  if (!session.current) {
    const end = make("button", "small secondary", t("end-session"));
    end.type = "button";
    end.setAttribute("aria-label", `${t("end-session")}: ${session.address}, ${since}`);
    end.onclick = async () => {
      try {
        await me("DELETE", `/sessions/${session.id}`);
        await loadSessions();
      } catch (error) {
        say($("session-error"), explain(error));
      }
    };
    row.append(end);
  }
  return row;
}
