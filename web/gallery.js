// Photos from files, the clipboard or a drop: read one after the other, shown as cards.

import { verdict } from "./smoothing.js";
import { percent, text } from "./texts.js";
import { element, make } from "./view.js";

export class Gallery {
  #settings;
  #engine;
  #open;
  #results = [];

  // `open(result)` is called with the result {name, picture, verdict, milliseconds} of a chosen card.
  constructor(settings, engine, open) {
    this.#settings = settings;
    this.#engine = engine;
    this.#open = open;
  }

  get size() {
    return this.#results.length;
  }

  // Read `files`; new ones stand first. A single one is opened at once.
  async add(files) {
    const results = Array.from(files, (file) => ({ name: file.name || text("photos"), file, card: newCard() }));
    this.#results.unshift(...results);
    element("cards").prepend(...results.map(({ card }) => card.item));
    this.#count();
    for (const result of results) await this.#read(result);
    if (results.length === 1 && results[0].verdict) this.#choose(results[0]);
  }

  // All photos again, with another model file.
  async again() {
    for (const result of this.#results) await this.#read(result);
  }

  // A table to paste into a spreadsheet.
  asTable() {
    const rows = this.#results.map(({ name, verdict: found, problem }) => {
      if (!found) return [name, problem ?? "", ""];
      const { label, sure, probabilities } = found;
      return [name, sure ? this.#settings.classes[label] : text("not_sure"), percent(probabilities[label])];
    });
    return rows.map((row) => row.join("\t")).join("\n");
  }

  async #read(result) {
    const { item, button } = result.card;
    try {
      const { picture, probabilities, milliseconds } = await this.#engine.photo(result.file);
      result.picture?.close();
      Object.assign(result, { picture, milliseconds, verdict: verdict(probabilities, this.#settings.threshold) });
      this.#fill(result);
      button.onclick = () => this.#choose(result);
    } catch (problem) {
      result.problem = text(problem.code, problem);
      fillCard(result.card, { title: result.problem, name: result.name, kind: "bad" });
      button.disabled = true;
    }
    item.removeAttribute("aria-busy");
  }

  #fill({ card, name, picture, verdict: { label, sure, probabilities } }) {
    const title = sure ? this.#settings.classes[label] : text("not_sure");
    const share = percent(probabilities[label]);
    fillCard(card, { title, name: `${share} · ${name}`, kind: sure ? "" : "unsure" });
    card.canvas.getContext("2d").drawImage(picture, 0, 0, card.canvas.width, card.canvas.height);
  }

  // No photo is on the screen.
  unmark() {
    for (const { card } of this.#results) card.button.removeAttribute("aria-current");
  }

  #choose(result) {
    this.unmark();
    result.card.button.setAttribute("aria-current", "true");
    this.#open(result);
  }

  #count() {
    element("gallery").hidden = false;
    element("gallery-title").textContent = text("results_count", { count: this.size });
  }
}

function newCard() {
  const item = make("li");
  const button = Object.assign(make("button", "card"), { type: "button" });
  const canvas = Object.assign(make("canvas"), { width: 240, height: 240 });
  canvas.setAttribute("aria-hidden", "true");
  const inside = make("span", "in");
  const title = make("strong", "", text("reading"));
  const name = make("small");
  inside.append(title, name);
  button.append(canvas, inside);
  item.append(button);
  item.setAttribute("aria-busy", "true");
  return { item, button, canvas, title, name };
}

function fillCard(card, { title, name, kind }) {
  card.title.textContent = card.title.title = title;
  card.name.textContent = card.name.title = name;
  card.button.className = `card ${kind}`;
}
