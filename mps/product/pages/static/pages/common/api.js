// The public APIs, as the pages call them: JSON in, JSON out, a refusal is an Error with its stable code.

export class Refusal extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.title || problem.code || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "";
    this.detail = problem.detail || "";
    this.errors = problem.errors || {};
    this.retryAfter = retryAfter;
  }
}

// Nothing came back: whether the server did what was asked is not known. Ask again with the same key.
export class Lost extends Error {}

export async function call(method, path, { body, token, idempotencyKey, timeoutSeconds = 15 } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    text = await response.text();
  } catch (error) {
    throw new Lost(String(error));
  }
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) return { status: response.status, body: text, replayed: false };
    parsed = {};
  }
  if (!response.ok) {
    throw new Refusal(response.status, parsed || {}, Number(response.headers.get("Retry-After")) || 0);
  }
  return {
    status: response.status,
    body: parsed,
    replayed: response.headers.get("Idempotent-Replayed") === "true",
  };
}

export function newKey() {
  return crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
}
