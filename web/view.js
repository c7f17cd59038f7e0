// What the page shows: notices, the answer with its bars, the results of many photos.

import { ranking } from "./smoothing.js";
import { megabytes, percent, text } from "./texts.js";

const TOP = 3;
const SPEAK_EVERY = 2000; // ms; a screen reader is told no more often

export const element = (id) => document.getElementById(id);

// Calls for clicks, by the id of the button.
export function onClick(calls) {
  for (const [id, call] of Object.entries(calls)) element(id).addEventListener("click", call);
}

export class View {
  #settings;
  #spoken = "";
  #spokenAt = 0;
  #rows;

  constructor(settings) {
    this.#settings = settings;
    document.title = settings.title;
    element("title").textContent = settings.title;
    element("bar").querySelector("b").style.left = `${100 * settings.threshold}%`;
    this.#rows = Array.from({ length: Math.min(TOP, settings.classes.length) }, rankRow);
  }

  // The page's state: loading, live, still (a picture that stands) or problem.
  set state(state) {
    document.body.dataset.state = state;
  }

  get state() {
    return document.body.dataset.state;
  }

  notice(key, values = {}, { retry = null, choose = false } = {}) {
    element("notice").hidden = false;
    element("notice-text").textContent = text(key, values);
    element("retry").hidden = retry === null;
    element("retry").textContent = text(retry === "reload" ? "reload" : "try_again");
    element("notice-choose").hidden = !choose;
  }

  hideNotice() {
    element("notice").hidden = true;
  }

  speed({ fps, milliseconds } = {}) {
    const parts = [fps && text("fps", { fps: Math.round(fps) }), milliseconds && text("ms", { ms: Math.round(milliseconds) })];
    element("speed").textContent = parts.filter(Boolean).join(" · ");
    element("speed").hidden = !parts.some(Boolean);
  }

  // No answer yet: say `key` instead.
  clear(key) {
    element("result").classList.remove("unsure");
    this.#label(text(key), "idle");
    element("percent").textContent = "";
    this.#bar(0);
    element("ranks").replaceChildren();
    element("actions").hidden = true;
  }

  // Show {probabilities, label, sure}.
  answer(verdict) {
    const { classes } = this.#settings;
    const share = verdict.probabilities[verdict.label];
    const name = verdict.sure ? classes[verdict.label] : text("not_sure");
    element("result").classList.toggle("unsure", !verdict.sure);
    this.#label(name, lengthClass(name));
    element("percent").textContent = percent(share);
    this.#bar(share);
    this.#ranks(ranking(verdict, TOP), verdict.probabilities);
    element("actions").hidden = false;
    this.#speak(`${name}, ${percent(share)}`, name);
  }

  #label(content, kind) {
    const label = element("label");
    if (label.textContent !== content) label.textContent = content;
    label.className = `label ${kind}`;
  }

  #bar(share) {
    const bar = element("bar");
    bar.querySelector("i").style.transform = `scaleX(${share})`;
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
  }

  #ranks(order, probabilities) {
    const list = element("ranks");
    if (!list.children.length) list.append(...this.#rows.map((row) => row.item));
    order.forEach((index, i) => {
      const { name, bar, share } = this.#rows[i];
      if (name.textContent !== this.#settings.classes[index]) {
        name.textContent = name.title = this.#settings.classes[index];
      }
      bar.style.transform = `scaleX(${probabilities[index]})`;
      share.textContent = percent(probabilities[index]);
    });
  }

  #speak(sentence, name) {
    const now = performance.now();
    if (name === this.#spoken || now - this.#spokenAt < SPEAK_EVERY) return;
    this.#spoken = name;
    this.#spokenAt = now;
    element("spoken").textContent = sentence;
  }
}

function rankRow() {
  const item = make("li");
  const name = make("span", "name");
  const small = make("span", "small");
  const bar = make("i");
  const share = make("span", "share");
  small.append(bar);
  item.append(name, small, share);
  return { item, name, bar, share };
}

export function make(tag, className = "", content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

// Long names, and Chinese ones are twice as wide, get smaller letters.
function lengthClass(name) {
  const width = Array.from(name).reduce((sum, letter) => sum + (letter > "\u2e80" ? 2 : 1), 0);
  if (width > 44) return "longer";
  return width > 18 ? "long" : "";
}

export function toast(content) {
  const box = element("toast");
  box.textContent = content;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (box.hidden = true), 2000);
}

// The choice among the model files; `choose(kind)` is called with another one.
export function showKinds({ files }, current, choose) {
  const choices = files.map(({ kind, bytes, agreement }) => {
    const choice = make("label", "kind");
    const input = Object.assign(make("input"), { type: "radio", name: "kind", value: kind, checked: kind === current });
    input.addEventListener("change", () => choose(kind));
    const words = make("span", "", kind);
    const same = text("agreement", { agreement: percent(agreement) });
    words.append(make("small", "", `${text(`kind_${kind}`)} · ${same}`));
    choice.append(input, words, make("b", "", megabytes(bytes)));
    return choice;
  });
  element("kinds").replaceChildren(element("kinds").querySelector("legend"), ...choices);
}

export function showCard({ card, classes, store_size: size, threshold, precision }, { engine, threads }) {
  const accuracy = { value: percent(card.accuracy), low: percent(card.accuracy_low), high: percent(card.accuracy_high) };
  const rows = {
    card_model: card.model,
    card_architecture: card.arch,
    card_accuracy: text("card_accuracy_value", { ...accuracy, photos: card.photos }),
    card_threshold: text("card_threshold_value", { threshold: percent(threshold), precision: percent(precision) }),
    card_classes: `${classes.length}: ${classes.join(", ")}`,
    card_input: `${size} × ${size} px`,
    card_parameters: new Intl.NumberFormat().format(card.parameters),
    runs_on: text(`on_${engine}`, { threads }),
    card_commit: card.commit.slice(0, 12) || "–",
  };
  const entries = Object.entries(rows).flatMap(([key, value]) => [make("dt", "", text(key)), make("dd", "", value)]);
  element("card").replaceChildren(...entries);
}

export function showTest(result) {
  const badge = element("badge");
  badge.hidden = false;
  if (!result) {
    badge.dataset.state = "running";
    badge.textContent = text("checking");
    element("test-text").textContent = text("testing");
    return;
  }
  const digits = { worst: result.worst.toPrecision(2), tolerance: result.tolerance, photos: result.photos };
  badge.dataset.state = result.passed ? "passed" : "failed";
  badge.textContent = text(result.passed ? "verified" : "not_verified");
  element("test-text").textContent = text(result.passed ? "test_passed" : "test_failed", digits);
  element("hash").textContent = `SHA-256 ${result.sha256}`;
}
