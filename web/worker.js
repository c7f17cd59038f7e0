// Everything heavy, off the main thread: the runtime, the model, decoding and fitting of pictures.
//
// A request {id, type, …} is answered by {id, value} or {id, problem: {code, detail}}.

import { fitted } from "./fit.js";
import { bitmapOf, cameraSquare, pixelsOf, preview } from "./pictures.js";
import { Problem } from "./problem.js";
import { difference } from "./smoothing.js";

const ORT = new URL("./ort/", import.meta.url).href;
const SCRIPTS = { wasm: "ort.wasm.min.mjs", webgpu: "ort.jspi.min.mjs" };
const MOST_THREADS = 4;
// Graphics processors round differently: how far a probability may then be from its golden vector.
const GPU_TOLERANCE = 0.02;

let config;
let ort;
let session;
let file;
let engine;
let lastPixels = null;
let turn = Promise.resolve(); // of the last run

const handlers = { load, frame, photo, selfTest };

onmessage = async ({ data: { id, type, ...request } }) => {
  try {
    const { transfer = [], ...value } = await handlers[type](request);
    postMessage({ id, value }, transfer);
  } catch (error) {
    postMessage({ id, problem: Problem.of(error).plain() });
  }
};

// Load the file of `kind` to run on `wanted` ("wasm" or "webgpu"); the answer says what it runs on.
async function load({ settings, kind, wanted }) {
  config = settings;
  file = config.files.find((each) => each.kind === kind);
  engine = wanted;
  const [bytes] = await Promise.all([fetchChecked(file), startRuntime()]);
  const started = performance.now();
  await turn;
  await session?.release();
  session = await createSession(bytes);
  await classify(new Uint8Array(config.store_size ** 2 * 3)); // the first run compiles and allocates
  return { engine, threads: ort.env.wasm.numThreads, milliseconds: performance.now() - started };
}

async function startRuntime() {
  if (ort) return;
  try {
    ort = await import(ORT + SCRIPTS[engine]);
  } catch (error) {
    throw new Problem("runtime_missing", String(error));
  }
  ort.env.wasm.wasmPaths = ORT;
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.logLevel = "error";
}

async function createSession(bytes) {
  try {
    return await ort.InferenceSession.create(bytes, { executionProviders: [engine], logSeverityLevel: 3 });
  } catch (error) {
    throw new Problem("runtime_failed", String(error));
  }
}

// Fetch a file of the bundle and compare its SHA-256 with the one that the pipeline wrote.
async function fetchChecked({ path, sha256 }) {
  const response = await fetch(path).catch((error) => {
    throw new Problem("model_missing", `${path}: ${error.message}`);
  });
  if (!response.ok) throw new Problem("model_missing", `${path}: ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256) throw new Problem("model_corrupt", `${path}: ${found.slice(0, 12)} ≠ ${sha256.slice(0, 12)}`);
  return bytes;
}

// One run after the other: frames and golden vectors take turns.
function classify(pixels) {
  const result = turn.then(() => run(pixels));
  turn = result.catch(() => {});
  return result;
}

async function run(pixels) {
  const size = config.store_size;
  const input = new ort.Tensor("uint8", pixels, [1, size, size, 3]);
  const { [session.outputNames[0]]: output } = await session.run({ [session.inputNames[0]]: input });
  return Float32Array.from(output.data);
}

// A camera frame: only the square `crop` of it is seen, as the viewfinder shows it.
async function frame({ frame: picture, crop }) {
  const started = performance.now();
  const pixels = fitted(cameraSquare(picture, crop), config.store_size, config.fit);
  picture.close();
  const change = difference(pixels, lastPixels);
  lastPixels = pixels;
  const probabilities = await classify(pixels);
  return { probabilities, change, milliseconds: performance.now() - started };
}

// A photo: the whole of it, turned as its EXIF tag says, fitted as the model was trained.
async function photo({ blob }) {
  const bitmap = await bitmapOf(blob);
  const size = { width: bitmap.width, height: bitmap.height };
  const started = performance.now();
  const pixels = fitted(pixelsOf(bitmap, config.transparency), config.store_size, config.fit);
  const picture = preview(bitmap, config.fit, config.transparency);
  bitmap.close();
  const probabilities = await classify(pixels);
  const milliseconds = performance.now() - started;
  return { probabilities, pixels, picture, ...size, milliseconds, transfer: [picture] };
}

// Run the golden vectors: the photos and answers that the pipeline keeps beside the model.
async function selfTest() {
  const [text, bytes] = await Promise.all(config.golden.map(fetchChecked));
  const golden = JSON.parse(new TextDecoder().decode(text));
  const pixels = arrayOf(golden.arrays.pixels, bytes);
  const expected = arrayOf(golden.arrays[file.kind], bytes);
  const [photos, ...shape] = golden.arrays.pixels.shape;
  const stride = shape.reduce((a, b) => a * b);
  const classes = golden.classes.length;
  let worst = 0;
  for (let i = 0; i < photos; i++) {
    const got = await classify(pixels.slice(i * stride, (i + 1) * stride));
    for (let c = 0; c < classes; c++) worst = Math.max(worst, Math.abs(got[c] - expected[i * classes + c]));
  }
  const tolerance = engine === "wasm" ? golden.tolerance[file.kind] : GPU_TOLERANCE;
  return { photos, worst, tolerance, passed: worst <= tolerance, sha256: file.sha256 };
}

function arrayOf({ dtype, shape, offset }, bytes) {
  const type = { uint8: Uint8Array, float32: Float32Array }[dtype];
  const count = shape.reduce((a, b) => a * b);
  return new type(bytes.slice(offset, offset + count * type.BYTES_PER_ELEMENT).buffer);
}
