// Installs the service worker once the page is at work, and offers a new version when there is one.

import { text } from "./texts.js";
import { element, toast } from "./view.js";

const IN_APP = new URLSearchParams(location.search).has("app"); // the Android app holds all files itself
let asked = false;

export async function keepOffline() {
  if (asked || IN_APP || !("serviceWorker" in navigator)) return;
  asked = true;
  const first = !navigator.serviceWorker.controller;
  const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
  if (!registration) return; // such as private windows: the page works, but needs the network
  offerUpdates(registration, first);
  await navigator.serviceWorker.ready;
  element("offline").hidden = false;
  if (first) toast(text("offline_ready"));
}

function offerUpdates(registration, first) {
  const button = element("update");
  const offer = () => (button.hidden = !registration.waiting);
  button.addEventListener("click", () => registration.waiting.postMessage("take over"));
  const watch = () => registration.installing?.addEventListener("statechange", offer);
  registration.addEventListener("updatefound", watch);
  navigator.serviceWorker.addEventListener("controllerchange", () => first || location.reload());
  watch();
  offer();
}
