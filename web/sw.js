// Keeps the page's files on the device, each under its SHA-256: what did not change is not fetched again.

importScripts("listing.js"); // LISTING = {files: {path: sha256}, core: [path, …]}, written by the stage `app`

const CACHE = "handlens";
const ISOLATION = {
  // Threads need these; hosts that cannot send them get them here, from the second visit on.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
const { files, core } = self.LISTING;
const keyOf = (path) => new URL(`${path}?${files[path]}`, self.registration.scope).href;

self.addEventListener("install", (event) => event.waitUntil(Promise.all(core.map(fetchAndKeep))));

self.addEventListener("activate", (event) => event.waitUntil(forgetOthers().then(() => self.clients.claim())));

self.addEventListener("message", ({ data }) => data === "take over" && self.skipWaiting());

self.addEventListener("fetch", (event) => {
  const path = pathOf(event.request);
  if (path in files) event.respondWith(answer(path));
});

function pathOf({ method, url }) {
  const scope = self.registration.scope;
  if (method !== "GET" || !url.startsWith(scope)) return "";
  return decodeURIComponent(new URL(url).pathname.slice(new URL(scope).pathname.length)) || "index.html";
}

async function answer(path) {
  const cache = await caches.open(CACHE);
  return (await cache.match(keyOf(path))) ?? fetchAndKeep(path);
}

// Fetch a file; keep it only if it is the one that this version lists.
async function fetchAndKeep(path) {
  const cache = await caches.open(CACHE);
  if (await cache.match(keyOf(path))) return cache.match(keyOf(path));
  const response = await fetch(path, { cache: "no-cache" });
  if (!response.ok) return response;
  const body = await response.arrayBuffer();
  const headers = new Headers(response.headers);
  headers.delete("Content-Encoding");
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  const isolated = new Response(body, { headers });
  if ((await sha256(body)) === files[path]) await cache.put(keyOf(path), isolated.clone());
  return isolated;
}

async function sha256(body) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function forgetOthers() {
  const cache = await caches.open(CACHE);
  const wanted = new Set(Object.keys(files).map(keyOf));
  const keys = await cache.keys();
  await Promise.all(keys.filter(({ url }) => !wanted.has(url)).map((key) => cache.delete(key)));
}
