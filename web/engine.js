// The worker as seen from the page: promises, and one worker per kind of processor.

import { Problem } from "./problem.js";

export class Engine {
  #worker = null;
  #waiting = new Map();
  #next = 0;
  #settings;

  constructor(settings) {
    this.#settings = settings;
  }

  // Load the file of `kind`: on the graphics processor where there is a real one and its golden vectors come
  // out right, else on the processor. Returns {engine, threads, milliseconds}.
  async load(kind) {
    if (!this.#settings.webgpu || !(await hasGraphics())) return this.#loadOn("wasm", kind);
    try {
      const loaded = await this.#loadOn("webgpu", kind);
      if ((await this.selfTest()).passed) return loaded;
    } catch (error) {
      if (error.code !== "runtime_failed" && error.code !== "runtime_missing") throw error;
    }
    return this.#loadOn("wasm", kind);
  }

  frame(frame, crop) {
    return this.#ask("frame", { frame, crop }, [frame]);
  }

  photo(blob) {
    return this.#ask("photo", { blob });
  }

  selfTest() {
    return this.#ask("selfTest", {});
  }

  #loadOn(wanted, kind) {
    if (this.#worker?.engine !== wanted) this.#start(wanted);
    return this.#ask("load", { settings: this.#settings, kind, wanted });
  }

  #start(engine) {
    this.#worker?.terminate();
    this.#fail(new Problem("stopped"));
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.engine = engine;
    worker.onmessage = ({ data: { id, value, problem } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem) reject(new Problem(problem.code, problem.detail));
      else resolve(value);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Problem("runtime_missing", event.message ?? ""));
    };
    this.#worker = worker;
  }

  #fail(problem) {
    for (const { reject } of this.#waiting.values()) reject(problem);
    this.#waiting.clear();
  }

  #ask(type, request, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, type, ...request }, transfer);
    });
  }
}

// WebGPU with a real graphics processor, and the wasm feature that its runtime is built on.
async function hasGraphics() {
  if (!navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}
