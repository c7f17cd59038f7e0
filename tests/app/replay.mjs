// Replay golden vectors in Node: node replay.mjs ORT EXPORTS RAW FIT
//
// ORT is onnxruntime-web's module, EXPORTS the folder of a model's files, RAW one with `N.rgba` and the sizes of
// the golden photos as they were before the fit, FIT the page's fit.js. Prints JSON: by kind the largest difference
// of a probability to its golden vector, fed with the golden pixels ("given") and with pixels fitted here ("fitted"),
// and the largest difference of a fitted byte.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [ortPath, exports, raw, fitPath] = process.argv.slice(2);
const ort = await import(ortPath);
const { fitted } = await import(fitPath);
const golden = JSON.parse(await readFile(join(exports, "golden.json"), "utf8"));
const bytes = new Uint8Array(await readFile(join(exports, "golden.bin"))).buffer;
const sizes = JSON.parse(await readFile(join(raw, "sizes.json"), "utf8"));
const { shape: [photos, side], offset } = golden.arrays.pixels;
const stride = side * side * 3;

const given = new Uint8Array(bytes, offset, photos * stride);
const ours = new Uint8Array(given.length);
for (let i = 0; i < photos; i++) {
  const [width, height] = sizes[i];
  const rgba = await readFile(join(raw, `${i}.rgba`));
  const rows = (y, count) => rgba.subarray(y * width * 4, (y + count) * width * 4);
  ours.set(fitted({ width, height, rows }, side, "letterbox"), i * stride);
}

const found = { byte: largest(ours, given), kinds: {} };
for (const kind of Object.keys(golden.tolerance)) {
  const file = await readFile(join(exports, `${kind}.onnx`));
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  const expected = new Float32Array(bytes, golden.arrays[kind].offset, photos * golden.classes.length);
  found.kinds[kind] = {
    given: largest(await predict(session, given), expected),
    fitted: largest(await predict(session, ours), expected),
  };
}
console.log(JSON.stringify(found));

async function predict(session, pixels) {
  const input = new ort.Tensor("uint8", pixels, [photos, side, side, 3]);
  const { probabilities } = await session.run({ pixels: input });
  return probabilities.data;
}

function largest(one, other) {
  return one.reduce((worst, value, i) => Math.max(worst, Math.abs(value - other[i])), 0);
}
