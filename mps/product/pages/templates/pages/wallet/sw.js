{% load static %}// Keeps the wallet's own pages and files for the time without a connection, and nothing else: what the APIs say is never
// kept here. Whatever can be fetched is fetched; what was kept is the second choice.

const KEPT = "mps-wallet-1";
const HOME = "{% url 'wallet' %}";
const SHELL = [
  HOME,
  "{% url 'wallet-manifest' %}",
  "{% static 'pages/common/icon.svg' %}",
  "{% static 'pages/vendor/pico.css' %}",
  "{% static 'pages/common/base.css' %}",
  "{% static 'pages/common/api.js' %}",
  "{% static 'pages/common/i18n.js' %}",
  "{% static 'pages/common/money.js' %}",
  "{% static 'pages/wallet/wallet.css' %}",{% for name in modules %}
  "{% static name %}",{% endfor %}
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name.startsWith("mps-wallet-") && name !== KEPT);
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin || !SHELL.includes(url.pathname)) return;
  event.respondWith(answer(event.request, url.pathname));
});

async function answer(request, path) {
  const kept = await caches.open(KEPT);
  try {
    const fresh = await fetch(request);
    if (fresh.ok && !fresh.redirected) await kept.put(path, fresh.clone());
    return fresh;
  } catch (error) {
    const found = await kept.match(path);
    if (found) return found;
    throw error;
  }
}
