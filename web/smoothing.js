// Calm labels: probabilities averaged over time, and a label that does not jump between near equals.

const TIME_CONSTANT = 350; // ms; after it a new picture has 63 % of the say
const SCENE_CHANGE = 24; // mean difference of pixels (0 to 255) from which the picture is another one
const MARGIN = 0.08; // by which another class must lead before the label changes
const SLACK = 0.05; // below the threshold by this, a sure label becomes unsure

// Mean absolute difference of two squares of bytes, over a sample of them; Infinity without a first one.
export function difference(pixels, before) {
  if (!before) return Infinity;
  let sum = 0;
  let count = 0;
  for (let i = 0; i < pixels.length; i += 7, count++) sum += Math.abs(pixels[i] - before[i]);
  return sum / count;
}

export class Smoother {
  #threshold;
  #mean = null;
  #time = 0;
  #label = -1;
  #sure = false;

  constructor(threshold) {
    this.#threshold = threshold;
  }

  reset() {
    this.#mean = null;
  }

  // Take the probabilities of a frame at `time` (ms) whose picture differs by `change` from the last one.
  add(probabilities, change, time) {
    if (!this.#mean || change >= SCENE_CHANGE) {
      this.#mean = Float64Array.from(probabilities);
      this.#label = argmax(this.#mean);
      this.#sure = this.#mean[this.#label] >= this.#threshold;
    } else {
      const share = 1 - Math.exp(-(time - this.#time) / TIME_CONSTANT);
      for (let i = 0; i < this.#mean.length; i++) this.#mean[i] += share * (probabilities[i] - this.#mean[i]);
      const best = argmax(this.#mean);
      if (this.#mean[best] - this.#mean[this.#label] > MARGIN) this.#label = best;
      const needed = this.#sure ? this.#threshold - SLACK : this.#threshold;
      this.#sure = this.#mean[this.#label] >= needed;
    }
    this.#time = time;
    return { probabilities: this.#mean, label: this.#label, sure: this.#sure };
  }
}

// The same of one picture alone.
export function verdict(probabilities, threshold) {
  const label = argmax(probabilities);
  return { probabilities, label, sure: probabilities[label] >= threshold };
}

// Class indices, likeliest first; `label` leads even while it is behind by less than the margin.
export function ranking({ probabilities, label }, count) {
  const order = Array.from(probabilities.keys()).filter((index) => index !== label);
  order.sort((a, b) => probabilities[b] - probabilities[a]);
  return [label, ...order].slice(0, count);
}

function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
