// What scripts say comes from the page: the server's catalogue is the only one.

const element = document.getElementById("strings");
const strings = element ? JSON.parse(element.textContent) : {};

// t("left", {seconds: 5}) fills "%(seconds)s seconds left".
export function t(name, values = {}) {
  const text = strings[name] ?? name;
  return text.replace(/%\((\w+)\)s/g, (_, key) => String(values[key] ?? ""));
}

// What a refusal says to the reader: by its stable code, else in the server's words. A failure of the server, or of
// something before it, has no words of its own.
export function explain(error) {
  if (error && error.name === "Error" && error.code === undefined) return t("lost");
  if (error.code === "RATE_LIMITED" && error.retryAfter > 1) return t("wait", { seconds: error.retryAfter });
  return strings[`error:${error.code}`] ?? (error.status >= 500 ? t("broken") : (error.message ?? t("lost")));
}
